"""What the design says payments do, as plain Python: dictionaries, integers, fractions; no database, no locks.

Written from sections 3 and 5 of the design and the operations' own words, to be compared with what they do.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

EXPONENT = {"RUB": 2, "EUR": 2, "JPY": 0, "KWD": 3}
HOME = "RUB"
PROMISE = timedelta(minutes=10)
HARVEST = timedelta(minutes=10)


@dataclass(frozen=True)
class Dealer:
    name: str
    currencies: tuple[str, ...]
    zone: str = "UTC"
    is_debit: bool = False
    overdraft: int = 0
    cancel_rule: str = "ALWAYS"
    cancel_minutes: int = 0
    misses_max: int = 30

    def day(self, instant: datetime) -> date:
        return instant.astimezone(ZoneInfo(self.zone)).date()

    def may_cancel(self, registered: datetime, now: datetime) -> bool:
        return {
            "ALWAYS": True,
            "NEVER": False,
            "SAME_BUSINESS_DAY": self.day(registered) == self.day(now),
            "MINUTES": now - registered <= timedelta(minutes=self.cancel_minutes),
        }[self.cancel_rule]


@dataclass
class Account:
    status: str = "ACTIVE"
    balance: int = 0
    credit_limit: int = 0
    lines: list[tuple[str, int, int]] = field(default_factory=list)
    """Kind, amount and balance after it of everything that moved the balance, oldest first."""
    last_change: tuple[str, datetime] | None = None
    """The last status a payment or cancellation gave it, and when."""

    def move(self, kind: str, amount: int) -> None:
        self.balance += amount
        self.lines.append((kind, amount, self.balance))

    def change(self, status: str, now: datetime) -> None:
        self.status = status
        self.last_change = (status, now)


@dataclass(frozen=True)
class Payer:
    """A number of one kind (Msisdn, AccountNumber, CustomerNumber), and the account it leads to."""

    kind: str
    value: str
    account: str | None


@dataclass(frozen=True)
class Amount:
    minor: int
    currency: str


@dataclass
class Settled:
    """What a reference became."""

    state: str
    result: str
    at: datetime
    content: tuple[Payer, Amount] | None = None
    account: str = ""
    credited: int = 0
    line: int = 0
    """Where it stands in its account's lines."""
    counted: tuple[tuple[object, ...], ...] = ()
    cancelled_at: datetime | None = None


@dataclass(frozen=True)
class Limit:
    least: int | None = None
    most: int | None = None
    day_count: int | None = None
    day_amount: int | None = None


@dataclass(frozen=True)
class Promise:
    dealer: str
    content: tuple[Payer, Amount]
    rate: Fraction | None
    until: datetime


@dataclass
class Verdict:
    result: str
    credited: int = 0
    rate: Fraction | None = None
    per_day: tuple[tuple[object, ...], ...] = ()


