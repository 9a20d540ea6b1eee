"""The service of the contract: each method translates a message, calls its operation, and translates the answer.

To add an operation: its two messages in `messages`, what it can answer in `codes`, a method here. Its name, SOAPAction,
messages, fault and documentation in the WSDL follow from the method.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from spyne import Service, rpc

from bankapi.billing.money import AmountError, Money
from bankapi.billing.payers import PayerKey, PayerKind
from bankapi.contract import codes
from bankapi.contract import messages as m
from bankapi.contract import types as t
from bankapi.languages import catalog
from bankapi.operations import (
    cancel_payment,
    get_balance,
    get_financial_report,
    get_mini_statement,
    get_payment_status,
    get_reconciliation,
    get_transaction_report,
    ping,
    register_payment,
    submit_register,
    validate_payment,
)
from bankapi.operations.call import Call
from bankapi.refusals import Refusal, ResultCode, Rule, SchemaViolation
from bankapi.reports.comparison import DifferenceKind, Side
from bankapi.reports.financial import Balance, Line
from bankapi.reports.reconciliation import Reconciliation
from bankapi.reports.registers import RegisterRow, RowStatus
from bankapi.reports.transactions import Event, Transaction

VERSION: Final = "1.0.0"
"""Of this contract (semantic versioning): the first number is the one in the namespace."""


UNAVAILABLE: Final[dict[str, Callable[[str, datetime], Any]]] = {
    "Ping": lambda language, now: m.PingResponse(
        Result=_result(ResultCode.OK, language),
        Status=ping.ServiceState.UNAVAILABLE,
        ServerTime=now,
        ContractVersion=VERSION,
    )
}
"""What each operation answers, in a language and at an instant, while nothing can be decided."""

_BOOKED: Final = frozenset({Event.REGISTERED, Event.CANCELLED})
"""What becomes of a payment whose id a dealer knows."""

_ALWAYS_ALLOWED: Final = frozenset({"Ping"})
"""The operations that no terminal is denied: an integrator's first call."""


def operation(request: Any, response: Any, **refused: Any) -> Callable[[Any], Any]:
    """Publish a method as a document/literal bare operation that declares the typed fault.

    A terminal that may not call it is refused here, before anything of the request is interpreted. `refused` are the
    mandatory members of that answer beside Result.
    """

    def publish(method: Callable[[Any, Any], Any]) -> Any:
        name = method.__name__

        def admitted(ctx: Any, request: Any) -> Any:
            call: Call = ctx.udc
            if name in _ALWAYS_ALLOWED or call.terminal.may_call(name):
                return method(ctx, request)
            return response(Result=_result(ResultCode.OPERATION_NOT_ALLOWED, call.language), **refused)

        def unavailable(language: str, _: datetime) -> Any:
            return response(Result=_result(ResultCode.TEMPORARILY_UNAVAILABLE, language), **refused)

        UNAVAILABLE.setdefault(name, unavailable)
        admitted.__name__ = name
        admitted.__doc__ = f"{method.__doc__} {codes.precedence_words(name)}".rstrip()
        return rpc(
            request,
            _returns=response,
            _in_message_name=request.get_type_name(),
            _out_message_name=response.get_type_name(),
            _body_style="bare",
            _throws=m.BankApiFault,
        )(admitted)

    return publish


