"""A database that cannot, for each of its reasons: callers are told so by signed answers, and it mends by itself.

Nothing is decided meanwhile, so the same reference pays afterwards; and what was acknowledged before is still there.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from bankapi.cli.client import TerminalClient
from bankapi.cli.payments import terminal_client
from bankapi.settings import Settings
from tests.conftest import copy_home
from tests.deploy.conftest import deployed
from tests.exchange.test_registration import code, payment
from tests.postgres import Postgres, a_cluster
from tests.running import start_gateway, wait_until

pytestmark = pytest.mark.slow
_MENDS_WITHIN_S = 30.0


@pytest.fixture
def small_disk(demo_home: Path, tmp_path: Path) -> Iterator[Settings]:
    """A home on a disk of its own, of eight megabytes."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        yield copy_home(demo_home, disk / "var")
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk(small_disk: Settings) -> None:
    with start_gateway(small_disk) as running:
        atm = terminal_client(small_disk, "ATM-0001")
        paid = _pay(atm, "DISK-BEFORE")
        filling = small_disk.home / "filling"
        with filling.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
            _fill(file)
        # The log of SQLite has room left in the file it reuses: it is full some payments later.
        refused = _first_refusal(atm, paid)
        _is_unavailable(atm, refused)
        filling.unlink()
        _mends(atm, refused)
        _are_there(atm, paid)
        assert "failure.storage" in running.log()


def test_a_database_file_that_turns_read_only(installation: Settings) -> None:
    database = installation.home / "bankapi.db"
    if os.geteuid() != 0 or shutil.which("chattr") is None:
        pytest.skip("only root can take the right to write away from a file that is open")
    with start_gateway(installation):
        atm = terminal_client(installation, "ATM-0001")
        paid = _pay(atm, "READONLY-BEFORE")
        files = [str(file) for file in (database, database.with_name("bankapi.db-wal")) if file.exists()]
        if not _keeps_immutable(installation.home / "probe"):
            pytest.skip("this file system has no immutable files, or lets go on who has opened one before")
        subprocess.run(["chattr", "+i", *files], check=True)
        try:
            _is_unavailable(atm, "READONLY-1")
        finally:
            subprocess.run(["chattr", "-i", *files], check=True)
        _mends(atm, "READONLY-1")
        _are_there(atm, paid)


def _keeps_immutable(probe: Path) -> bool:
    """Whether a file that is open can be made immutable; tmpfs, for one, refuses only to open it anew."""
    with probe.open("wb", buffering=0) as file:
        if subprocess.run(["chattr", "+i", str(probe)], check=False).returncode:
            return False
        try:
            file.write(b"1")
        except OSError:
            return True
        finally:
            subprocess.run(["chattr", "-i", str(probe)], check=True)
    return False


def test_postgresql_stopped_crashed_and_demoted_behind_nginx() -> None:
    with a_cluster() as cluster, cluster.database(template="template1") as url, deployed(url, instances="1") as running:
        atm = running.client()
        paid = _pay(atm, "PG-BEFORE")
        for how in (signal.SIGINT, signal.SIGQUIT):
            cluster.stop(how)
            _is_unavailable(atm, f"PG-{how.name}")
            cluster.start_again()
            _mends(atm, f"PG-{how.name}")
        _demote(cluster)
        _is_unavailable(atm, "PG-STANDBY")
        cluster.execute("SELECT pg_promote()")
        _mends(atm, "PG-STANDBY")
        _are_there(atm, [*paid, "PG-SIGINT", "PG-SIGQUIT", "PG-STANDBY"])
        restarts = running.log().count("Booting worker")
        assert restarts == 1, "it recovers without a new process"


def _demote(cluster: Postgres) -> None:
    """Start it again as a standby, which can be read and not written (PostgreSQL manual, 27.4)."""
    cluster.stop(signal.SIGINT)
    standby = cluster.folder / "cluster" / "standby.signal"
    standby.touch()
    owner = cluster.folder.stat()
    os.chown(standby, owner.st_uid, owner.st_gid)
    cluster.start_again()


def _pay(atm: TerminalClient, name: str) -> list[str]:
    """Some payments that are acknowledged."""
    references = [f"{name}-{number}" for number in range(5)]
    for reference in references:
        assert code(atm.call("RegisterPayment", payment(reference, "1.00"))) == "OK"
    return references


def _fill(file: IO[bytes]) -> None:
    while True:
        file.write(bytes(65536))


def _first_refusal(atm: TerminalClient, paid: list[str]) -> str:
    """Pay until it is refused; the reference that was."""
    for number in range(3000):
        reference = f"FULL-{number}"
        if code(atm.call("RegisterPayment", payment(reference, "1.00"))) != "OK":
            return reference
        paid.append(reference)
    raise AssertionError("the disk is full, and nobody minds")


def _is_unavailable(atm: TerminalClient, reference: str) -> None:
    """Every answer is signed, which the client has checked, and says that nothing was decided."""
    answer = atm.call("RegisterPayment", payment(reference, "1.00"))
    told = (answer.is_fault, code(answer), answer.fields["retry"])
    assert told == (False, "TEMPORARILY_UNAVAILABLE", "SAME_REFERENCE")
    assert atm.call("Ping", []).fields["status"] == "UNAVAILABLE"


def _mends(atm: TerminalClient, reference: str) -> None:
    """Without a restart and without a hand: the reference that was refused pays."""
    wait_until(lambda: code(atm.call("RegisterPayment", payment(reference, "1.00"))) == "OK", _MENDS_WITHIN_S)
    assert atm.call("Ping", []).fields["status"] != "UNAVAILABLE"


def _are_there(atm: TerminalClient, references: list[str]) -> None:
    for reference in references:
        assert atm.call("GetPaymentStatus", [("Reference", reference)]).fields["status"] == "REGISTERED"
