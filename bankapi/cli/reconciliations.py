"""`bankapi reconciliation`: what registers came to, the proof of it, and putting it right."""

import shutil
from collections.abc import Sequence
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click
from sqlalchemy import Connection

from bankapi import clock
from bankapi.billing import directory
from bankapi.cli.administration import found, opened, read, write
from bankapi.cli.document_files import dealers_heading, document_options, format_of, write_document
from bankapi.cli.output import REFUSED, json_option, refused, show, show_all
from bankapi.cli.parameters import CURRENCY, NUMBER, Value, money, read_amount
from bankapi.gateway import cards, keys
from bankapi.reports import corrections, reconciliation, reconciliation_export, reconciliation_notes, registers
from bankapi.reports.comparison import Difference
from bankapi.reports.corrections import BookedCorrection, Correction, CorrectionRefused
from bankapi.reports.headings import Heading
from bankapi.reports.reconciliation import CannotReconcile, Reconciliation
from bankapi.reports.reconciliation_document import reconciliation_document
from bankapi.reports.reconciliation_export import ExportRefused
from bankapi.reports.registers import REFERENCE
from bankapi.settings import Settings
from bankapi.storage.engine import Store

_REASON_MAX: Final = 500
_PERSON_MAX: Final = 200
_WHOLE: Final = ("status", "amount", "business_on", "occurred_at", "terminal", "payment_id")
_BRIEF: Final = _WHOLE[:3]


@click.group("reconciliation")
def reconciliation_() -> None:
    """Results of comparing registers with the books. They are facts: comparing again is a new run."""


@reconciliation_.command("list")
@click.option("--dealer", help="Only this dealer's.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many at most.")
@json_option
@click.pass_obj
def list_(settings: Settings, dealer: str | None, limit: int, as_json: bool) -> None:
    """List results, newest first."""

    def look(connection: Connection) -> list[dict[str, Any]]:
        if dealer is not None:
            found(directory.find_dealer(connection, dealer), "dealer", dealer)
        return [
            {
                "reconciliation_id": each.id,
                "dealer": each.register.dealer,
                "register": each.register.announced.reference,
                "business_on": each.register.announced.business_on,
                "run": each.run,
                "as_of": each.as_of,
                "rows": each.register.announced.totals.row_count,
                "matched": each.matched,
                "differences": each.difference_count,
            }
            for each in reconciliation.list_reconciliations(connection, dealer=dealer, most=limit)
        ]

    show_all(read(settings, look), as_json)


@reconciliation_.command("show")
@click.argument("reconciliation_id", metavar="ID")
@click.option("--after", type=click.IntRange(0), default=0, help="Show the differences after this number.")
@click.option("--limit", type=click.IntRange(0, 10_000), default=100, show_default=True, help="Differences shown.")
@document_options
@json_option
@click.pass_obj
def show_(
    settings: Settings,
    /,
    reconciliation_id: str,
    after: int,
    limit: int,
    output: Path | None,
    format_: str | None,
    language: str,
    as_json: bool,
) -> None:
    """Show a result with its differences and what was corrected since; with --output write a document, too."""

    def look(connection: Connection) -> dict[str, Any]:
        result = _found(connection, reconciliation_id)
        if output is not None:
            write_differences(connection, result, output, format_, language)
        return fields_of(connection, result, limit, after, is_brief=not as_json)

    show(read(settings, look), as_json)


@reconciliation_.command("again")
@click.argument("reconciliation_id", metavar="ID")
@click.option("--limit", type=click.IntRange(0, 10_000), default=100, show_default=True, help="Differences shown.")
@json_option
@click.pass_obj
def again_(settings: Settings, reconciliation_id: str, limit: int, as_json: bool) -> None:
    """Compare the register of a result again: a new run beside the old ones. Exit codes as bankapi reconcile."""
    with opened(settings) as store:
        with store.read() as connection:
            register_id = _found(connection, reconciliation_id).register.id
        try:
            result = reconciliation.reconcile(store, register_id, clock.utc_now())
        except CannotReconcile as error:
            raise refused(str(error)) from error
        sign(settings, store)
        with store.read() as connection:
            shown = fields_of(connection, result, limit, is_brief=not as_json)
    show(shown, as_json)
    if result.difference_count:
        click.get_current_context().exit(REFUSED)


