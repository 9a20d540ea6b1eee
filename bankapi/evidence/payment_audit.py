"""Payments and cancellations against the signed messages: each row says what was asked and answered, and none lacks.

The rows come as a stream in the order of their exchanges, so that one pass over the journal compares them all.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, Table, select

from bankapi.billing import payments as payment_rules
from bankapi.billing.money import Money
from bankapi.billing.payers import PayerKey, PayerKind
from bankapi.billing.payments import Disposition
from bankapi.billing.tables import cancellations, payments, terminals
from bankapi.evidence.claims import Answered, Asked
from bankapi.evidence.exchange_audit import Examined
from bankapi.evidence.findings import Findings, Kind
from bankapi.evidence.reading import day, decimal, instant, instant_or_none, number, octets, raw, text
from bankapi.evidence.tables import exchanges
from bankapi.refusals import ResultCode
from bankapi.storage.rows import stream

REGISTER: Final = "RegisterPayment"
CANCEL: Final = "CancelPayment"
_DECIDING_DECLINES: Final = frozenset(
    {
        ResultCode.PAYER_NOT_FOUND,
        ResultCode.PAYER_BLOCKED,
        ResultCode.SERVICE_TERMINATED,
        ResultCode.AMOUNT_TOO_SMALL,
        ResultCode.AMOUNT_TOO_LARGE,
        ResultCode.LIMIT_EXCEEDED,
        ResultCode.CURRENCY_NOT_ACCEPTED,
        ResultCode.DEALER_FUNDS_INSUFFICIENT,
    }
)
"""Results of RegisterPayment that settle a reference as DECLINED."""


_OF_EVERY_REFERENCE: Final = frozenset(
    [
        *("id", "dealer_id", "terminal_id", "scheme", "reference", "disposition", "result"),
        *("decided_at", "business_on", "exchange_id"),
    ]
)
_OF_A_PAYMENT: Final = tuple(c.name for c in payments.columns if c.name not in _OF_EVERY_REFERENCE)
"""What a voided reference has not."""


def _rows(table: Table) -> Select[Any]:
    """The rows of a table with the row number of their exchange, in its order."""
    return (
        select(
            exchanges.c.id.label("exchange_row_id"),
            raw(terminals.c.dealer_id).label("terminal_dealer_id"),
            *(raw(column) for column in table.columns),
        )
        .join_from(table, exchanges, exchanges.c.exchange_id == table.c.exchange_id)
        .outerjoin(terminals, terminals.c.id == table.c.terminal_id)
        .order_by(exchanges.c.id)
    )


class PaymentAudit:
    """Compares the rows of each exchange as the exchanges come by."""

    def __init__(self, connection: Connection, findings: Findings) -> None:
        self._findings = findings
        self._payments = _Grouped(stream(connection, _rows(payments)))
        self._cancellations = _Grouped(stream(connection, _rows(cancellations)))
        self._orphans(connection, payments, Kind.PAYMENT_EXCHANGE, "payment")
        self._orphans(connection, cancellations, Kind.CANCELLATION_EXCHANGE, "cancellation")

    @property
    def payments(self) -> int:
        return self._payments.count

    @property
    def cancellations(self) -> int:
        return self._cancellations.count

    def compare(self, exchange: Examined) -> None:
        """The rows that say they are of this exchange. Call it in the order of the journal's rows."""
        paid = self._payments.of(exchange.row_id)
        cancelled = self._cancellations.of(exchange.row_id)
        for row in paid:
            self._compare_payment(row, exchange)
        for row in cancelled:
            self._compare_cancellation(row, exchange)
        place = f"exchange {exchange.content.exchange_id}"
        if len(paid) > (2 if _is_unsigned_voiding(paid, exchange) else 1):
            self._findings.add(Kind.PAYMENT_EXCHANGE, place, f"{len(paid)} payments say they are of it")
        if len(cancelled) > 1:
            self._findings.add(Kind.CANCELLATION_EXCHANGE, place, f"{len(cancelled)} cancellations say they are of it")
        expected = _expected(exchange)
        if expected is not None and not any(row.disposition == expected for row in paid):
            self._findings.add(Kind.PAYMENT_MISSING, place, f"its answer made a {expected} payment, which is not there")
        if _makes_cancellation(exchange) and not cancelled:
            self._findings.add(Kind.CANCELLATION_MISSING, place, "its answer made a cancellation, which is not there")

    def _compare_payment(self, row: Row[Any], exchange: Examined) -> None:
        place, content = f"payment {row.id}", exchange.content
        is_voided = row.disposition == Disposition.VOIDED
        outcome = ResultCode.OK if is_voided else row.result
        if content.operation != (CANCEL if is_voided else REGISTER) or content.outcome != outcome or content.rule:
            what = f"exchange {content.exchange_id} is none that makes such a payment"
            self._findings.add(Kind.PAYMENT_EXCHANGE, place, what)
            return
        facts: list[tuple[str, object, object]] = _account_facts(row, exchange)
        facts += _decided_facts(row, exchange)
        if exchange.asked is not None:
            facts += _voided_facts(row, exchange.asked) if is_voided else _asked_facts(row, exchange.asked)
        if exchange.answered is not None:
            if exchange.answered.replayed is not False:
                self._findings.add(Kind.PAYMENT_EXCHANGE, place, "its exchange repeats an earlier answer")
            facts += _void_answer_facts(row, exchange.answered) if is_voided else _answer_facts(row, exchange.answered)
        self._differences(Kind.PAYMENT_DIFFERS, place, facts)

    def _compare_cancellation(self, row: Row[Any], exchange: Examined) -> None:
        place, content = f"cancellation {row.id}", exchange.content
        if content.operation != CANCEL or content.outcome != ResultCode.OK or content.rule:
            what = f"exchange {content.exchange_id} is none that makes a cancellation"
            self._findings.add(Kind.CANCELLATION_EXCHANGE, place, what)
            return
        facts: list[tuple[str, object, object]] = _account_facts(row, exchange)[:1]
        if exchange.asked is not None:
            facts.append(("reason", text(row.reason), exchange.asked.reason))
        answered = exchange.answered
        if answered is not None:
            if answered.replayed is not False or answered.status != "CANCELLED":
                self._findings.add(Kind.CANCELLATION_EXCHANGE, place, "the signed answer cancels nothing anew")
            facts.append(("payment_id", text(row.payment_id), answered.payment_id))
            facts.append(("cancelled_at", _milliseconds(instant(row.cancelled_at)), answered.cancelled_at))
        self._differences(Kind.CANCELLATION_DIFFERS, place, facts)

    def _differences(self, kind: Kind, place: str, facts: list[tuple[str, object, object]]) -> None:
        differing = [name for name, stored, signed in facts if stored != signed]
        if differing:
            self._findings.add(kind, place, f"not as it was signed: {', '.join(differing)}")

    def _orphans(self, connection: Connection, table: Table, kind: Kind, name: str) -> None:
        missing = (
            select(raw(table.c.id))
            .join_from(table, exchanges, exchanges.c.exchange_id == table.c.exchange_id, isouter=True)
            .where(exchanges.c.id.is_(None))
        )
        for row in stream(connection, missing):
            self._findings.add(kind, f"{name} {row[0]}", "its exchange is not in the journal")


