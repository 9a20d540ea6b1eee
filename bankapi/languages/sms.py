"""The wording of the SMS that a customer gets: each fits two parts, whatever its values are."""

from decimal import Decimal
from typing import Final

from bankapi.languages.texts import Texts

DEALER_MAX: Final = 20
"""Characters of a dealer's name that are told; the rest is cut off."""
PAYMENT_DIGITS: Final = 8
"""The end of a payment's id, which is enough to find it among one customer's."""


def payment_registered(
    texts: Texts, *, amount: Decimal, currency: str, dealer: str, payment_id: str, balance: Decimal | None = None
) -> str:
    """A payment was booked; `amount` and the balance after it are in the account's currency."""
    values = _values(texts, amount, currency, dealer, payment_id)
    if balance is None:
        return texts.gettext("Payment of {amount} received. {dealer}, no. {payment}.", **values)
    return texts.gettext(
        "Payment of {amount} received. Balance: {balance}. {dealer}, no. {payment}.",
        balance=texts.amount(balance, currency),
        **values,
    )


def payment_cancelled(
    texts: Texts, *, amount: Decimal, currency: str, dealer: str, payment_id: str, balance: Decimal | None = None
) -> str:
    """A payment was cancelled; `amount` and the balance after it are in the account's currency."""
    values = _values(texts, amount, currency, dealer, payment_id)
    if balance is None:
        return texts.gettext("Payment of {amount} cancelled. {dealer}, no. {payment}.", **values)
    return texts.gettext(
        "Payment of {amount} cancelled. Balance: {balance}. {dealer}, no. {payment}.",
        balance=texts.amount(balance, currency),
        **values,
    )


def _values(texts: Texts, amount: Decimal, currency: str, dealer: str, payment_id: str) -> dict[str, str]:
    return {
        "amount": texts.amount(amount, currency),
        "dealer": dealer[:DEALER_MAX],
        "payment": payment_id[-PAYMENT_DIGITS:],
    }