class Books:
    """The model. Each method is one request of a terminal (`ATM` of a dealer) at an instant."""

    def __init__(self, dealers: dict[str, Dealer], accounts: dict[str, Account]) -> None:
        self.dealers = dealers
        """By terminal."""
        self.accounts = accounts
        self.deposits: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.references: dict[tuple[str, str], Settled] = {}
        self.rates: dict[str, list[Fraction]] = defaultdict(list)
        self.limits: dict[tuple[str, str, str], Limit] = {}
        self.totals: defaultdict[tuple[object, ...], list[int]] = defaultdict(lambda: [0, 0])
        self.misses: defaultdict[str, list[datetime]] = defaultdict(list)

    def check_payer(self, terminal: str, payer: Payer, now: datetime) -> str:
        dealer = self.dealers[terminal]
        if sum(now - missed < HARVEST for missed in self.misses[terminal]) >= dealer.misses_max:
            return "LIMIT_EXCEEDED"
        if payer.account is None:
            self.misses[terminal].append(now)
            return "PAYER_NOT_FOUND"
        return "OK"

    def judge(
        self, terminal: str, payer: Payer, amount: Amount, now: datetime, promise: Promise | None = None
    ) -> Verdict:
        """May this payment be made? The first of the refusals that applies, in the fixed order."""
        dealer = self.dealers[terminal]
        if payer.account is None:
            return Verdict("PAYER_NOT_FOUND")
        account = self.accounts[payer.account]
        if account.status == "BLOCKED":
            return Verdict("PAYER_BLOCKED")
        if account.status == "TERMINATED" and (payer.kind == "Msisdn" or account.balance >= 0):
            return Verdict("SERVICE_TERMINATED")
        rate = self.rate(dealer, payer, amount, now, promise)
        if amount.currency not in dealer.currencies or (amount.currency != HOME and rate is None):
            return Verdict("CURRENCY_NOT_ACCEPTED")
        credited = amount.minor if rate is None else converted(amount, rate)
        holding = {
            key: self.limits[key]
            for key in (
                ("DEALER", dealer.name, amount.currency),
                ("PAYER", "", amount.currency),
                ("TERMINAL", terminal, amount.currency),
            )
            if key in self.limits
        }
        unit = 10 ** EXPONENT[amount.currency]
        least = max((each.least for each in holding.values() if each.least is not None), default=unit)
        most = min((each.most for each in holding.values() if each.most is not None), default=15_000 * unit)
        if amount.minor < least or credited == 0:
            return Verdict("AMOUNT_TOO_SMALL")
        if amount.minor > most:
            return Verdict("AMOUNT_TOO_LARGE")
        per_day = []
        for (scope, owner, currency), limit in holding.items():
            if limit.day_count is None and limit.day_amount is None:
                continue
            key = (scope, payer.account if scope == "PAYER" else owner, currency, dealer.day(now))
            per_day.append(key)
            count, total = self.totals[key]
            if limit.day_count is not None and count >= limit.day_count:
                return Verdict("LIMIT_EXCEEDED")
            if limit.day_amount is not None and total + amount.minor > limit.day_amount:
                return Verdict("LIMIT_EXCEEDED")
        if dealer.is_debit and self.deposits[dealer.name, amount.currency] + dealer.overdraft < amount.minor:
            return Verdict("DEALER_FUNDS_INSUFFICIENT")
        return Verdict("OK", credited, rate, tuple(per_day))

    def rate(
        self, dealer: Dealer, payer: Payer, amount: Amount, now: datetime, promise: Promise | None
    ) -> Fraction | None:
        if amount.currency == HOME:
            return None
        if (
            promise is not None
            and (promise.dealer, promise.content) == (dealer.name, (payer, amount))
            and now <= promise.until
        ):
            return promise.rate
        return self.rates[amount.currency][-1] if self.rates[amount.currency] else None

    def register(
        self,
        terminal: str,
        reference: str,
        payer: Payer,
        amount: Amount,
        now: datetime,
        promise: Promise | None = None,
    ) -> tuple[str, bool, Settled | None]:
        """The result, whether it is replayed, and what the reference became."""
        dealer = self.dealers[terminal]
        first = self.references.get((dealer.name, reference))
        if first is not None:
            if first.state == "VOIDED":
                return "REFERENCE_VOIDED", False, first
            if first.content != (payer, amount):
                return "REFERENCE_CONFLICT", False, first
            if first.state == "CANCELLED":
                return "ALREADY_CANCELLED", True, first
            return first.result, True, first
        verdict = self.judge(terminal, payer, amount, now, promise)
        settled = Settled("REGISTERED", verdict.result, now, (payer, amount))
        self.references[dealer.name, reference] = settled
        if verdict.result != "OK" or payer.account is None:
            settled.state = "DECLINED"
            return verdict.result, False, settled
        settled.account, settled.credited, settled.counted = payer.account, verdict.credited, verdict.per_day
        account = self.accounts[payer.account]
        settled.line = len(account.lines)
        account.move("PAYMENT", verdict.credited)
        if account.status == "SUSPENDED" and account.balance + account.credit_limit >= 0:
            account.change("ACTIVE", now)
        if dealer.is_debit:
            self.deposits[dealer.name, amount.currency] -= amount.minor
        for key in verdict.per_day:
            self.totals[key][0] += 1
            self.totals[key][1] += amount.minor
        return "OK", False, settled

    def cancel(self, terminal: str, reference: str, amount: Amount, now: datetime) -> tuple[str, bool, Settled]:
        """The result, whether it is replayed, and what the reference is now."""
        dealer = self.dealers[terminal]
        payment = self.references.get((dealer.name, reference))
        if payment is None:
            payment = self.references[dealer.name, reference] = Settled("VOIDED", "REFERENCE_VOIDED", now)
            return "OK", False, payment
        if payment.state == "VOIDED":
            return "OK", True, payment
        if payment.state == "DECLINED":
            return "OK", False, payment
        assert payment.content is not None
        if payment.content[1] != amount:
            return "AMOUNT_MISMATCH", False, payment
        if payment.state == "CANCELLED":
            return "OK", True, payment
        if not dealer.may_cancel(payment.at, now):
            return "CANCEL_WINDOW_CLOSED", False, payment
        account = self.accounts[payment.account]
        if self.is_used(payment, account):
            return "FUNDS_ALREADY_USED", False, payment
        payment.state, payment.cancelled_at = "CANCELLED", now
        account.move("CANCELLATION", -payment.credited)
        if account.status == "ACTIVE" and account.balance + account.credit_limit < 0 and account.last_change:
            status, changed_at = account.last_change
            if status == "ACTIVE" and payment.at <= changed_at:
                account.change("SUSPENDED", now)
        if dealer.is_debit:
            self.deposits[dealer.name, amount.currency] += amount.minor
        for key in payment.counted:
            self.totals[key][0] -= 1
            self.totals[key][1] -= amount.minor
        return "OK", False, payment

    def is_used(self, payment: Settled, account: Account) -> bool:
        """Whether without it the customer would be beyond the credit limit, and worse off than without its like.

        What was there before it: the balance then, less those earlier payments that no longer stand.
        """
        before = sum(amount for _, amount, _ in account.lines[: payment.line])
        for other in self.references.values():
            if other.cancelled_at is not None and other.account == payment.account and other.line < payment.line:
                undone_after = other.cancelled_at > payment.at
                before -= other.credited if undone_after else 0
        left = account.balance - payment.credited
        return left < -account.credit_limit and left < before

    def charge(self, account: str, minor: int) -> None:
        self.accounts[account].move("CHARGE", -minor)


def converted(amount: Amount, rate: Fraction) -> int:
    """Rounded half to even, which is what Python's round does with a fraction."""
    return round(Fraction(amount.minor, 10 ** EXPONENT[amount.currency]) * rate * 10 ** EXPONENT[HOME])
