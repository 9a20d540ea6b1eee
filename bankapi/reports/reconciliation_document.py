"""A reconciliation as a document: what it came to, and every difference with both sides."""

from collections.abc import Iterator, Sequence
from typing import Final

from sqlalchemy import Connection

from bankapi.languages.texts import Texts, message
from bankapi.reports import reconciliation
from bankapi.reports.comparison import Difference, DifferenceKind, Side
from bankapi.reports.document import Cell, Column, Document, Row, Table, Unit
from bankapi.reports.headings import Heading
from bankapi.reports.reconciliation import Reconciliation
from bankapi.reports.registers import total_text

KINDS: Final = {
    DifferenceKind.DUPLICATE: message("Listed more than once"),
    DifferenceKind.MISSING_HERE: message("Unknown to the operator"),
    DifferenceKind.AMOUNT_DIFFERS: message("Amount differs"),
    DifferenceKind.STATUS_DIFFERS: message("Status differs"),
    DifferenceKind.OTHER_DAY: message("Belongs to another day"),
    DifferenceKind.MISSING_THERE: message("Missing in the register"),
}


def reconciliation_document(connection: Connection, heading: Heading, found: Reconciliation) -> Document:
    """What a run came to. The differences are read while they are written."""
    texts, day = heading.texts, found.register.announced.business_on
    announced = found.register.announced
    facts = (
        (texts.gettext("Register"), announced.reference),
        (texts.gettext("Hash total"), total_text(announced.totals.hash_total)),
        (texts.gettext("Run"), str(found.run)),
        (texts.gettext("As of"), heading.texts.instant(found.as_of, heading.zone)),
        ("SHA-256", found.digest.hex()),
    )
    differences = Table(
        "differences",
        texts.gettext("Differences"),
        _columns(heading.texts),
        _rows(reconciliation.differences(connection, found)),
    )
    return Document(
        texts.gettext("Reconciliation"),
        heading.facts(day, day, *facts),
        (_summary(heading.texts, found), differences),
        heading.texts.language,
        heading.zone,
        flat=differences,
    )


def _summary(texts: Texts, found: Reconciliation) -> Table:
    rows: list[Row] = [
        (texts.gettext("Rows of the register"), found.register.announced.totals.row_count),
        (texts.gettext("Matched"), found.matched),
        *((texts.gettext(KINDS[kind]), found.counts[kind]) for kind in DifferenceKind),
    ]
    columns = (
        Column("result", texts.gettext("Result"), Unit.TEXT),
        Column("count", texts.gettext("Count"), Unit.COUNT),
    )
    return Table("summary", texts.gettext("Result"), columns, rows)


def _columns(texts: Texts) -> Sequence[Column]:

    def title(whose: str, what: str) -> str:
        return texts.gettext("{whose}: {what}", whose=whose, what=what)

    def side(name: str, whose: str) -> Iterator[Column]:
        yield Column(f"{name}_status", title(whose, texts.gettext("Status")), Unit.CODE)
        money, currency = title(whose, texts.gettext("Amount")), title(whose, texts.gettext("Currency"))
        yield Column(f"{name}_amount", money, Unit.MONEY, f"{name}_currency", currency)
        yield Column(f"{name}_business_on", title(whose, texts.gettext("Business day")), Unit.DAY)
        yield Column(f"{name}_occurred_at", title(whose, texts.gettext("Time")), Unit.INSTANT)
        yield Column(f"{name}_terminal", title(whose, texts.gettext("Terminal")), Unit.CODE)
        yield Column(f"{name}_payment_id", title(whose, texts.gettext("Payment")), Unit.CODE)

    return (
        Column("number", texts.gettext("No."), Unit.COUNT),
        Column("kind", texts.gettext("Difference"), Unit.CODE),
        Column("row", texts.gettext("Row"), Unit.COUNT),
        Column("reference", texts.gettext("Reference"), Unit.CODE),
        *side("their", texts.gettext("Dealer")),
        *side("our", texts.gettext("Operator")),
    )


def _rows(differences: Iterator[Difference]) -> Iterator[Row]:
    for each in differences:
        first: tuple[Cell, ...] = (each.number, each.kind.value, each.row_number, each.reference)
        yield (*first, *_cells(each.theirs), *_cells(each.ours))


def _cells(side: Side | None) -> tuple[Cell, ...]:
    if side is None:
        return (None,) * 6
    return side.status, side.amount, side.business_on, side.occurred_at, side.terminal, side.payment_id