@reconciliation_.command("export")
@click.argument("reconciliation_id", metavar="ID")
@click.option("--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="A new folder.")
@json_option
@click.pass_obj
def export_(settings: Settings, reconciliation_id: str, output: Path, as_json: bool) -> None:
    """Write a folder that proves a result: the register as received, the differences, and the signed note.

    Anybody verifies it with openssl alone: README.txt in it says how.
    """
    with opened(settings) as store:
        sign(settings, store)
        with store.read() as connection:
            result = _found(connection, reconciliation_id)
            if output.exists():
                raise refused(f"{output} exists already")
            try:
                reconciliation_export.export(connection, result, _heading(connection, result, "en"), output)
            except BaseException as error:
                shutil.rmtree(output, ignore_errors=True)
                if isinstance(error, ExportRefused):
                    raise refused(f"reconciliation {reconciliation_id}: {error}") from error
                raise
    show({"folder": str(output), "digest": result.digest}, as_json)


def _read_difference(text: str) -> tuple[str, int]:
    reconciliation_id, _, number = text.partition("/")
    if not (reconciliation_id.isalnum() and number.isascii() and number.isdigit() and len(number) < 10):
        raise ValueError("is not a reconciliation's ID and a number, such as 01J…/7")
    return reconciliation_id, int(number)


def _read_reference(text: str) -> str:
    if not REFERENCE.fullmatch(text):
        raise ValueError("is not 1 to 64 letters, digits and . _ : / -")
    return text


def _words(longest: int) -> Any:
    def read_words(text: str) -> str:
        if not text.strip() or len(text) > longest or not text.isprintable():
            raise ValueError(f"is not a line of 1 to {longest} characters")
        if cards.are_in([text]):
            raise ValueError("could hold a card number, which must not be kept")
        return text.strip()

    return read_words


@reconciliation_.command("correct")
@click.argument("difference", type=Value(_read_difference, "ID/NUMBER"))
@click.option(
    "--amount", type=Value(read_amount, "amount"), required=True, help="Taken from the dealer; negative the other way."
)
@click.option("--currency", type=CURRENCY, required=True, help="ISO 4217 code.")
@click.option("--account", type=NUMBER, help="The customer's billing account.  [default: the operator's revenue]")
@click.option("--reason", type=Value(_words(_REASON_MAX), "words"), required=True, help="Why; it is kept for ever.")
@click.option("--by", "corrected_by", type=Value(_words(_PERSON_MAX), "name"), required=True, help="Who decided it.")
@click.option(
    "--reference", type=Value(_read_reference, "reference"), help="Your name of it.  [default: the difference's]"
)
@json_option
@click.pass_obj
def correct_(
    settings: Settings,
    /,
    difference: tuple[str, int],
    amount: Decimal,
    currency: str,
    account: str | None,
    reason: str,
    corrected_by: str,
    reference: str | None,
    as_json: bool,
) -> None:
    """Book a correction because of a difference, such as 01J…/7. The payment stays what it is.

    The dealer's account is charged with the amount, as by a payment, and the customer's account or the operator's
    revenue is given it; with a negative amount it is the other way. The same reference books once.
    """
    reconciliation_id, number = difference
    asked = Correction(
        reference=reference or f"{reconciliation_id}/{number}",
        reconciliation_id=reconciliation_id,
        difference_number=number,
        amount=money(amount, currency),
        account_number=account,
        reason=reason,
        corrected_by=corrected_by,
    )
    try:
        booked = write(settings, lambda connection: corrections.correct(connection, asked, clock.utc_now()))
    except CorrectionRefused as error:
        raise refused(str(error)) from error
    show({**_correction_fields(booked), "repeated": booked.is_repeated}, as_json)


def sign(settings: Settings, store: Store) -> None:
    """Sign what is not signed yet, by the gateway's signing key."""
    with store.read() as connection:
        if not reconciliation_notes.has_unsigned(connection):
            return
    identity = keys.load_identity(settings.gateway_file("signing-cert.pem"), settings.gateway_file("signing-key.pem"))
    reconciliation_notes.sign_results(store, settings.evidence.origin, identity, clock.utc_now())


def fields_of(
    connection: Connection, result: Reconciliation, limit: int, after: int = 0, *, is_brief: bool
) -> dict[str, Any]:
    """A result as it is printed, with the first of its differences after a number: for a screen, or whole."""
    announced = result.register.announced
    first = islice(reconciliation.differences(connection, result, after=after), limit)
    shown = [_difference_fields(each, _BRIEF if is_brief else _WHOLE) for each in first]
    corrected = [_correction_fields(each) for each in corrections.of_reconciliation(connection, result.id)]
    return {
        "reconciliation_id": result.id,
        "dealer": result.register.dealer,
        "register": announced.reference,
        "business_on": announced.business_on,
        "run": result.run,
        "as_of": result.as_of,
        "day_is_closed": result.day_is_closed,
        "rows": announced.totals.row_count,
        "hash_total": registers.total_text(announced.totals.hash_total),
        "matched": result.matched,
        **{kind.lower(): count for kind, count in result.counts.items()},
        "differences_total": result.difference_count,
        "digest": result.digest,
        "signed": reconciliation_notes.note_of(connection, result.id) is not None,
        "differences": shown,
        "corrections": corrected,
    }


def write_differences(
    connection: Connection, result: Reconciliation, output: Path, format_: str | None, language: str
) -> None:
    """Write a result with all of its differences for people to read."""
    document = reconciliation_document(connection, _heading(connection, result, language), result)
    write_document(connection, document, format_of(format_, output), output)


def _heading(connection: Connection, result: Reconciliation, language: str) -> Heading:
    dealer = result.register.dealer
    return dealers_heading(found(directory.find_dealer(connection, dealer), "dealer", dealer), language)


def _found(connection: Connection, reconciliation_id: str) -> Reconciliation:
    return found(reconciliation.find(connection, reconciliation_id), "reconciliation", reconciliation_id)


def _difference_fields(difference: Difference, of_sides: Sequence[str]) -> dict[str, Any]:
    sides = {"their": difference.theirs, "our": difference.ours}
    return {
        "number": difference.number,
        "kind": difference.kind,
        "row": difference.row_number,
        "reference": difference.reference,
        **{f"{whose}_{name}": side and getattr(side, name) for whose, side in sides.items() for name in of_sides},
    }


def _correction_fields(booked: BookedCorrection) -> dict[str, Any]:
    correction = booked.correction
    return {
        "reference": correction.reference,
        "difference": f"{correction.reconciliation_id}/{correction.difference_number}",
        "dealer": booked.dealer,
        "amount": correction.amount,
        "account": correction.account_number,
        "reason": correction.reason,
        "corrected_by": correction.corrected_by,
        "corrected_at": booked.corrected_at,
        "business_on": booked.business_on,
        "billing_transaction": booked.billing_transaction_id,
    }