class _Grouped:
    """Rows in the order of their exchange, taken exchange by exchange."""

    def __init__(self, rows: Iterator[Row[Any]]) -> None:
        self._rows = rows
        self._next = next(rows, None)
        self.count = 0

    def of(self, exchange_row_id: int) -> list[Row[Any]]:
        found = []
        while self._next is not None and (number(self._next.exchange_row_id) or 0) <= exchange_row_id:
            if self._next.exchange_row_id == exchange_row_id:
                found.append(self._next)
            self.count += 1
            self._next = next(self._rows, None)
        return found


def _is_unsigned_voiding(paid: list[Row[Any]], exchange: Examined) -> bool:
    """A reversal without a signature settles its reference dated the day before, too."""
    return exchange.content.signing_fingerprint is None and all(row.disposition == Disposition.VOIDED for row in paid)


def _expected(exchange: Examined) -> Disposition | None:
    """What the signed answer says this exchange has made of a reference."""
    answered = exchange.answered
    if answered is None or answered.is_fault or answered.replayed is not False:
        return None
    if exchange.content.operation == REGISTER:
        if answered.code == ResultCode.OK:
            return Disposition.REGISTERED
        return Disposition.DECLINED if answered.code in _DECIDING_DECLINES else None
    is_voided = exchange.content.operation == CANCEL and answered.status == "VOIDED"
    return Disposition.VOIDED if is_voided else None


