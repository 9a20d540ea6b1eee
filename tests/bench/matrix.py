"""The ceiling on each database, with one and two workers, on kept and on new connections; and latency below it."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final

import pytest

from bankapi import clock, settings
from bankapi.cli import home as homes
from bankapi.cli.payments import terminal_client
from bankapi.settings import Settings
from tests.bench import load, stages
from tests.bench.load import Load
from tests.conftest import copy_home
from tests.postgres import a_cluster
from tests.running import start_gateway
from tests.unit.cli.commands import assert_sound

SHARES: Final = (0.5, 0.7, 0.9)
TERMINAL: Final = "ATM-0001"
_URL: Final = "BANKAPI_STORAGE_URL"
_BENEATH: Final = 64
"""Connections that wait for what is due: so many that a free one is found while others wait for their answers."""


@dataclass(frozen=True)
class Case:
    """One cell: its ceiling, and what each share of it as a rate of arrival felt like."""

    database: str
    workers: int
    keep_alive: bool
    ceiling: Load
    rsa_us: float
    """An RSA-2048 signature right before and after, for how busy the machine was."""
    below: dict[float, Load]

    @property
    def per_signature(self) -> float:
        """Payments in the time of one RSA signature."""
        return self.ceiling.per_second * self.rsa_us / 1e6


def measure(folder: Path, count: int, connections: int, action: str, seconds: float) -> Iterator[Case]:
    """All cells, each as soon as it is known; of PostgreSQL none where there is no server to start."""
    with ExitStack() as stack:
        urls = {"SQLite": ""}
        try:
            postgres = stack.enter_context(a_cluster())
        except pytest.skip.Exception as error:
            print(f"  PostgreSQL: not measured: {error}")
        else:
            urls["PostgreSQL"] = stack.enter_context(postgres.database("template1"))
        for database, url in urls.items():
            own = _installation(folder / database, url)
            for workers, keep_alive in product((1, 2), (True, False)):
                environment = {"BANKAPI_GATEWAY_WORKERS": str(workers), _URL: url}
                with start_gateway(own, **environment):
                    yield _case(own, database, workers, keep_alive, count, connections, action, seconds)
            assert_sound(own)


def _case(
    own: Settings,
    database: str,
    workers: int,
    keep_alive: bool,
    count: int,
    connections: int,
    action: str,
    seconds: float,
) -> Case:
    client = terminal_client(own, TERMINAL)
    name = f"{workers}{'K' if keep_alive else 'N'}"
    warm_up = stages.signed_payments(client, f"{name}-W", max(count // 5, connections))
    load.run(own, TERMINAL, warm_up, action, connections, keep_alive=keep_alive)
    messages = stages.signed_payments(client, f"{name}-C", count)
    before_us = stages.rsa_signature_us()
    ceiling = load.run(own, TERMINAL, messages, action, connections, keep_alive=keep_alive)
    rsa_us = (before_us + stages.rsa_signature_us()) / 2
    below = {}
    for share in SHARES:
        rate = ceiling.per_second * share
        messages = stages.signed_payments(client, f"{name}-{share * 100:.0f}", max(int(rate * seconds), 20))
        below[share] = load.arrive(own, TERMINAL, messages, action, _BENEATH, rate, keep_alive=keep_alive)
    return Case(database, workers, keep_alive, ceiling, rsa_us, below)


def _installation(folder: Path, url: str) -> Settings:
    pristine = folder / "pristine"
    homes.create(settings.load(pristine, {_URL: url}), demo=True, now=clock.utc_now())
    copy_home(pristine, folder / "var")
    return settings.load(folder / "var", {_URL: url})


def line(case: Case, reference: Case) -> str:
    """A line of the report; the ceiling also as a share of the first cell's."""
    below = "".join(
        "".join(f"{each.percentile_ms(percent):>{width}.0f}" for percent, width in ((50, 14), (95, 7), (99, 7)))
        + f"{each.faults:>4}"
        for each in case.below.values()
    )
    kind = "keep-alive" if case.keep_alive else "new"
    share = case.per_signature / reference.per_signature
    ceiling = f"{case.ceiling.per_second:>7.0f}{case.rsa_us:>6.0f} µs{share:>7.2f}"
    return f"  {case.database:<11}{case.workers:>7}  {kind:<11}{ceiling}{below}"
