"""deploy/postgresql-roles.sql: the gateway can do its whole work, and nobody but the owner can touch a fact."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from bankapi import clock, settings
from bankapi.cli import home as homes
from bankapi.cli.payments import terminal_client
from bankapi.settings import Settings
from bankapi.storage.columns import metadata
from bankapi.storage.engine import Store, sqlstate
from tests.exchange.test_registration import code, payment
from tests.postgres import Postgres
from tests.running import free_port, start_gateway, wait_until_sealed
from tests.unit.cli.commands import assert_sound, done, new_request

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).parents[2] / "deploy" / "postgresql-roles.sql"
FACTS = sorted(table.name for table in metadata.tables.values() if table.info.get("append_only"))
DENIED = "42501"
"""insufficient_privilege (PostgreSQL, appendix A)."""
WITHOUT_OWNERSHIP = (
    "DELETE FROM {table}",
    "TRUNCATE {table} CASCADE",
    "ALTER TABLE {table} DISABLE TRIGGER ALL",
    "ALTER TABLE {table} ADD COLUMN more int",
    "DROP TRIGGER {table}_no_update ON {table}",
    "DROP TABLE {table} CASCADE",
    "CREATE OR REPLACE FUNCTION refuse_change_of_{table}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE TRIGGER mine BEFORE UPDATE ON {table} EXECUTE FUNCTION refuse_change()",
)


@dataclass(frozen=True)
class Installation:
    """A demo home on PostgreSQL whose database has the roles, and a login in each."""

    home: Path
    url: str

    def as_(self, role: str) -> Settings:
        """The home's settings of a program that logs in with this role."""
        return settings.load(self.home, {"BANKAPI_STORAGE_URL": self.url.replace("bankapi@", f"login_{role}@")})


