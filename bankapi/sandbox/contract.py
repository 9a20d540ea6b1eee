"""The contract of a sandbox: the ordinary one, called under an agreement, with accidents that were agreed beforehand.

One object serves one request: it is told what to do about the answer once everything is committed, which the gateway
(`gateway/sandbox`) then does, outside the transaction.
"""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from lxml import etree

from bankapi.billing import customers, payments
from bankapi.billing.money import Money
from bankapi.billing.payers import PayerKey, PayerKind
from bankapi.contract.application import Contract, Dispatched
from bankapi.contract.types import expanded
from bankapi.languages.texts import message, texts
from bankapi.operations.call import Call
from bankapi.refusals import Failure, FaultCode, ResultCode
from bankapi.sandbox import agreements, installation, tries
from bankapi.sandbox.numbers import SLOW_S, Behaviour, behaviour_of
from bankapi.sandbox.tries import Try

RECEIPT_WORDS: Final = message("SANDBOX - NOT A PAYMENT")
PING_WORDS: Final = message("This is a sandbox: no payment is real.")

_REGISTER: Final = "RegisterPayment"
_CANCEL: Final = "CancelPayment"
_PAYER: Final = expanded("Payer")
_REFERENCE: Final = expanded("Reference")
_PAYMENT_ID: Final = expanded("PaymentId")
_REPLAYED: Final = expanded("Replayed")
_CREDITED: Final = expanded("CreditedAmount")
_RECEIPT_LINE: Final = expanded("ReceiptLine")
_MESSAGE: Final = f"{expanded('Result')}/{expanded('Message')}"
_FAULTS: Final = {Behaviour.OVERLOADED: FaultCode.OVERLOADED, Behaviour.INTERNAL: FaultCode.INTERNAL}


@dataclass(slots=True)
class Aftermath:
    """What is still to be done about an answer once its transaction has ended."""

    late_s: float = 0.0
    """So long the answer is held back."""
    is_lost: bool = False
    """The caller gets no answer."""
    failed: Try | None = None
    """The try that failed with a fault, whose transaction kept nothing."""


class SandboxContract(Contract):
    """The operations for one request in a sandbox."""

    def __init__(self, may_be_slow: Callable[[], bool]) -> None:
        """`may_be_slow` says whether there is room for one more answer that is held back; asked once at most."""
        super().__init__()
        self.aftermath = Aftermath()
        self._may_be_slow = may_be_slow
        self._is_slow = False

    def dispatch(self, request: etree._Element, call: Call) -> Dispatched:
        """As the contract does, whatever else was agreed for the payer. It may be run again, as any transaction."""
        installation.require_mark(call.connection)
        self.aftermath = Aftermath()
        operation = etree.QName(request).localname.removesuffix("Request")
        payer, reference = _payer(request, call, operation)
        behaviour = Behaviour.PAYS if payer is None else behaviour_of(payer.value)
        if behaviour is Behaviour.SLOW:
            self._hold_back()
        call = replace(call, terminal=agreements.under(behaviour, call.terminal, operation))
        if reference is not None and call.terminal.may_call(operation):
            tried = (call.terminal.dealer_id, operation, reference)
            if behaviour is Behaviour.UNAVAILABLE and tries.record(call.connection, tried, call.now):
                answer = self.unavailable(operation, call.language, call.now)
                return Dispatched(operation, answer, ResultCode.TEMPORARILY_UNAVAILABLE)
            if behaviour in _FAULTS and not tries.is_known(call.connection, tried):
                self.aftermath.failed = tried
                raise Failure(_FAULTS[behaviour], "as agreed for this number")
        done = super().dispatch(request, call)
        if done.result is ResultCode.OK and done.answer.findtext(_REPLAYED) == "false":
            self.aftermath.is_lost = behaviour is Behaviour.LOST
            if behaviour is Behaviour.USES_FUNDS and operation == _REGISTER and payer is not None:
                _use(call, payer, done.answer)
        _say_so(done, call.language)
        return done

    def unavailable(self, operation: str, language: str, now: datetime) -> etree._Element:
        """As the contract does: whatever was to be done about another answer is not done about this one."""
        self.aftermath = Aftermath()
        return super().unavailable(operation, language, now)

    def _hold_back(self) -> None:
        """Each answer that is held back holds a thread: who finds no room is told to come again."""
        if not self._is_slow and not self._may_be_slow():
            raise Failure(FaultCode.OVERLOADED, "too many slow answers at once")
        self._is_slow = True
        self.aftermath.late_s = SLOW_S


def _payer(request: etree._Element, call: Call, operation: str) -> tuple[PayerKey | None, str | None]:
    """Whom a request is about, and the reference of the payment it decides; a cancellation names its payer by that."""
    named, reference = request.find(_PAYER), request.findtext(_REFERENCE)
    if named is not None:
        kind = PayerKind(etree.QName(named[0]).localname)
        return PayerKey(kind, (named[0].text or "").strip()), reference
    if operation != _CANCEL:
        return None, None
    if reference is not None:
        payment = payments.find_by_reference(call.connection, call.terminal.dealer_id, reference)
    else:
        payment_id = request.findtext(_PAYMENT_ID) or ""
        payment = payments.find_by_id(call.connection, call.terminal.dealer_id, payment_id)
    if payment is None or payment.payer is None:
        return None, reference
    # The sandbox's numbers mean the same whichever way they name the payer.
    return PayerKey(PayerKind.MSISDN, payment.payer), payment.reference


def _use(call: Call, payer: PayerKey, answer: etree._Element) -> None:
    """The customer uses what was just credited."""
    credited = answer.find(_CREDITED)
    account = customers.lock_account(call.connection, payer)
    assert credited is not None
    assert account is not None
    amount = Money.from_decimal(Decimal(credited.text or ""), credited.get("currency", ""))
    customers.charge(call.connection, account, amount, now=call.now, business_on=call.business_on)


def _say_so(done: Dispatched, language: str) -> None:
    """Nobody shall take what a sandbox shows for real."""
    first = done.answer.find(_RECEIPT_LINE)
    if first is not None:
        line = copy(first)
        line.text = texts(language).gettext(RECEIPT_WORDS)
        first.addprevious(line)
    words = done.answer.find(_MESSAGE)
    if done.operation == "Ping" and words is not None:
        words.text = texts(language).gettext(PING_WORDS)