class BankApi(Service):
    """Payments to the operator's customers. `ctx.udc` is the admitted `Call`."""

    @operation(m.ValidatePaymentRequest, m.ValidatePaymentResponse)
    def ValidatePayment(ctx: Any, request: Any) -> Any:
        """Would this payment be taken now? Books nothing, promises an amount and a rate for a while."""
        call: Call = ctx.udc
        answer = validate_payment.validate_payment(
            call, validate_payment.ValidatePayment(_payer(request), _money(request, "Amount"))
        )
        return m.ValidatePaymentResponse(
            Result=_result(answer.result, call.language),
            ValidationId=answer.validation_id,
            ValidUntil=answer.valid_until,
            PayerName=answer.payer_name,
            ServiceStatus=answer.service_status,
            MinimumAmount=_amount(answer.amount_min),
            MaximumAmount=_amount(answer.amount_max),
            Fee=_amount(answer.fee),
            CreditedAmount=_amount(answer.credited),
            Rate=answer.rate,
        )

    @operation(m.RegisterPaymentRequest, m.RegisterPaymentResponse, Replayed=False)
    def RegisterPayment(ctx: Any, request: Any) -> Any:
        """Book a payment, exactly once for your Reference. After a lost answer, send the same request again."""
        call: Call = ctx.udc
        answer = register_payment.register_payment(
            call,
            register_payment.RegisterPayment(
                reference=request.Reference,
                payer=_payer(request),
                amount=_money(request, "Amount"),
                paid_at=request.PaidAt,
                validation_id=request.ValidationId,
                card_bin=request.CardBin,
                card_last_four=request.CardLastFour,
                rrn=request.Rrn,
                authorization_code=request.AuthorizationCode,
                fee=_money(request, "Fee") if request.Fee is not None else None,
            ),
        )
        return m.RegisterPaymentResponse(
            Result=_result(answer.result, call.language),
            Replayed=answer.replayed,
            PaymentId=answer.payment_id,
            RegisteredAt=answer.registered_at,
            CreditedAmount=_amount(answer.credited),
            Rate=answer.rate,
            ReceiptLine=answer.receipt_lines,
        )

    @operation(m.CancelPaymentRequest, m.CancelPaymentResponse, Replayed=False)
    def CancelPayment(ctx: Any, request: Any) -> Any:
        """Make sure that nothing of a payment stands, even of one that has not reached us. Safe to repeat."""
        call: Call = ctx.udc
        answer = cancel_payment.cancel_payment(
            call,
            cancel_payment.CancelPayment(
                amount=_money(request, "Amount"),
                reason=cancel_payment.CancelReason(request.Reason),
                reference=request.Reference,
                payment_id=request.PaymentId,
            ),
        )
        return m.CancelPaymentResponse(
            Result=_result(answer.result, call.language),
            Replayed=answer.replayed,
            Status=answer.state,
            Reference=answer.reference,
            PaymentId=answer.payment_id,
            Amount=_amount(answer.amount),
            CancelledAt=answer.cancelled_at,
        )

    @operation(m.GetPaymentStatusRequest, m.GetPaymentStatusResponse)
    def GetPaymentStatus(ctx: Any, request: Any) -> Any:
        """What became of a payment? Ask when an answer was lost and the payment must not be repeated."""
        call: Call = ctx.udc
        answer = get_payment_status.get_payment_status(
            call, get_payment_status.GetPaymentStatus(request.Reference, request.PaymentId)
        )
        return m.GetPaymentStatusResponse(
            Result=_result(answer.result, call.language),
            Status=answer.state,
            Reference=answer.reference,
            PaymentId=answer.payment_id,
            Amount=_amount(answer.amount),
            RegisteredAt=answer.registered_at,
            DeclinedAt=answer.declined_at,
            DeclineCode=answer.decline_code,
            CancelledAt=answer.cancelled_at,
            VoidedAt=answer.voided_at,
        )

    @operation(m.GetBalanceRequest, m.GetBalanceResponse)
    def GetBalance(ctx: Any, request: Any) -> Any:
        """What does a customer have, and owe?"""
        call: Call = ctx.udc
        answer = get_balance.get_balance(call, get_balance.GetBalance(_payer(request)))
        return m.GetBalanceResponse(
            Result=_result(answer.result, call.language),
            Balance=_signed(answer.balance),
            CreditLimit=_amount(answer.credit_limit),
            Available=_amount(answer.available),
            Due=_amount(answer.due),
            ServiceStatus=answer.service_status,
            AsOf=answer.as_of,
        )

    @operation(m.GetMiniStatementRequest, m.GetMiniStatementResponse)
    def GetMiniStatement(ctx: Any, request: Any) -> Any:
        """What moved a customer's balance last? At most ten transactions, the newest first."""
        call: Call = ctx.udc
        answer = get_mini_statement.get_mini_statement(call, get_mini_statement.GetMiniStatement(_payer(request)))
        return m.GetMiniStatementResponse(
            Result=_result(answer.result, call.language),
            Balance=_signed(answer.balance),
            AsOf=answer.as_of,
            Transaction=[
                m.Transaction(
                    OccurredAt=line.occurred_at,
                    Kind=line.kind,
                    Amount=_signed(line.amount),
                    Balance=_signed(line.balance),
                )
                for line in answer.lines
            ],
        )

    @operation(m.GetTransactionReportRequest, m.GetTransactionReportResponse)
    def GetTransactionReport(ctx: Any, request: Any) -> Any:
        """What happened to your payments on these business days? Event by event, in pages."""
        call: Call = ctx.udc
        answer = get_transaction_report.get_transaction_report(
            call,
            get_transaction_report.GetTransactionReport(
                request.From,
                request.To,
                terminal=request.Terminal,
                events=frozenset(map(Event, request.Event or ())),
                currency=request.Currency,
                page_rows=request.PageSize,
                cursor=request.Cursor,
            ),
        )
        return m.GetTransactionReportResponse(
            Result=_result(answer.result, call.language),
            Transaction=[_reported(each) for each in answer.transactions],
            NextCursor=answer.next_cursor,
        )

    @operation(m.GetFinancialReportRequest, m.GetFinancialReportResponse)
    def GetFinancialReport(ctx: Any, request: Any) -> Any:
        """What did these business days come to? Counts and sums that make up your balances to the minor unit."""
        call: Call = ctx.udc
        answer = get_financial_report.get_financial_report(
            call,
            get_financial_report.GetFinancialReport(request.From, request.To, request.PageSize, request.Cursor),
        )
        return m.GetFinancialReportResponse(
            Result=_result(answer.result, call.language),
            ClosedThrough=answer.closed_through_on,
            DealerBalance=[_balance(each) for each in answer.balances],
            Line=[_line(each) for each in answer.lines],
            NextCursor=answer.next_cursor,
        )

    @operation(m.SubmitRegisterRequest, m.SubmitRegisterResponse, Replayed=False)
    def SubmitRegister(ctx: Any, request: Any) -> Any:
        """Do your payments of a business day agree with ours? Send your register, in parts when it is large."""
        call: Call = ctx.udc
        answer = submit_register.submit_register(
            call,
            submit_register.SubmitRegister(
                reference=request.RegisterReference,
                business_on=request.BusinessDay,
                row_count=request.RowCount,
                hash_total=request.HashTotal,
                part=request.Part,
                parts=request.Parts,
                rows=[_row(request, number, row) for number, row in enumerate(request.Row or (), 1)],
            ),
        )
        return m.SubmitRegisterResponse(
            Result=_result(answer.result, call.language),
            Replayed=answer.replayed,
            Status=answer.status,
            PartsReceived=answer.parts_received,
            RowCount=answer.counted and answer.counted.row_count,
            HashTotal=answer.counted and answer.counted.hash_total,
            Reconciliation=_reconciliation(answer.reconciliation),
        )

    @operation(m.GetReconciliationRequest, m.GetReconciliationResponse)
    def GetReconciliation(ctx: Any, request: Any) -> Any:
        """What did comparing a register with our books come to? Every difference with both sides, in pages."""
        call: Call = ctx.udc
        answer = get_reconciliation.get_reconciliation(
            call, get_reconciliation.GetReconciliation(request.RegisterReference, request.PageSize, request.Cursor)
        )
        return m.GetReconciliationResponse(
            Result=_result(answer.result, call.language),
            Status=answer.status,
            Reconciliation=_reconciliation(answer.reconciliation),
            Difference=[
                m.Difference(
                    Kind=each.kind,
                    Reference=each.reference,
                    Row=each.row_number,
                    Yours=_yours(each.theirs),
                    Ours=_ours(each.ours),
                )
                for each in answer.differences
            ],
            NextCursor=answer.next_cursor,
        )

    @operation(m.PingRequest, m.PingResponse)
    def Ping(ctx: Any, request: Any) -> Any:
        """Can payments be registered now? Goes the whole way of a payment, signatures and database included."""
        call: Call = ctx.udc
        answer = ping.ping(call)
        return m.PingResponse(
            Result=_result(ResultCode.OK, call.language),
            Status=answer.state,
            ServerTime=answer.server_time,
            ContractVersion=VERSION,
        )


