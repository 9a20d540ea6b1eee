import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bankapi.operations.register_payment import RegisterPayment, register_payment
from bankapi.storage.columns import metadata
from tests.unit.conftest import START, Books, by_phone, rub

FACTS = sorted(table.name for table in metadata.tables.values() if table.info.get("append_only"))


def test_the_facts_are_the_tables_that_must_never_change() -> None:
    assert {"payments", "cancellations", "billing_transactions", "postings", "exchanges"} <= set(FACTS)


@pytest.mark.parametrize("table", ["payments", "postings", "billing_transactions", "ledger_accounts"])
@pytest.mark.parametrize("change", ["DELETE FROM {table}", "UPDATE {table} SET {column} = {column}"])
def test_the_database_itself_refuses_to_change_a_fact(books: Books, table: str, change: str) -> None:
    books.call(register_payment, RegisterPayment("R1", by_phone(1), rub("100"), START))
    column = metadata.tables[table].columns.keys()[1]
    with pytest.raises(DBAPIError, match="append-only"):
        books.store.write(lambda connection: connection.execute(text(change.format(table=table, column=column))))
