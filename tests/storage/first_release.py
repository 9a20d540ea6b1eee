"""Databases of the program before it had migrations (commit e6ebd69), and that program itself where git has it.

`first_release.sql.gz` is what it wrote: a demo home in which its own gateway took 16 requests over TLS. To make it
anew: `python -m tests.storage.first_release`, in a clone whose history holds that commit.

    OLD-1  100.00 RUB, sent twice, then with another amount    OLD-6  200.00 RUB for a suspended customer
    OLD-2   55.50 RUB, cancelled by another terminal           OLD-7   10.00 EUR to an account in RUB
    OLD-3   70.00 RUB of DEMO-SHOP on debit, cancelled         OLD-8  voided before it came
    OLD-4  declined: the deposit is too small                  OLD-9   30.00 RUB of DEMO-SHOP, now on credit
    OLD-5  declined: the customer is blocked
"""

import contextlib
import gzip
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from sqlalchemy import DateTime, MetaData, Numeric, create_engine, text

from bankapi.storage import upgrades
from bankapi.storage.engine import Store
from tests.running import free_port

COMMIT = "e6ebd69"
HERE = Path(__file__).parent
DUMP = HERE / "first_release.sql.gz"
CA = HERE / "first_release_ca.pem"
WRITTEN_AT = datetime(2026, 11, 23, 16, 5, tzinfo=UTC)
"""Some minutes after its last exchange."""
SCHEMES = {f"OLD-{n}": "DEBIT_ADJUSTMENT" if n == 3 else "CREDIT_ADJUSTMENT" for n in range(1, 10)}
"""As booked; OLD-4, OLD-5 and OLD-8 were not booked, and have their dealers' present one."""


def write_sqlite(file: Path) -> None:
    """The database as that program left it."""
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.executescript(gzip.decompress(DUMP.read_bytes()).decode())
        database.execute("PRAGMA journal_mode=WAL")


def write_postgresql(url: str, workplace: Path) -> None:
    """The same rows in an empty PostgreSQL database, in the tables of the first revision."""
    source_file = workplace / "first_release.db"
    write_sqlite(source_file)
    store = Store(url)
    store.change_schema(next(upgrades.revisions()).run)
    source, target = MetaData(), MetaData()
    target.reflect(store.engine)
    engine = create_engine(f"sqlite:///{source_file}")
    source.reflect(engine)
    with engine.connect() as reading, store.engine.begin() as connection:
        connection.execute(text("DROP TABLE alembic_version"))  # that program knew of none
        for table in target.sorted_tables:
            if table.name == "alembic_version":
                continue
            rows = reading.execute(source.tables[table.name].select()).mappings()
            if known := [{name: _value(table.c[name].type, value) for name, value in row.items()} for row in rows]:
                connection.execute(table.insert(), known)
            for column in table.primary_key.columns:
                if column.autoincrement is True or str(column.server_default or "").strip():
                    move = f"SELECT setval(pg_get_serial_sequence('{table.name}', '{column.name}'), max({column.name}))"
                    connection.execute(text(f"{move} FROM {table.name}"))
    engine.dispose()
    store.close()


def _value(kind: Any, value: Any) -> Any:
    if isinstance(kind, DateTime) and isinstance(value, datetime):
        return value.replace(tzinfo=UTC)
    return Decimal(value) if isinstance(kind, Numeric) and isinstance(value, str) else value