def message(sentence: str, language: str) -> Any:
    """A localised sentence as the contract's `Message`."""
    return t.Message(Value=sentence, lang=language)


def _result(code: ResultCode, language: str) -> Any:
    return m.Result(Code=code, Message=message(*catalog.result_message(code, language)), Retry=code.retry)


def _payer(request: Any) -> PayerKey:
    """The one identifier that is there; the XSD's choice proved that it is exactly one."""
    for kind in PayerKind:
        value = getattr(request.Payer, kind)
        if value is not None:
            return PayerKey(kind, value)
    raise AssertionError("a Payer without an identifier passed the XSD")


def _money(request: Any, member: str) -> Money:
    """An amount of the request."""
    return _amount_at(getattr(request, member), f"{request.get_type_name()}/{member}")


def _row(request: Any, number: int, row: Any) -> RegisterRow:
    amount = _amount_at(row.Amount, f"{request.get_type_name()}/Row[{number}]/Amount")
    return RegisterRow(row.Reference, RowStatus(row.Status), amount, row.OccurredAt)


def _amount_at(amount: Any, place: str) -> Money:
    """An amount. Its decimals depend on the currency, which XSD 1.0 cannot say: refused here."""
    try:
        return Money.from_decimal(amount.Value, amount.currency)
    except AmountError as error:
        path = f"/soap:Envelope/soap:Body/{place}"
        raise Refusal(Rule.SCHEMA, violations=(SchemaViolation(path, "currency-exponent", str(error)),)) from error


