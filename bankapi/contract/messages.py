"""The messages of the contract: one request and one response element per operation, the fault and our header.

Member names are the element names; their order is the order on the wire.
"""

from spyne import Boolean, ByteArray, XmlAttribute, XmlData

from bankapi.billing import statements
from bankapi.contract import codes
from bankapi.contract import types as t
from bankapi.contract.types import Model, mandatory, one_of, optional
from bankapi.operations import reporting
from bankapi.reports import registers

VIOLATIONS_MAX = 20
RECEIPT_LINES_MAX = 20
BALANCES_MAX = 400

_LANGUAGE = optional(t.Language, "The language you want sentences and receipt lines in.")


class Result(Model):
    """The business outcome. A business no is an answer, not a fault: decide by Code, show Message."""

    Code = mandatory(t.ResultCode)
    Message = mandatory(t.Message)
    Retry = mandatory(t.Retry)


class ValidatePaymentRequest(Model):
    """Ask before the payer hands over the money. Optional: a payment may be registered without it."""

    Language = _LANGUAGE
    Payer = mandatory(t.Payer)
    Amount = mandatory(t.PositiveAmount, "What the payer is going to pay, without your own fee.")


class ValidatePaymentResponse(Model):
    """Whether the payment would be taken now. What is absent is unknown or not yours to see."""

    Result = mandatory(Result)
    ValidationId = optional(t.ValidationId, "Repeat it in RegisterPayment to keep the answer given here.")
    ValidUntil = optional(t.UtcTime, "When this answer stops being a promise.")
    PayerName = optional(t.PayerName, "Show it to the payer, who can tell a mistyped number by it.")
    ServiceStatus = optional(t.ServiceStatus)
    MinimumAmount = optional(t.Amount, "The least that can be paid.")
    MaximumAmount = optional(t.Amount, "The most that can be paid now.")
    Fee = optional(t.Amount, "Our fee, taken from the amount.")
    CreditedAmount = optional(t.Amount, "What the customer's account would be credited with, in its own currency.")
    Rate = optional(t.Rate, "Present when the account's currency is not the payment's.")


class RegisterPaymentRequest(Model):
    """Book one payment. Safe to repeat: the same Reference is booked once, however often it is sent. It is the same
    request when payer, amount and currency are."""

    Language = _LANGUAGE
    Reference = mandatory(t.Reference)
    Payer = mandatory(t.Payer)
    Amount = mandatory(t.PositiveAmount, "What the payer paid, without your own fee.")
    PaidAt = mandatory(t.ZonedTime, "When the payer paid, by the terminal's clock.")
    ValidationId = optional(t.ValidationId, "From ValidatePaymentResponse.")
    CardBin = optional(t.CardBin)
    CardLastFour = optional(t.CardLastFour)
    Rrn = optional(t.Rrn)
    AuthorizationCode = optional(t.AuthorizationCode)
    Fee = optional(t.Amount, "Your own fee, which the payer paid on top of Amount; for the record only.")


class RegisterPaymentResponse(Model):
    """The first outcome of this Reference, however often it is asked, unless the payment was cancelled since. Decide by
    Result alone: ALREADY_CANCELLED has a PaymentId, too, of a payment that no longer stands."""

    Result = mandatory(Result)
    Replayed = mandatory(Boolean, "true: this Reference was decided before, by the same payer, amount and currency.")
    PaymentId = optional(t.PaymentId, "Present when the payment was booked, even if it was cancelled since.")
    RegisteredAt = optional(t.UtcTime, "When the payment was booked.")
    CreditedAmount = optional(t.Amount, "What the customer's account was credited with, in its own currency.")
    Rate = optional(t.Rate, "Present when the account's currency is not the payment's.")
    ReceiptLine = optional(t.ReceiptLine, "Print these lines, in this order.", most=RECEIPT_LINES_MAX)


class CancelPaymentRequest(Model):
    """Make sure that nothing of a payment stands, by your reference or by our identifier. Safe to repeat."""

    Language = _LANGUAGE
    Reference = one_of("key", t.Reference)
    PaymentId = one_of("key", t.PaymentId)
    Amount = mandatory(t.PositiveAmount, "The amount the payment was registered with, as a check.")
    Reason = mandatory(t.CancelReason)


