"""A database that cannot: callers are told that nothing was decided, and the gateway recovers by itself."""

import sqlite3

from bankapi.cli.payments import terminal_client
from bankapi.settings import Settings
from tests.exchange.test_registration import code, payment
from tests.running import start_gateway


def test_while_the_database_fails_nothing_is_decided_and_afterwards_the_same_reference_pays(
    installation: Settings,
) -> None:
    with start_gateway(installation) as running:
        atm = terminal_client(installation, "ATM-0001")
        rename = "ALTER TABLE {} RENAME TO {}"
        with sqlite3.connect(installation.home / "bankapi.db", timeout=30) as database:
            database.execute(rename.format("accounts", "accounts_away"))
        answer = atm.call("RegisterPayment", payment("AWAY-1"))
        assert (answer.is_fault, code(answer), answer.fields["retry"]) == (
            False,
            "TEMPORARILY_UNAVAILABLE",
            "SAME_REFERENCE",
        )
        assert "failure.storage" in running.log()
        assert "accounts" not in running.log(), "the database's own words stay inside"
        with sqlite3.connect(installation.home / "bankapi.db", timeout=30) as database:
            database.execute(rename.format("accounts_away", "accounts"))
        paid = atm.call("RegisterPayment", payment("AWAY-1"))
        assert (code(paid), paid.fields["replayed"]) == ("OK", False)
