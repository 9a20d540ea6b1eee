"""What notices cost a payment: the same load without [sms], with its SMSC down, and with it up."""

import sqlite3
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from bankapi import settings
from bankapi.cli.payments import terminal_client
from tests.bench import load, stages
from tests.conftest import copy_home
from tests.notices import smsc as smscs
from tests.notices.conftest import install
from tests.running import free_port, start_gateway

CASES: Final = ("not configured", "SMSC down", "SMSC up")


@contextmanager
def _case(name: str, node: Path, home: Path) -> Iterator[None]:
    """The home's settings for one case, and its SMSC."""
    with ExitStack() as stack:
        port = free_port()
        if name == "SMSC up":
            stack.enter_context(smscs.running(node, port))
        if name != "not configured":
            with (home / "bankapi.ini").open("a") as file:
                file.write(f"[sms]\nhost = 127.0.0.1\nport = {port}\nper_second = 50\n")
        yield


def measure(
    pristine: Path, folder: Path, count: int, connections: int, action: str, rounds: int = 5
) -> dict[str, float]:
    """Payments per second of each case, as the median over rounds that take turns: the machine is not alone."""
    node = install(folder / "node")
    rates: dict[str, list[float]] = {name: [] for name in CASES}
    for number in range(rounds):
        for name in CASES if number % 2 else reversed(CASES):
            home = folder / f"{number} {name}"
            copy_home(pristine, home)
            with _case(name, node, home):
                own = settings.load(home, {})
                client = terminal_client(own, "ATM-0001")
                warm_up, messages = (stages.signed_payments(client, key, count) for key in ("W", "L"))
                with start_gateway(own, BANKAPI_GATEWAY_WORKERS="2"):
                    load.run(own, "ATM-0001", warm_up[:100], action, connections)
                    result = load.run(own, "ATM-0001", messages, action, connections)
                assert result.faults == 0
                rates[name].append(result.per_second)
                _check(home, 0 if name == "not configured" else count + 100)
    return {name: statistics.median(each) for name, each in rates.items()}


def _check(home: Path, notices: int) -> None:
    with sqlite3.connect(home / "bankapi.db") as database:
        assert database.execute("SELECT count(*) FROM notices").fetchone()[0] == notices
