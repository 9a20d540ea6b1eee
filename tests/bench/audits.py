"""What an audit costs per exchange, at journals of several sizes: real messages with real signatures, all verified.

The cost of one process is its processor time, that of two is the wall's: other load on the machine changes it.
"""

import resource
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bankapi import clock, settings
from bankapi.cli import home as homes
from bankapi.evidence import audit
from bankapi.evidence.audit import Terms
from bankapi.gateway import keys
from bankapi.wsse.profile import PROFILE_V1
from tests import journals
from tests.bench import stages


def run(folder: Path, sizes: Sequence[int]) -> None:
    """One journal that grows; it is audited whole at each size."""
    own = settings.load(folder / "var", {})
    homes.create(own, demo=True, now=clock.utc_now())
    with journals.opened(own) as journal:
        client = journal.client("ATM-0001")
        terms = Terms(authorities=[keys.load_certificate(own.ca_certificate)], profile=PROFILE_V1, now=clock.utc_now())
        done = 0
        for size in sizes:
            for message in stages.signed_payments(client, f"A{size}", size - done):
                journal.send("ATM-0001", "RegisterPayment", message)
            done = size
            journal.seal()
            print(f"  {size:>8} exchanges", end="")
            for processes, clock_of in ((1, time.process_time), (2, time.perf_counter)):
                begun = clock_of()
                report = audit.verify(journal.gateway.store, replace(terms, now=clock.utc_now(), processes=processes))
                cost = (clock_of() - begun) / size * 1e6
                assert report.is_sound, report.findings[:3]
                print(f"  {cost:6.0f} µs each by {processes}", end="")
            print(f"  {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024:5} MB at most", flush=True)
