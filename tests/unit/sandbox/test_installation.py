"""A sandbox is born as one, and nothing else ever becomes one: on both databases, by whatever way."""

import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from ulid import ULID

import bankapi.cli
from bankapi import clock
from bankapi import settings as all_settings
from bankapi.billing import customers, terminals
from bankapi.cli import backups
from bankapi.cli.documents import request_element
from bankapi.gateway import keys, tls, wsgi
from bankapi.operations.call import Call
from bankapi.sandbox import installation
from bankapi.sandbox.contract import SandboxContract
from bankapi.sandbox.installation import PRODUCTION_CA, SANDBOX_CA, WrongInstallation
from bankapi.sandbox.numbers import Behaviour, number_of
from bankapi.settings import Settings, SettingsError
from bankapi.storage.engine import Store
from bankapi.way4 import door
from bankapi.way4 import samples as way4_samples
from bankapi.way4.configuration import Operation
from bankapi.wsse.trust import fingerprint
from tests import journals
from tests.conftest import copy_home
from tests.unit.cli.commands import done, refused, run
from tests.unit.conftest import Books, books, database_url  # noqa: F401
from tests.unit.sandbox.conftest import Sandbox, paid, sandbox_url

KINDS = ("sqlite", "postgresql")
APART = "they are kept apart"


def is_marked(store: Store) -> bool:
    with store.read() as connection:
        return installation.is_marked(connection)


@pytest.fixture
def sandbox_installation(sandbox_home: Path, tmp_path: Path) -> Settings:
    """A fresh copy of the sandbox."""
    return copy_home(sandbox_home, tmp_path / "sandbox")


# The database's mark


def test_an_installation_with_dealers_cannot_be_marked(books: Books) -> None:  # noqa: F811
    with pytest.raises(DBAPIError, match="does not become a sandbox"):
        installation.mark(books.store, clock.utc_now())
    for change in (
        "INSERT INTO sandbox VALUES (1, '2026-01-01 00:00:00')",
        "INSERT INTO sandbox_tries VALUES (1, 'RegisterPayment', 'R', '2026-01-01 00:00:00')",
    ):
        with pytest.raises(DBAPIError):
            books.store.write(lambda connection, change=change: connection.execute(text(change)))
    assert not is_marked(books.store)


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM sandbox",
        "UPDATE sandbox SET made_at = made_at",
        "UPDATE sandbox SET id = 2",
        "INSERT INTO sandbox VALUES (2, '2026-01-01 00:00:00+00')",
        "INSERT INTO sandbox VALUES (1, '2026-01-01 00:00:00+00') ON CONFLICT (id) DO UPDATE SET id = 2",
        "DELETE FROM sandbox_tries",
        "UPDATE sandbox_tries SET tried_at = tried_at",
    ],
)
def test_a_mark_stays_as_it_is(sandbox: Sandbox, change: str) -> None:
    sandbox.ask("RegisterPayment", paid(str(ULID()), number_of(Behaviour.UNAVAILABLE)))
    with pytest.raises(DBAPIError, match=r"append-only|does not become"):
        sandbox.store.write(lambda connection: connection.execute(text(change)))
    assert is_marked(sandbox.store)


def test_a_mark_cannot_be_truncated(sandbox: Sandbox) -> None:
    if sandbox.store.engine.dialect.name == "sqlite":
        return  # it has no TRUNCATE
    with pytest.raises(DBAPIError, match="append-only"):
        sandbox.store.write(lambda connection: connection.execute(text("TRUNCATE sandbox")))


def test_a_sandbox_takes_no_customer_whose_number_may_be_somebodys(sandbox: Sandbox) -> None:
    def add(msisdn: str) -> None:
        sandbox.store.write(
            lambda connection: customers.add_customer(
                connection,
                customer_number=f"C{msisdn}",
                name="Ivan Petrov",
                account_number=f"A{msisdn}",
                currency="RUB",
                msisdns=(msisdn,),
                now=clock.utc_now(),
                business_on=clock.utc_now().date(),
            )
        )

    with pytest.raises(DBAPIError, match="begin with 999"):
        add("79160000001")
    own = f"99955{int(sandbox.store.engine.dialect.name == 'sqlite'):06d}"
    add(own)
    assert sandbox.ask("RegisterPayment", paid(str(ULID()), own)).code == "OK"