class CancelPaymentResponse(Model):
    """OK: nothing of the payment stands, and Status says why. Any other Result: nothing was changed."""

    Result = mandatory(Result)
    Replayed = mandatory(Boolean, "true: it was cancelled or voided before, and this is that answer again.")
    Status = optional(
        t.PaymentState,
        "Present when Result is OK: CANCELLED, now or before; VOIDED, it was never seen and can never be registered; "
        "or DECLINED, it was refused in the first place.",
    )
    Reference = optional(t.Reference)
    PaymentId = optional(t.PaymentId, "Present when a booked payment is cancelled.")
    Amount = optional(t.Amount, "What was cancelled: the amount the payment was registered with.")
    CancelledAt = optional(t.UtcTime, "When the payment was cancelled, or its reference voided.")


class GetPaymentStatusRequest(Model):
    """Ask what became of a payment, by your reference or by our identifier: exactly one of the two."""

    Language = _LANGUAGE
    Reference = one_of("key", t.Reference)
    PaymentId = one_of("key", t.PaymentId)


class GetPaymentStatusResponse(Model):
    """What became of the payment, with the time of each thing that happened to it."""

    Result = mandatory(Result)
    Status = optional(t.PaymentState, "Absent only when Result is not OK.")
    Reference = optional(t.Reference)
    PaymentId = optional(t.PaymentId)
    Amount = optional(t.Amount, "The amount the payment was registered with.")
    RegisteredAt = optional(t.UtcTime)
    DeclinedAt = optional(t.UtcTime)
    DeclineCode = optional(t.ResultCode, "Why a DECLINED payment was refused.")
    CancelledAt = optional(t.UtcTime)
    VoidedAt = optional(t.UtcTime)


class GetBalanceRequest(Model):
    """Ask for a customer's balance, to show it to the customer."""

    Language = _LANGUAGE
    Payer = mandatory(t.Payer)


class GetBalanceResponse(Model):
    """The balance sheet, in the currency of the customer's account; everything but Result only when that is OK."""

    Result = mandatory(Result)
    Balance = optional(t.SignedAmount, "Negative: the customer owes it.")
    CreditLimit = optional(t.Amount, "How far below zero the balance may go.")
    Available = optional(t.Amount, "What can still be used: Balance and CreditLimit together, zero at least.")
    Due = optional(t.Amount, "What the customer owes now; zero when Balance is not negative.")
    ServiceStatus = optional(t.ServiceStatus)
    AsOf = optional(t.UtcTime, "Everything booked until then is in these amounts.")


class GetMiniStatementRequest(Model):
    """Ask for a customer's last transactions, to show them to the customer."""

    Language = _LANGUAGE
    Payer = mandatory(t.Payer)


class Transaction(Model):
    """One movement of a customer's balance."""

    OccurredAt = mandatory(t.UtcTime)
    Kind = mandatory(t.TransactionKind)
    Amount = mandatory(t.SignedAmount, "What was added to the balance; negative: taken from it.")
    Balance = mandatory(t.SignedAmount, "The balance right after it.")


class GetMiniStatementResponse(Model):
    """The last transactions, in the currency of the customer's account; all but Result only when that is OK."""

    Result = mandatory(Result)
    Balance = optional(t.SignedAmount, "The balance now. Negative: the customer owes it.")
    AsOf = optional(t.UtcTime, "Everything booked until then is in this answer.")
    Transaction = optional(Transaction, "The newest first.", most=statements.LINES_MAX)


_FROM = mandatory(t.BusinessDay, "The first business day.")
_TO = mandatory(t.BusinessDay, "The last business day, included; at most 366 days after the first.")
_PAGE_SIZE = optional(t.PageSize, f"Without it {reporting.PAGE_ROWS}.")
_CURSOR = optional(t.Cursor, "NextCursor of the page before; every other member as it was then.")
_NEXT_CURSOR = optional(t.Cursor, "Absent: this is the last page.")


class GetTransactionReportRequest(Model):
    """Ask what happened to your payments, event by event, page by page. The answer shows your own only."""

    Language = _LANGUAGE
    From = _FROM
    To = _TO
    Terminal = optional(t.Terminal, "Only what happened at this terminal.")
    Event = optional(t.Event, "Only these events; without any of them, all.", most=len(codes.EVENTS))
    Currency = optional(t.CurrencyCode, "Only payments in this currency.")
    PageSize = _PAGE_SIZE
    Cursor = _CURSOR


