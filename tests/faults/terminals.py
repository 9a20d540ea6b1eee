"""Terminals that pay without a pause and write down every answer they get, as a bank's must.

Each reference is driven until it is decided, in the ways banks do it: the same request again, a question for its state
first, a reversal, two requests at once. Some are given up: nobody may promise anything about those.
"""

import hashlib
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from bankapi.cli.client import Answer, AnswerNotTrusted
from bankapi.cli.documents import Amount, Fields
from bankapi.cli.payments import terminal_client
from bankapi.operations.get_payment_status import PaymentState
from bankapi.refusals import ResultCode, Retry
from bankapi.settings import Settings

TERMINALS: Final = ("ATM-0001", "ATM-0002", "ATM-0101", "ATM-0001", "ATM-0002", "ATM-0101", "ATM-0001", "ATM-0002")
PAYABLE: Final = 17
"""How many of the demo's customers can be paid for: the others are suspended, blocked or terminated."""
CUT: Final = "cut"
NOT_REACHED: Final = "not reached"
NOT_TRUSTED: Final = "not trusted"
_PATIENCE_S: Final = 120.0
_NEXT: Final = {
    None: frozenset(PaymentState),
    PaymentState.NEVER_SEEN: frozenset(PaymentState),
    PaymentState.REGISTERED: frozenset({PaymentState.REGISTERED, PaymentState.CANCELLED}),
}
"""What may be said of a reference after what was said of it; what is not here stays what it is."""
_REGISTERED_AS: Final = {
    ResultCode.OK: PaymentState.REGISTERED,
    ResultCode.ALREADY_CANCELLED: PaymentState.CANCELLED,
    ResultCode.REFERENCE_VOIDED: PaymentState.VOIDED,
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request: its times by one monotonic clock, and its result code, fault code or way to fail."""

    operation: str
    begun_at: float
    ended_at: float
    outcome: str
    is_acknowledged: bool
    answer_digest: bytes | None


@dataclass
class Told:
    """What a terminal was told of one of its references."""

    reference: str
    terminal: str
    msisdn: str
    amount_minor: int
    state: PaymentState | None = None
    payment_id: str | None = None
    tries: int = 0
    """How often it was sent for registration."""
    fresh: int = 0
    """How often it was said to be registered now, not before: once at most."""
    replayed: int = 0
    contradictions: list[str] = field(default_factory=list)

    @property
    def amount(self) -> Amount:
        return Amount(f"{self.amount_minor // 100}.{self.amount_minor % 100:02d}", "RUB")

    def hear(self, state: PaymentState, payment_id: str | None = None) -> None:
        """Write down a state that was acknowledged."""
        if state not in _NEXT.get(self.state, {self.state}):
            self.contradictions.append(f"{self.reference}: {state} after {self.state}")
        if None not in (payment_id, self.payment_id) and payment_id != self.payment_id:
            self.contradictions.append(f"{self.reference}: a second payment id")
        self.state = state
        self.payment_id = payment_id or self.payment_id

    def hear_registration(self, answer: Answer) -> None:
        code = ResultCode(answer.fields["code"])
        if code is ResultCode.REFERENCE_CONFLICT:
            self.contradictions.append(f"{self.reference}: {code}")
            return
        if code is ResultCode.OK:
            self.replayed += answer.fields["replayed"]
            self.fresh += not answer.fields["replayed"]
            if self.fresh > 1 or (answer.fields["replayed"] and self.tries == 1):
                self.contradictions.append(f"{self.reference}: replayed={answer.fields['replayed']}, not for the first")
        self.hear(_REGISTERED_AS.get(code, PaymentState.DECLINED), answer.fields.get("payment_id"))


class PayingTerminal(threading.Thread):
    """One terminal, one request at a time, but for twins."""

    def __init__(self, settings: Settings, number: int, seed: int) -> None:
        super().__init__(name=f"terminal {number}")
        self.attempts: list[Attempt] = []
        self.told: list[Told] = []
        self.failure: BaseException | None = None
        self.stop = threading.Event()
        self._terminal = TERMINALS[number % len(TERMINALS)]
        self._number = number
        self._chosen = random.Random(f"{seed} {number}")
        self._clients = [terminal_client(settings, self._terminal) for _ in range(2)]
        self._twins = ThreadPoolExecutor(1)

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                self._pay()
        except BaseException as error:
            self.failure = error
        finally:
            self._twins.shutdown()

    def _pay(self) -> None:
        chosen = self._chosen
        told = Told(
            f"F-{self._number}-{len(self.told)}",
            self._terminal,
            f"791600000{chosen.randint(1, PAYABLE):02d}",
            chosen.randint(1_00, 9_99),
        )
        self.told.append(told)
        if chosen.random() < 0.1:
            self._try("ValidatePayment", [("Payer", [("Msisdn", told.msisdn)]), ("Amount", told.amount)])
        if not self._register(told, twins=chosen.random() < 0.1):
            self._settle(told)
        if told.state is PaymentState.REGISTERED:
            self._go_on(told)

    def _settle(self, told: Told) -> None:
        """What terminals do about a reference of which they do not know what became."""
        choice = self._chosen.random()
        if choice < 0.07:
            return  # given up: whatever became of it, nobody was told
        if choice < 0.20:
            self._cancel(told)
            return
        if choice < 0.35:
            self._look(told)
            if told.state is not PaymentState.NEVER_SEEN:
                return
        for _ in self._patiently(told):
            if self._register(told, twins=choice > 0.75):
                return

    def _go_on(self, told: Told) -> None:
        choice = self._chosen.random()
        if choice < 0.15:
            self._cancel(told)
        elif choice < 0.25:
            self._look(told)
        elif choice < 0.30:
            for _ in self._patiently(told):
                if self._register(told):
                    return

    def _register(self, told: Told, *, twins: bool = False) -> bool:
        """Send it for registration, or twice at the same time; whether anything was acknowledged."""
        fields: Fields = [
            ("Reference", told.reference),
            ("Payer", [("Msisdn", told.msisdn)]),
            ("Amount", told.amount),
            ("PaidAt", "2026-01-01T12:00:00Z"),
        ]
        told.tries += 1 + twins
        twin: Future[Answer | None] | None = None
        if twins:
            twin = self._twins.submit(self._try, "RegisterPayment", fields, 1)
        answers = [self._try("RegisterPayment", fields)]
        if twin is not None:
            answers.append(twin.result())
        for answer in answers:
            if answer is not None:
                told.hear_registration(answer)
        return any(answers)

    def _cancel(self, told: Told) -> None:
        fields: Fields = [("Reference", told.reference), ("Amount", told.amount), ("Reason", "TIMEOUT")]
        for _ in self._patiently(told):
            if answer := self._try("CancelPayment", fields):
                if answer.fields["code"] == ResultCode.OK:
                    told.hear(PaymentState(answer.fields["status"]), answer.fields.get("payment_id"))
                else:
                    told.contradictions.append(f"{told.reference}: not cancelled: {answer.fields['code']}")
                return

    def _look(self, told: Told) -> None:
        for _ in self._patiently(told):
            if answer := self._try("GetPaymentStatus", [("Reference", told.reference)]):
                told.hear(PaymentState(answer.fields["status"]), answer.fields.get("payment_id"))
                return

    def _patiently(self, told: Told) -> Iterator[None]:
        """Again and again with pauses, until the caller has its answer."""
        give_up_at = time.monotonic() + _PATIENCE_S
        while time.monotonic() < give_up_at:
            yield
            time.sleep(self._chosen.uniform(0.02, 0.25))
        told.contradictions.append(f"{told.reference}: no decision for {_PATIENCE_S:.0f} s")

    def _try(self, operation: str, fields: Fields, connection: int = 0) -> Answer | None:
        """One request; None unless the gateway has acknowledged something."""
        client, answer = self._clients[connection], None
        request = client.sign(operation, fields)
        begun_at = time.monotonic()
        try:
            answer = client.verified(request, client.send(operation, request))
            outcome = str(answer.fields["code"])
        except ConnectionRefusedError:
            outcome = NOT_REACHED
        except OSError:
            outcome = CUT
        except AnswerNotTrusted:
            outcome = NOT_TRUSTED
        ended_at = time.monotonic()
        decided = answer is not None and answer.fields.get("retry") != Retry.SAME_REFERENCE and not answer.is_fault
        digest = hashlib.sha256(answer.answer).digest() if answer is not None and decided else None
        self.attempts.append(Attempt(operation, begun_at, ended_at, outcome, decided, digest))
        return answer if decided else None