def _makes_cancellation(exchange: Examined) -> bool:
    answered = exchange.answered
    return (
        exchange.content.operation == CANCEL
        and answered is not None
        and answered.replayed is False
        and answered.status == "CANCELLED"
    )


# Facts: the name of a column, what the row says, and what was signed


def _account_facts(row: Row[Any], exchange: Examined) -> list[tuple[str, object, object]]:
    facts: list[tuple[str, object, object]] = [
        ("terminal_id", number(row.terminal_id), exchange.content.terminal_id),
    ]
    if "dealer_id" in row._fields:
        facts.append(("dealer_id", number(row.dealer_id), row.terminal_dealer_id))
    return facts


def _decided_facts(row: Row[Any], exchange: Examined) -> list[tuple[str, object, object]]:
    """Times that the exchange bounds; the business day, whose zone the dealer may have changed since, to a day."""
    decided_at = instant(row.decided_at)
    is_within = exchange.content.received_at <= decided_at <= exchange.content.answered_at
    return [("decided_at", is_within, True), ("business_on", _is_near(day(row.business_on), decided_at), True)]


def _asked_facts(row: Row[Any], asked: Asked) -> list[tuple[str, object, object]]:
    amount = _money(row.amount_minor, row.currency)
    payer = (text(row.payer_kind), text(row.payer_value))
    return [
        ("reference", text(row.reference), asked.reference),
        ("payer", payer, asked.payer),
        ("amount", amount, asked.amount),
        ("fee", _money(row.fee_minor, row.fee_currency), asked.fee),
        ("paid_at", instant_or_none(row.paid_at), asked.paid_at),
        ("fingerprint", octets(row.fingerprint), _fingerprint(asked)),
        *((column, text(getattr(row, column)), signed) for column, signed in asked.texts.items()),
    ]


def _answer_facts(row: Row[Any], answered: Answered) -> list[tuple[str, object, object]]:
    is_registered = answered.code == ResultCode.OK
    facts: list[tuple[str, object, object]] = [
        ("disposition", row.disposition, Disposition.REGISTERED if is_registered else Disposition.DECLINED),
        ("credited", _money(row.credited_minor, row.credited_currency), answered.credited),
        ("rate", decimal(row.rate), answered.rate),
    ]
    if is_registered:
        facts.append(("id", text(row.id), answered.payment_id))
        facts.append(("decided_at", _milliseconds(instant(row.decided_at)), answered.registered_at))
    else:
        facts.append(("counted", row.counted, None))
    return facts


def _voided_facts(row: Row[Any], asked: Asked) -> list[tuple[str, object, object]]:
    unset = [(column, getattr(row, column), None) for column in _OF_A_PAYMENT]
    is_asked = row.reference is not None and text(row.reference) in (asked.reference, asked.reference_before)
    return [
        ("reference", is_asked, True),
        ("result", row.result, ResultCode.REFERENCE_VOIDED),
        *unset,
    ]


def _void_answer_facts(row: Row[Any], answered: Answered) -> list[tuple[str, object, object]]:
    return [
        ("disposition", row.disposition, answered.status),
        ("decided_at", _milliseconds(instant(row.decided_at)), answered.cancelled_at),
    ]


def _fingerprint(asked: Asked) -> bytes | None:
    if asked.payer is None or asked.amount is None:
        return None
    return payment_rules.fingerprint(PayerKey(PayerKind(asked.payer[0]), asked.payer[1]), asked.amount)


def _money(minor: object, currency: object) -> Money | None:
    if minor is None and currency is None:
        return None
    value = number(minor)
    return Money(-1 if value is None else value, text(currency) or "")


def _milliseconds(at: datetime) -> datetime:
    """As the contract writes it."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _is_near(business_on: date, at: datetime) -> bool:
    """The calendar day of some zone, or the next one where that day was closed already."""
    return timedelta(days=-1) <= business_on - at.astimezone(UTC).date() <= timedelta(days=2)