class ReportedTransaction(Model):
    """One event. A payment that was registered and cancelled is two, each on its own business day."""

    BusinessDay = mandatory(t.BusinessDay)
    OccurredAt = mandatory(t.UtcTime)
    Event = mandatory(t.Event)
    Reference = mandatory(t.Reference)
    PaymentId = optional(t.PaymentId, "Present when the payment was booked.")
    Terminal = mandatory(t.Terminal, "Where it happened.")
    Payer = optional(t.Payer, "Absent when the reference was voided; so are the amounts.")
    Amount = optional(t.Amount, "The amount of the payment, whatever happened to it.")
    CreditedAmount = optional(t.Amount, "What the customer's account was credited with, in its own currency.")
    Rate = optional(t.Rate, "Present when the account's currency is not the payment's.")
    Fee = optional(t.Amount, "Your own fee, as you said.")
    DeclineCode = optional(t.ResultCode, "Why a DECLINED payment was refused.")
    CancelReason = optional(t.CancelReason, "Why a payment was CANCELLED, as you said.")
    Rrn = optional(t.Rrn)


class GetTransactionReportResponse(Model):
    """One page, in the order of business day and time. What was booked before you asked for the first page is on
    exactly one page. A closed business day never changes."""

    Result = mandatory(Result)
    Transaction = optional(ReportedTransaction, most=reporting.PAGE_ROWS_MAX)
    NextCursor = _NEXT_CURSOR


class GetFinancialReportRequest(Model):
    """Ask what your business days came to, and what they did to your balances."""

    Language = _LANGUAGE
    From = _FROM
    To = _TO
    PageSize = _PAGE_SIZE
    Cursor = _CURSOR


class DealerBalance(Model):
    """One of your balances over the period: Opening - Registered + Cancelled + PaidIn + Corrected = Closing."""

    Scheme = mandatory(t.Scheme)
    Opening = mandatory(t.SignedAmount, "Before the first day. Negative: you owe it.")
    Registered = mandatory(t.Amount)
    Cancelled = mandatory(t.Amount)
    PaidIn = mandatory(t.SignedAmount, "Deposits and settlements.")
    Corrected = mandatory(t.SignedAmount, "What was put right after a reconciliation.")
    Closing = mandatory(t.SignedAmount, "After the last day.")


class FinancialLine(Model):
    """What happened on a business day at a terminal, in one currency."""

    BusinessDay = mandatory(t.BusinessDay)
    Terminal = mandatory(t.Terminal)
    Scheme = mandatory(t.Scheme)
    RegisteredCount = mandatory(t.Count)
    Registered = mandatory(t.Amount)
    CancelledCount = mandatory(t.Count)
    Cancelled = mandatory(t.Amount)
    Net = mandatory(t.SignedAmount, "Registered less Cancelled.")
    Fees = mandatory(t.SignedAmount, "Your own fees, less those of what was cancelled, as you said.")


class GetFinancialReportResponse(Model):
    """The balances over the whole period, and one page of lines by day, terminal and currency that make them up."""

    Result = mandatory(Result)
    ClosedThrough = optional(t.BusinessDay, "The last closed business day: nothing through it changes any more.")
    DealerBalance = optional(DealerBalance, "On every page. One for each scheme and currency.", most=BALANCES_MAX)
    Line = optional(FinancialLine, most=reporting.PAGE_ROWS_MAX)
    NextCursor = _NEXT_CURSOR


class RegisterRow(Model):
    """One payment reference, in the state you have it in at the end of the business day."""

    Reference = mandatory(t.Reference)
    Status = mandatory(t.RowStatus)
    Amount = mandatory(t.PositiveAmount)
    OccurredAt = optional(t.ZonedTime, "For people who look into a difference.")


class SubmitRegisterRequest(Model):
    """Your register of a business day: every payment that was registered or cancelled on it, once. A large one comes
    in parts, each with the same RegisterReference, BusinessDay, RowCount, HashTotal and Parts. Safe to repeat."""

    Language = _LANGUAGE
    RegisterReference = mandatory(t.Reference, "Your own name of this register, never used for another one.")
    BusinessDay = mandatory(t.BusinessDay)
    RowCount = mandatory(t.Count, "Rows of the whole register.")
    HashTotal = mandatory(t.HashTotal, "Of the whole register.")
    Part = mandatory(t.PartNumber, "Which part this is; parts may come in any order.")
    Parts = mandatory(t.PartNumber, "How many parts there are.")
    Row = optional(RegisterRow, most=registers.PART_ROWS_MAX)


