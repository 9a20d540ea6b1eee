"""`bankapi payment`: what staff look up when a bank or a customer asks."""

from dataclasses import fields
from datetime import datetime
from typing import Any, Final

import click
from sqlalchemy import Connection

from bankapi.billing import inquiries
from bankapi.billing.customers import masked_name
from bankapi.billing.inquiries import Movement
from bankapi.billing.money import Money
from bankapi.cli.administration import read
from bankapi.cli.output import json_option, refused, show, show_all
from bankapi.cli.parameters import DAY
from bankapi.settings import Settings

_FACTS: Final = (
    "paid_at",
    "validation_id",
    "card_bin",
    "card_last_four",
    "rrn",
    "authorization_code",
    "exchange_id",
    "cancelled_at",
    "cancel_reason",
    "cancel_terminal",
)


@click.group()
def payment() -> None:
    """Payments that were registered, declined or voided, of every dealer."""


@payment.command("list")
@click.option("--dealer", help="Only this dealer's.")
@click.option("--terminal", help="Only this terminal's.")
@click.option("--from", "first", type=DAY, help="From this business day of the dealer on.")
@click.option("--to", "last", type=DAY, help="Up to this business day, included.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many at most.")
@json_option
@click.pass_obj
def list_(
    settings: Settings,
    dealer: str | None,
    terminal: str | None,
    first: datetime | None,
    last: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """List payments, newest first."""

    def look(connection: Connection) -> list[Any]:
        return inquiries.list_payments(
            connection,
            dealer=dealer,
            terminal=terminal,
            first_on=first and first.date(),
            last_on=last and last.date(),
            most=limit,
        )

    shown = ("payment_id", "dealer", "terminal", "reference", "state", "result", "decided_at", "amount")
    rows = [_fields(row) for row in read(settings, look)]
    show_all([{name: row[name] for name in shown} for row in rows], as_json)


@payment.command("show")
@click.argument("payment_id", metavar="[ID]", required=False)
@click.option("--reference", help="The dealer's reference.")
@click.option("--dealer", help="Whose reference it is.")
@json_option
@click.pass_obj
def show_(settings: Settings, payment_id: str | None, reference: str | None, dealer: str | None, as_json: bool) -> None:
    """Show a payment by our ID, or by a dealer's reference: its facts, its cancellation and its postings."""
    if (payment_id is None) == (reference is None) or (reference is None) != (dealer is None):
        raise click.UsageError("give an ID, or --reference and --dealer")

    def look(connection: Connection) -> dict[str, Any]:
        row = inquiries.find_payment(connection, payment_id=payment_id, reference=reference, dealer=dealer)
        if row is None:
            raise refused("there is no such payment")
        facts = {name: value for name in _FACTS if (value := getattr(row, name)) is not None}
        return {
            **_fields(row),
            **facts,
            "postings": [_posting(each) for each in inquiries.movements(connection, row.id)],
        }

    show(read(settings, look), as_json)


def _fields(row: Any) -> dict[str, Any]:
    return {
        "payment_id": row.id,
        "dealer": row.dealer,
        "terminal": row.terminal,
        "reference": row.reference,
        "state": "CANCELLED" if row.cancelled_at else row.disposition,
        "result": row.result,
        "decided_at": row.decided_at,
        "business_on": row.business_on,
        "payer": row.payer_value,
        "account": row.account_number,
        "payer_name": row.payer_name and masked_name(row.payer_name),
        "amount": _money(row.amount_minor, row.currency),
        "credited": _money(row.credited_minor, row.credited_currency),
        "rate": row.rate,
        "fee": _money(row.fee_minor, row.fee_currency),
    }


def _posting(movement: Movement) -> dict[str, Any]:
    return {field.name: getattr(movement, field.name) for field in fields(movement)}


def _money(minor: int | None, currency: str | None) -> Money | None:
    return None if minor is None or currency is None else Money(minor, currency)
