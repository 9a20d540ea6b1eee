"""The trial balance as a document."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Final

from sqlalchemy import Connection

from bankapi.billing.ledger import LedgerAccountKind
from bankapi.billing.money import Money
from bankapi.languages.texts import message
from bankapi.reports.document import Column, Document, Row, Table, Unit
from bankapi.reports.headings import Heading
from bankapi.reports.trial_balance import TrialBalanceLine, trial_balance

_ACCOUNTS: Final = {
    LedgerAccountKind.CUSTOMER: message("Customers"),
    LedgerAccountKind.DEALER_RECEIVABLE: message("Owed by dealers"),
    LedgerAccountKind.DEALER_DEPOSIT: message("Deposits of dealers"),
    LedgerAccountKind.CONVERSION: message("Currency positions"),
    LedgerAccountKind.OPERATOR_REVENUE: message("Revenue"),
    LedgerAccountKind.OPERATOR_CASH: message("Cash"),
}


def trial_balance_document(connection: Connection, heading: Heading, first_on: date, last_on: date) -> Document:
    """Every account of the ledger, and per currency the sum of all, which is zero."""
    texts, gettext = heading.texts, heading.texts.gettext
    lines = trial_balance(connection, first_on, last_on)

    def row(name: str, owner: str | None, currency: str, of: Sequence[TrialBalanceLine]) -> Row:
        sums = (
            sum(line.opening_minor for line in of),
            sum(line.debit_minor for line in of),
            sum(line.credit_minor for line in of),
            sum(line.closing_minor for line in of),
        )
        return (name, owner, currency, *(Money(minor, currency) for minor in sums))

    currencies = sorted({line.currency for line in lines})
    table = Table(
        "trial_balance",
        gettext("Trial balance"),
        (
            Column("account", gettext("Account"), Unit.TEXT),
            Column("dealer", gettext("Dealer"), Unit.CODE),
            Column("currency", gettext("Currency"), Unit.CODE),
            Column("opening", gettext("Opening balance"), Unit.MONEY),
            Column("debit", gettext("Debit"), Unit.MONEY),
            Column("credit", gettext("Credit"), Unit.MONEY),
            Column("closing", gettext("Closing balance"), Unit.MONEY),
        ),
        [row(gettext(_ACCOUNTS[line.kind]), line.owner or None, line.currency, [line]) for line in lines],
        lambda: [
            row(gettext("Total"), None, currency, [line for line in lines if line.currency == currency])
            for currency in currencies
        ],
    )
    flat = replace(table, rows=[row(line.kind, line.owner or None, line.currency, [line]) for line in lines])
    return Document(
        gettext("Trial balance"), heading.facts(first_on, last_on), (table,), texts.language, heading.zone, flat=flat
    )