@dataclass(frozen=True)
class OldProgram:
    """The program of that commit, in a folder of its own."""

    folder: Path
    home: Path
    environment: dict[str, str]

    def run(self, *arguments: str, check: bool = True) -> str:
        """`bankapi ARGUMENTS`; what it printed."""
        done = subprocess.run(self._command(*arguments), **self._process(), capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Its gateway, until the end of the block."""
        with (self.home / "serve.log").open("wb") as log:
            gateway = subprocess.Popen(self._command("serve"), **self._process(), stdout=log, stderr=log)
        try:
            self.run("ping", "--wait", "30")
            yield
        finally:
            gateway.terminate()
            gateway.wait(timeout=40)

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "bankapi.cli.main", *arguments]

    def _process(self) -> dict[str, Any]:
        variables = {"PYTHONPATH": str(self.folder), "BANKAPI_HOME": str(self.home), **self.environment}
        return {"env": {**os.environ, **variables}, "cwd": self.folder}


def old_program(workplace: Path, **environment: str) -> OldProgram:
    """Unpack it and make a demo home with it; the test is skipped where git does not have it."""
    folder, home = workplace / "program", workplace / "home"
    archive = subprocess.run(
        ["git", "archive", "--format=zip", COMMIT], cwd=HERE.parents[1], capture_output=True, check=False
    )
    if archive.returncode != 0:
        pytest.skip(f"this clone's history does not hold {COMMIT}")
    with ZipFile(BytesIO(archive.stdout)) as packed:
        packed.extractall(folder)
    for package in ("schemas", "wsdl"):
        (folder / "bankapi" / package).symlink_to(Path("..") / package)
    program = OldProgram(folder, home, environment)
    program.run("init", "--demo")
    port = free_port()
    (home / "bankapi.ini").write_text(
        f"[gateway]\nport = {port}\nurl = https://localhost:{port}/soap/v1\n"
        "[evidence]\nseal_s = 0.5\ncheckpoint_s = 1\n[sms]\nhost = 127.0.0.1\nport = 9\n"
    )
    return program


def _pay(program: OldProgram, reference: str, amount: str, terminal: str, *payer: str) -> None:
    program.run("pay", "--reference", reference, "--amount", amount, "--terminal", terminal, *payer, check=False)


def main() -> None:
    """Make the dump and the CA's certificate anew; set WRITTEN_AT to what is printed."""
    workplace = Path(tempfile.mkdtemp())
    program = old_program(workplace)
    program.run("limit", "set", "--scope", "payer", "--day-count", "50")
    with program.serving():
        for amount in ("100.00", "100.00"):
            _pay(program, "OLD-1", amount, "ATM-0001", "--msisdn", "79160000001")
        _pay(program, "OLD-2", "55.50", "ATM-0002", "--account", "100000002")
        _pay(program, "OLD-3", "70.00", "ATM-0101", "--msisdn", "79160000003")
        _pay(program, "OLD-4", "9999.00", "ATM-0101", "--msisdn", "79160000003")
        _pay(program, "OLD-5", "10.00", "ATM-0001", "--msisdn", "79160000019")
        _pay(program, "OLD-6", "200.00", "ATM-0001", "--msisdn", "79160000018")
        _pay(program, "OLD-7", "10.00", "ATM-0001", "--customer", "200000004", "--currency", "EUR")
        _pay(program, "OLD-1", "101.00", "ATM-0001", "--msisdn", "79160000001")
        program.run("cancel", "--terminal", "ATM-0002", "--reference", "OLD-2", "--amount", "55.50")
        program.run("cancel", "--terminal", "ATM-0101", "--reference", "OLD-3", "--amount", "70.00")
        program.run("cancel", "--terminal", "ATM-0101", "--reference", "OLD-8", "--amount", "1.00")
        program.run("validate", "--terminal", "ATM-0001", "--msisdn", "79160000001", "--amount", "5.00")
        program.run("balance", "--terminal", "ATM-0001", "--msisdn", "79160009999", check=False)
        program.run("dealer", "set", "DEMO-SHOP", "--scheme", "credit")
        _pay(program, "OLD-9", "30.00", "ATM-0101", "--msisdn", "79160000005")
        time.sleep(3)
    program.run("audit", "seal")
    with contextlib.closing(sqlite3.connect(program.home / "bankapi.db")) as database:
        script = "\n".join(database.iterdump()) + "\n"
    DUMP.write_bytes(gzip.compress(script.encode(), 9, mtime=0))
    shutil.copy(program.home / "ca" / "ca.pem", CA)
    shutil.rmtree(workplace)
    print(f"WRITTEN_AT is about {datetime.now(UTC)}")


if __name__ == "__main__":
    main()