def test_staff_are_told_why_a_real_customer_does_not_belong_in_a_sandbox(
    sandbox_installation: Settings, tmp_path: Path
) -> None:
    add = ("customer", "add", "C1", "--name", "Ivan Petrov", "--account", "A1", "--msisdn")
    file = tmp_path / "customers.csv"
    file.write_text("customer_number,name,account_number,currency,msisdns\nC1,Ivan Petrov,A1,RUB,79160000001\n")
    for command in ((*add, "79160000001"), ("customer", "import", file)):
        assert "begin with 999" in refused(sandbox_installation, *command)
    done(sandbox_installation, *add, "99955500001")


def test_a_sandbox_does_nothing_in_a_database_that_is_not_one(books: Books) -> None:  # noqa: F811
    """Should its database have been changed for another one while it runs."""

    def ask(connection: Any) -> None:
        terminal = terminals.find_terminal(connection, "ATM-1")
        assert terminal is not None
        call = Call(connection, terminal, books.now, "en", str(ULID()))
        SandboxContract(lambda: True).dispatch(request_element("Ping", []), call)

    with pytest.raises(DBAPIError):
        books.store.write(ask)


def test_way4_does_nothing_there_either(sandbox_installation: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = keys.load_certificate(sandbox_installation.channel_file("DEMO-BANK", "cert.pem"))
    peer = tls.TLSIdentity(fingerprint(certificate), "DEMO-BANK channel", "TLSv1.3")
    monkeypatch.setattr(tls, "identify", lambda environ: peer)
    file = sandbox_installation.home / "bankapi.db"
    with journals.opened(sandbox_installation) as journal, closing(sqlite3.connect(file)) as database:
        ask = door.doors(sandbox_installation, journal.gateway)["POST", door.PATH]

        def pay(rrn: str) -> int:
            """Payments there are, once one more was asked for."""
            number, at = number_of(Behaviour.PAYS), clock.utc_now().replace(tzinfo=None)
            body = way4_samples.sample(Operation.REGISTER, local_at=at, rrn=rrn, msisdn=number).encode()
            content = {"CONTENT_TYPE": "text/xml; charset=utf-8", "CONTENT_LENGTH": str(len(body))}
            ask({**content, "wsgi.input": BytesIO(body)})
            return int(database.execute("SELECT count(*) FROM payments").fetchone()[0])

        assert pay("000000000001") == 1
        database.execute("DROP TABLE sandbox")
        database.commit()
        assert pay("000000000002") == 1


# The home's mark


def test_there_is_no_setting_and_no_variable_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BANKAPI_SANDBOX", "BANKAPI_GATEWAY_SANDBOX", "BANKAPI_STORAGE_SANDBOX"):
        monkeypatch.setenv(name, "1")
    home = all_settings.load(tmp_path / "var")
    assert run(home, "init").exit_code == 0
    assert not installation.is_sandbox(home)
    for wrong in ("[sandbox]\nyes = 1\n", "[gateway]\nsandbox = 1\n"):
        (home.home / "bankapi.ini").write_text(wrong)
        with pytest.raises(SettingsError):
            all_settings.load(home.home)


def test_an_installation_is_not_made_again(request: pytest.FixtureRequest, sandbox_installation: Settings) -> None:
    production: Settings = request.getfixturevalue("installation")
    assert "is an installation already" in refused(production, "init", "--sandbox")
    assert "is an installation already" in refused(sandbox_installation, "init")
    assert run(production, "init", "--sandbox", "--demo").exit_code == 2


@pytest.mark.parametrize("lost", [("ca",), ("ca", "gateway", "terminals", "channels")])
@pytest.mark.parametrize("options", [(), ("--sandbox",)])
def test_what_is_left_of_an_installation_is_not_written_over(
    request: pytest.FixtureRequest, lost: tuple[str, ...], options: tuple[str, ...]
) -> None:
    """A backup restored without its keys is a database alone, as is a home that has lost its folders."""
    production: Settings = request.getfixturevalue("installation")
    for folder in lost:
        shutil.rmtree(production.home / folder)
    before = {file: file.read_bytes() for file in production.home.rglob("*") if file.is_file()}
    assert "has tables already" in refused(production, "init", *options)
    assert {file: file.read_bytes() for file in production.home.rglob("*") if file.is_file()} == before


def test_keys_are_not_mixed_with_those_of_another_installation(request: pytest.FixtureRequest) -> None:
    """Only the database and the CA are lost."""
    production: Settings = request.getfixturevalue("installation")
    shutil.rmtree(production.home / "ca")
    for file in production.home.glob("bankapi.db*"):
        file.unlink()
    assert "is there already" in refused(production, "init", "--sandbox")
    assert not list(production.home.glob("bankapi.db*"))
    assert not production.ca_certificate.exists()


def test_a_sandbox_is_not_made_in_a_database_in_use(
    tmp_path: Path,
    books: Books,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BANKAPI_STORAGE_URL", books.store.engine.url.render_as_string(hide_password=False))
    home = all_settings.load(tmp_path / "var")
    assert "has tables already" in refused(home, "init", "--sandbox")
    assert not home.ca_certificate.exists()
    assert not is_marked(books.store)


def test_every_ca_of_a_sandbox_says_so_for_ever(sandbox_installation: Settings) -> None:
    assert "begins with" in refused(sandbox_installation, "ca", "prepare", "--name", PRODUCTION_CA)
    assert run(sandbox_installation, "ca", "prepare").exit_code == 0
    assert run(sandbox_installation, "ca", "activate").exit_code == 0
    authorities = x509.load_pem_x509_certificates(sandbox_installation.ca_certificate.read_bytes())
    assert [SANDBOX_CA in each.subject.rfc4514_string() for each in authorities] == [True, True]
    assert installation.is_sandbox(sandbox_installation)


def test_no_ca_of_production_says_so(request: pytest.FixtureRequest, sandbox_home: Path) -> None:
    production: Settings = request.getfixturevalue("installation")
    assert "begins with" in refused(production, "ca", "prepare", "--name", f"{SANDBOX_CA} 2")
    with production.ca_certificate.open("ab") as trusted:
        trusted.write((sandbox_home / "ca" / "ca.pem").read_bytes())
    assert "beside another one" in refused(production, "serve", "--check")


# Both marks together


@pytest.fixture(params=KINDS)
def at_odds(
    request: pytest.FixtureRequest, demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Settings]]:
    """A home of one kind whose settings lead to a database of the other."""
    stack: list[Any] = []

    def make(of: str) -> Settings:
        home = copy_home(request.getfixturevalue(f"{of}_home"), tmp_path / of)
        if of == "demo":
            database = sandbox_url(request.param, request, tmp_path)
        elif request.param == "sqlite":
            copy_home(demo_home, tmp_path / "other")
            database = None
        else:
            database = request.getfixturevalue("postgres").database()
        url = f"sqlite:///{tmp_path / 'other' / 'bankapi.db'}" if database is None else database.__enter__()
        stack.append(database)
        monkeypatch.setenv("BANKAPI_STORAGE_URL", url)
        return all_settings.load(home.home)

    yield make
    for database in stack:
        if database is not None:
            database.__exit__(None, None, None)


@pytest.mark.parametrize("home", ["demo", "sandbox"])
def test_nothing_is_opened_when_home_and_database_disagree(
    at_odds: Callable[[str], Settings], home: str, tmp_path: Path
) -> None:
    settings = at_odds(home)
    for command in (
        ("serve",),
        ("serve", "--check"),
        ("worker", "--once"),
        ("dealer", "list"),
        ("customer", "list"),
        ("terminal", "list"),
        ("notice", "list"),
        ("audit", "verify"),
        ("database", "status"),
        ("database", "upgrade"),
        ("database", "check"),
        ("backup", tmp_path / "backup.zip"),
        ("ca", "list"),
        ("report", "trial-balance", "--from", "2026-01-01", "--to", "2026-01-02"),
    ):
        assert APART in refused(settings, *command), command
    with pytest.raises(WrongInstallation, match=APART):
        wsgi.create_gateway(settings)


def test_commands_reach_a_database_by_the_doors_that_look() -> None:
    """Who opens a store himself looks himself: administration and backups do, `init` makes it, `worker` has asked."""
    folder = Path(bankapi.cli.__file__).parent
    opening = {file.stem for file in folder.glob("*.py") if re.search(r"\bStore\(", file.read_text())}
    assert opening == {"administration", "backups", "home", "worker"}


# Backups


def test_a_backup_is_restored_into_its_own_kind_only(
    request: pytest.FixtureRequest, sandbox_installation: Settings, tmp_path: Path
) -> None:
    production: Settings = request.getfixturevalue("installation")
    for name, source, other in (
        ("of-sandbox", sandbox_installation, production),
        ("of-production", production, sandbox_installation),
    ):
        file = tmp_path / f"{name}.zip"
        done(source, "backup", file, "--with-keys")
        ca, rows = other.ca_certificate.read_bytes(), dealers(other)
        for more in (("--replace",), ("--replace", "--with-keys")):
            assert APART in refused(other, "restore", file, *more)
        assert (other.ca_certificate.read_bytes(), dealers(other)) == (ca, rows)
        assert list(other.home.glob("bankapi.db.before*")) == []


def test_a_backup_keeps_what_it_is_of(sandbox_installation: Settings, tmp_path: Path) -> None:
    file = tmp_path / "backup.zip"
    done(sandbox_installation, "backup", file, "--with-keys")
    elsewhere = all_settings.load(tmp_path / "elsewhere", {})
    done(elsewhere, "restore", file, "--with-keys")
    assert installation.is_sandbox(elsewhere)
    assert done(elsewhere, "dealer", "list")
    store = Store(elsewhere.database_url)
    assert is_marked(store)
    store.close()
    bare = all_settings.load(tmp_path / "bare", {})
    assert backups.restore(file, bare, replace=False, with_keys=False).kept is None
    assert "is not an installation" in run(bare, "dealer", "list").err


def dealers(settings: Settings) -> list[Any]:
    with closing(sqlite3.connect(settings.home / "bankapi.db")) as database:
        return database.execute("SELECT id, name FROM dealers ORDER BY id").fetchall()


def test_what_is_made_is_a_sandbox_in_both_places(sandbox_installation: Settings) -> None:
    assert installation.is_sandbox(sandbox_installation)
    store = Store(sandbox_installation.database_url)
    assert is_marked(store)
    store.close()
    for name in ("ATM-0001", "ATM-0002", "ATM-0101"):
        certificate = x509.load_pem_x509_certificate(sandbox_installation.terminal_file(name, "cert.pem").read_bytes())
        assert certificate.issuer.rfc4514_string() == f"CN={SANDBOX_CA}"
        assert sandbox_installation.terminal_file(name, "key.pem").exists()


def test_a_report_of_a_sandbox_says_so_in_its_title(
    request: pytest.FixtureRequest, sandbox_installation: Settings, tmp_path: Path
) -> None:
    for home, says in ((sandbox_installation, True), (request.getfixturevalue("installation"), False)):
        file = tmp_path / f"{says}.html"
        asked = ("--from", "2026-01-01", "--to", "2026-01-31", "--language", "de", "--output", file)
        assert run(home, "report", "trial-balance", *asked).exit_code == 0
        assert ("<h1>TESTUMGEBUNG: " in file.read_text()) is says