@pytest.fixture(scope="module")
def installed(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    home = tmp_path_factory.mktemp("roles") / "var"
    with postgres.database("template1") as url:
        homes.create(settings.load(home, {"BANKAPI_STORAGE_URL": url}), demo=True, now=clock.utc_now())
        port = free_port()
        (home / "bankapi.ini").write_text(f"[gateway]\nport = {port}\nurl = https://localhost:{port}/soap/v1\n")
        database = make_url(url).database
        with psycopg.connect(f"host={postgres.folder} user=bankapi dbname={database}", autocommit=True) as connection:
            for _ in range(2):  # it may be run again
                connection.execute(SCRIPT.read_text())  # type: ignore[call-overload]
            for role in ("owner", "gateway", "staff", "report"):
                connection.execute(f"DROP ROLE IF EXISTS login_{role}")  # type: ignore[call-overload]
                connection.execute(f"CREATE ROLE login_{role} LOGIN IN ROLE bankapi_{role}")  # type: ignore[call-overload]
        yield Installation(home, url)


@pytest.fixture
def refusal(installed: Installation) -> Callable[[str, str], str | None]:
    """What PostgreSQL calls the refusal of a role's statement; None when it was done."""

    def refusal(role: str, statement: str) -> str | None:
        store = Store(installed.as_(role).database_url)
        try:
            store.write(lambda connection: connection.execute(text(statement)))
        except DBAPIError as error:
            return sqlstate(error)
        finally:
            store.close()
        return None

    return refusal


def test_gateway_worker_and_staff_do_their_whole_work(
    installed: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staff, serving = installed.as_("staff"), installed.as_("gateway")
    monkeypatch.setenv("BANKAPI_STORAGE_URL", staff.database_url)
    done(staff, "limit", "set", "--scope", "payer", "--day-count", "50")
    done(staff, "limit", "set", "--scope", "payer", "--day-count", "60")
    done(staff, "rate", "add", "KZT", "RUB", "0.17")
    done(staff, "dealer", "top-up", "DEMO-SHOP", "--amount", "7.50")
    request, _ = new_request(tmp_path, "till")
    done(staff, "terminal", "enrol", "TILL", "--dealer", "DEMO-SHOP", "--csr", request, "--out", tmp_path / "till.pem")
    done(staff, "terminal", "revoke", "TILL", "--all")
    done(staff, "terminal", "block", "TILL")
    strict = {"BANKAPI_STORAGE_URL": serving.database_url, "BANKAPI_STORAGE_ISOLATION": "serializable"}
    with start_gateway(serving, **strict) as running:
        atm, till = terminal_client(serving, "ATM-0001"), terminal_client(serving, "ATM-0101")
        assert code(atm.call("ValidatePayment", payment("-")[1:3])) == "OK"
        assert code(atm.call("RegisterPayment", payment("R1"))) == "OK"
        assert atm.call("RegisterPayment", payment("R1")).fields["replayed"] is True
        assert code(atm.call("RegisterPayment", payment("R1", "100.01"))) == "REFERENCE_CONFLICT"
        assert code(atm.call("RegisterPayment", payment("DEBT", "200.00", "79160000018"))) == "OK"
        assert code(till.call("RegisterPayment", payment("SHOP"))) == "OK"
        assert code(till.call("RegisterPayment", payment("TOO-MUCH", "9999.00"))) == "DEALER_FUNDS_INSUFFICIENT"
        cancel = [("Reference", "R1"), payment("R1")[2], ("Reason", "CUSTOMER_REQUEST")]
        assert code(atm.call("CancelPayment", cancel)) == "OK"
        never = [("Reference", "NEVER"), payment("NEVER")[2], ("Reason", "TIMEOUT")]
        assert atm.call("CancelPayment", never).fields["status"] == "VOIDED"
        for operation in ("GetBalance", "GetMiniStatement"):
            assert code(atm.call(operation, payment("-")[1:2])) == "OK"
        assert code(atm.call("GetPaymentStatus", [("Reference", "SHOP")])) == "OK"
        assert atm.call("GetBalance", [("Payer", [("Msisdn", "79169999999")])]).fields["code"] == "PAYER_NOT_FOUND"
        assert code(atm.call("Ping", [])) == "OK"
        wait_until_sealed(serving)
        assert "ProgrammingError" not in running.log(), "neither the gateway nor its worker was denied anything"
        assert "failure" not in running.log()
    monkeypatch.setenv("BANKAPI_STORAGE_URL", installed.as_("report").database_url)
    assert done(installed.as_("report"), "audit", "verify")["sound"] is True
    assert len(done(installed.as_("report"), "payment", "list")) == 5
    assert_sound(installed.as_("report"))


@pytest.mark.parametrize("role", ["gateway", "staff", "report"])
@pytest.mark.parametrize("change", WITHOUT_OWNERSHIP)
def test_nobody_but_the_owner_can_touch_a_fact(
    refusal: Callable[[str, str], str | None], role: str, change: str
) -> None:
    for table in FACTS:
        assert refusal(role, change.format(table=table)) == DENIED, (role, table)


@pytest.mark.parametrize("role", ["gateway", "staff", "report"])
def test_a_fact_cannot_be_updated(refusal: Callable[[str, str], str | None], role: str) -> None:
    """Where a role has a right to update, to lock a row or to empty what is archived, the trigger says no."""
    allowed = {"registers": "id", "exchanges": "request"} if role == "staff" else {"registers": "id"}
    for table in FACTS:
        column = metadata.tables[table].columns.keys()[-1]
        assert refusal(role, f"UPDATE {table} SET {column} = {column}") == DENIED, (role, table)
    if role != "report":
        rows = (
            "INSERT INTO registers SELECT 'X', 1, 'X', now()::date, 1, 1, 1, now() WHERE NOT EXISTS (TABLE registers)"
        )
        refusal(role, rows)
        for table, column in allowed.items():
            assert refusal(role, f"UPDATE {table} SET {column} = {column}") in ("23001", DENIED), (role, table)


@pytest.mark.parametrize("role", ["gateway", "staff", "report"])
@pytest.mark.parametrize(
    "statement",
    [
        "SET session_replication_role = replica",
        "UPDATE alembic_version SET version_num = '9999'",
        "INSERT INTO alembic_version VALUES ('9999')",
        "CREATE TABLE mine (id int)",
        "CREATE TEMPORARY TABLE mine (id int)",
        "SELECT setval('postings_id_seq', 1)",
        "SET ROLE bankapi_owner",
        "DELETE FROM balances",
        "UPDATE balances SET ledger_account_id = ledger_account_id",
        "DELETE FROM dealers",
    ],
)
def test_there_is_no_way_around(refusal: Callable[[str, str], str | None], role: str, statement: str) -> None:
    assert refusal(role, statement) == DENIED


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE terminals SET status = 'ACTIVE'",
        "UPDATE certificates SET revoked_at = NULL",
        "INSERT INTO certificates SELECT * FROM certificates",
        "UPDATE dealers SET overdraft_minor = 1000000",
        "UPDATE accounts SET credit_limit_minor = 1000000",
        "DELETE FROM limits",
        "UPDATE limits SET day_count_max = NULL",
        "INSERT INTO rates VALUES ('USD', 'RUB', now(), 1)",
    ],
)
def test_the_gateway_cannot_give_itself_rights(refusal: Callable[[str, str], str | None], statement: str) -> None:
    assert refusal("gateway", statement) == DENIED


def test_who_reports_writes_nothing(refusal: Callable[[str, str], str | None]) -> None:
    for table in metadata.tables:
        assert refusal("report", f"INSERT INTO {table} SELECT * FROM {table}") == DENIED
        assert refusal("report", f"SELECT count(*) FROM {table}") is None


def test_the_owner_upgrades(installed: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BANKAPI_STORAGE_URL", installed.as_("owner").database_url)
    assert done(installed.as_("owner"), "database", "upgrade", "--contract")["done"] == []
    assert done(installed.as_("owner"), "database", "status")["pending"] == []