class Reconciliation(Model):
    """What comparing the register with our books came to. It never changes; comparing anew is another run."""

    ReconciliationId = mandatory(t.ReconciliationId)
    Run = mandatory(t.PartNumber, "1 for the first comparison of this register.")
    AsOf = mandatory(t.UtcTime, "Everything booked until then was compared.")
    DayIsClosed = mandatory(Boolean, "true: nothing can be added to the business day any more.")
    Matched = mandatory(t.Count, "Rows that agree.")
    Duplicate = mandatory(t.Count)
    MissingHere = mandatory(t.Count)
    AmountDiffers = mandatory(t.Count)
    StatusDiffers = mandatory(t.Count)
    OtherDay = mandatory(t.Count)
    MissingThere = mandatory(t.Count)
    RegisterDigest = mandatory(t.Sha256, "Of the register as we keep it.")
    Digest = mandatory(t.Sha256, "Of this result with every difference: what this signed answer proves.")


class SubmitRegisterResponse(Model):
    """What became of the part, and of the register so far."""

    Result = mandatory(Result)
    Replayed = mandatory(Boolean, "true: this part was there already.")
    Status = optional(t.RegisterStatus, "Absent when the part was not kept.")
    PartsReceived = optional(t.Count)
    RowCount = optional(t.Count, "Of the rows that have come.")
    HashTotal = optional(t.HashTotal, "Of the rows that have come.")
    Reconciliation = optional(Reconciliation, "Present when Status is RECONCILED.")


class GetReconciliationRequest(Model):
    """Ask for the result of a register, page by page."""

    Language = _LANGUAGE
    RegisterReference = mandatory(t.Reference)
    PageSize = _PAGE_SIZE
    Cursor = _CURSOR


class YourSide(Model):
    """What your register says."""

    Status = mandatory(t.RowStatus)
    Amount = mandatory(t.Amount)
    OccurredAt = optional(t.UtcTime)


class OurSide(Model):
    """What our books have."""

    Status = mandatory(t.OurStatus)
    Amount = optional(t.Amount, "Absent when the reference was voided.")
    BusinessDay = mandatory(t.BusinessDay)
    OccurredAt = optional(t.UtcTime)
    Terminal = optional(t.Terminal)
    PaymentId = optional(t.PaymentId, "Present when the payment was booked.")


class Difference(Model):
    """One reference on which the two sides differ, with both of them."""

    Kind = mandatory(t.DifferenceKind)
    Reference = mandatory(t.Reference)
    Row = optional(t.RowNumber, "Which row of your register; absent when you have none.")
    Yours = optional(YourSide)
    Ours = optional(OurSide)


class GetReconciliationResponse(Model):
    """The result, and one page of its differences. All pages are of the same run."""

    Result = mandatory(Result)
    Status = optional(t.RegisterStatus, "Absent only when Result is not OK.")
    Reconciliation = optional(Reconciliation, "Present when Status is RECONCILED.")
    Difference = optional(Difference, most=reporting.PAGE_ROWS_MAX)
    NextCursor = _NEXT_CURSOR


class PingRequest(Model):
    """Ask whether payments can be registered now, over the same way a payment takes."""

    Language = _LANGUAGE


class PingResponse(Model):
    """What to expect of the gateway."""

    Result = mandatory(Result)
    Status = mandatory(t.ServiceState)
    ServerTime = mandatory(t.UtcTime, "Our clock. Keep yours within five minutes of it, or signatures are refused.")
    ContractVersion = mandatory(t.Version, "The version of this contract that the gateway serves.")


class Violation(Model):
    """One place where the message breaks the XSD. It never repeats the offending value."""

    Path = mandatory(t.ViolationPath, "Where.")
    Rule = mandatory(t.ViolationRule, "Which rule.")
    Reason = mandatory(t.Sentence, "Why, in English.")


class BankApiFault(Model):
    """A technical no, as the detail of a SOAP fault: the message was not processed."""

    Code = mandatory(t.FaultCode)
    Message = mandatory(t.Message)
    ExchangeId = mandatory(t.ExchangeId)
    Retry = mandatory(t.Retry)
    Violation = optional(Violation, "Only with SCHEMA_VIOLATION.", most=VIOLATIONS_MAX)


class RequestDigest(Model):
    """The 32 bytes of the SHA-256 digest of the HTTP request body, exactly as we received it."""

    Value = XmlData(ByteArray)
    algorithm = XmlAttribute(t.DigestAlgorithm, use="required")


class Exchange(Model):
    """A signed SOAP header of every answer, faults included: which request this answers, provably."""

    ExchangeId = mandatory(t.ExchangeId)
    RequestDigest = mandatory(RequestDigest, "Compare it with the digest of what you sent.")
    Checkpoint = optional(
        t.Checkpoint, "Keep the last one you got: with it you can prove that our journal was not rewritten later."
    )