def _reported(transaction: Transaction) -> Any:
    return m.ReportedTransaction(
        BusinessDay=transaction.position.business_on,
        OccurredAt=transaction.occurred_at,
        Event=transaction.event,
        Reference=transaction.reference,
        PaymentId=transaction.payment_id if transaction.event in _BOOKED else None,
        Terminal=transaction.terminal,
        Payer=t.Payer(**{transaction.payer_kind: transaction.payer}) if transaction.payer_kind else None,
        Amount=_amount(transaction.amount),
        CreditedAmount=_amount(transaction.credited),
        Rate=transaction.rate,
        Fee=_amount(transaction.fee),
        DeclineCode=transaction.result if transaction.event is Event.DECLINED else None,
        CancelReason=transaction.cancel_reason,
        Rrn=transaction.rrn,
    )


def _balance(balance: Balance) -> Any:
    currency, moved = balance.account.currency, balance.moved
    return m.DealerBalance(
        Scheme=balance.account.scheme,
        Opening=_signed(Money(balance.opening_minor, currency)),
        Registered=_amount(Money(moved.registered_minor, currency)),
        Cancelled=_amount(Money(moved.cancelled_minor, currency)),
        PaidIn=_signed(Money(moved.paid_in_minor, currency)),
        Corrected=_signed(Money(moved.corrected_minor, currency)),
        Closing=_signed(Money(balance.closing_minor, currency)),
    )


def _line(line: Line) -> Any:
    key = line.key
    return m.FinancialLine(
        BusinessDay=key.business_on,
        Terminal=key.terminal,
        Scheme=key.scheme,
        RegisteredCount=line.registered_count,
        Registered=_amount(Money(line.registered_minor, key.currency)),
        CancelledCount=line.cancelled_count,
        Cancelled=_amount(Money(line.cancelled_minor, key.currency)),
        Net=_signed(Money(line.net_minor, key.currency)),
        Fees=_signed(Money(line.fees_minor, key.currency)),
    )


def _reconciliation(found: Reconciliation | None) -> Any:
    if found is None:
        return None
    return m.Reconciliation(
        ReconciliationId=found.id,
        Run=found.run,
        AsOf=found.as_of,
        DayIsClosed=found.day_is_closed,
        Matched=found.matched,
        Duplicate=found.counts[DifferenceKind.DUPLICATE],
        MissingHere=found.counts[DifferenceKind.MISSING_HERE],
        AmountDiffers=found.counts[DifferenceKind.AMOUNT_DIFFERS],
        StatusDiffers=found.counts[DifferenceKind.STATUS_DIFFERS],
        OtherDay=found.counts[DifferenceKind.OTHER_DAY],
        MissingThere=found.counts[DifferenceKind.MISSING_THERE],
        RegisterDigest=[found.register_digest],
        Digest=[found.digest],
    )


def _yours(side: Side | None) -> Any:
    if side is None:
        return None
    return m.YourSide(Status=side.status, Amount=_amount(side.amount), OccurredAt=side.occurred_at)


def _ours(side: Side | None) -> Any:
    if side is None:
        return None
    return m.OurSide(
        Status=side.status,
        Amount=_amount(side.amount),
        BusinessDay=side.business_on,
        OccurredAt=side.occurred_at,
        Terminal=side.terminal,
        PaymentId=side.payment_id if side.status in _BOOKED else None,
    )


def _amount(money: Money | None) -> Any:
    return None if money is None else t.Amount(Value=money.to_decimal(), currency=money.currency)


def _signed(money: Money | None) -> Any:
    return None if money is None else t.SignedAmount(Value=money.to_decimal(), currency=money.currency)
