from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from bankapi.billing import limits, rates
from bankapi.billing.limits import Limit, Scope
from bankapi.billing.money import MINOR_MAX, Money
from bankapi.operations.register_payment import RegisterPayment, register_payment
from bankapi.refusals import ResultCode
from tests.unit.conftest import START, Books, by_phone, rub


def set_rate(books: Books, rate: str, *, hours: int = 0, base: str = "EUR") -> None:
    since = START + timedelta(hours=hours)
    books.store.write(lambda connection: rates.add_rate(connection, base, "RUB", Decimal(rate), since))


@pytest.mark.parametrize(
    ("amount", "rate", "credited"),
    [
        # Ties go to the even neighbour; what is beside a tie goes to the nearest.
        (Money(1, "EUR"), "0.5", Money(0, "RUB")),
        (Money(1, "EUR"), "1.5", Money(2, "RUB")),
        (Money(1, "EUR"), "2.5", Money(2, "RUB")),
        (Money(1, "EUR"), "2.500000000001", Money(3, "RUB")),
        (Money(3, "EUR"), "0.5", Money(2, "RUB")),
        # From no decimals, and from three.
        (Money(1, "JPY"), "0.565", Money(56, "RUB")),
        (Money(1, "JPY"), "0.575", Money(58, "RUB")),
        (Money(1_005, "KWD"), "1", Money(100, "RUB")),
        (Money(1_015, "KWD"), "1", Money(102, "RUB")),
        (Money(1_000, "KWD"), "245.12", Money(245_12, "RUB")),
        # To no decimals, and to three.
        (Money(50, "RUB"), "1", Money(0, "JPY")),
        (Money(1_50, "RUB"), "1", Money(2, "JPY")),
        (Money(2_50, "RUB"), "1", Money(2, "JPY")),
        (Money(1, "RUB"), "0.05", Money(0, "KWD")),
        (Money(3, "RUB"), "0.05", Money(2, "KWD")),
        # As many digits as there can be.
        (Money(MINOR_MAX, "RUB"), "0.999999999999", Money(MINOR_MAX - 1000, "RUB")),
    ],
)
def test_conversion_rounds_half_to_even_at_the_target_currencys_minor_unit(
    amount: Money, rate: str, credited: Money
) -> None:
    assert rates.converted(amount, Decimal(rate), credited.currency) == credited


def test_the_rate_of_the_moment_holds_and_is_kept_with_the_payment(books: Books) -> None:
    set_rate(books, "90.5", hours=1)
    set_rate(books, "91.25", hours=3)
    pay = RegisterPayment("R1", by_phone(1), Money(10_00, "EUR"), START)
    assert books.call(register_payment, pay).result is ResultCode.CURRENCY_NOT_ACCEPTED  # none yet
    for hours, rate, credited in ((1, "90.5", "905"), (3, "91.25", "912.50")):
        books.now = START + timedelta(hours=hours) - timedelta(milliseconds=1)
        asked = replace(pay, reference=f"R-{hours}")
        first = books.call(register_payment, asked)
        assert (first.credited, first.rate) == (rub(credited), Decimal(rate))
        books.now = START + timedelta(days=30)
        again = books.call(register_payment, asked)
        assert (again.credited, again.rate, again.replayed) == (first.credited, first.rate, True)
        assert str(again.rate) == str(first.rate)


def test_a_rate_holds_in_its_own_direction_only(books: Books) -> None:
    books.store.write(lambda connection: rates.add_rate(connection, "RUB", "EUR", Decimal("0.01"), START))
    pay = RegisterPayment("R1", by_phone(1), Money(10_00, "EUR"), START)
    assert books.call(register_payment, pay).result is ResultCode.CURRENCY_NOT_ACCEPTED


def test_what_would_be_credited_as_nothing_or_as_too_much_is_refused(books: Books) -> None:
    books.store.write(lambda connection: limits.set_limit(connection, Limit(Scope.DEALER, "BANK", "EUR", 1, MINOR_MAX)))
    set_rate(books, "0.5")
    pay = RegisterPayment("R1", by_phone(1), Money(1, "EUR"), START)
    assert books.call(register_payment, pay).result is ResultCode.AMOUNT_TOO_SMALL
    set_rate(books, "999999", hours=1)
    books.now = START + timedelta(hours=2)
    large = replace(pay, reference="R2", amount=Money(MINOR_MAX, "EUR"))
    assert books.call(register_payment, large).result is ResultCode.AMOUNT_TOO_LARGE


@pytest.mark.parametrize("rate", ["0", "-1", "0.0000000000001", "1.0000000000001"])
def test_what_is_no_rate_is_not_kept(books: Books, rate: str) -> None:
    with pytest.raises(ValueError, match="a rate"):
        set_rate(books, rate)
