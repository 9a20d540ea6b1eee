"""What a notice says, per event and language. The sentences are in `languages/`, whose tests see that they fit."""

from collections.abc import Callable
from typing import Final

from bankapi.billing.money import Money
from bankapi.languages import sms
from bankapi.languages.texts import texts
from bankapi.notices.outbox import Event

_SENTENCES: Final[dict[Event, Callable[..., str]]] = {
    Event.PAYMENT_REGISTERED: sms.payment_registered,
    Event.PAYMENT_CANCELLED: sms.payment_cancelled,
}


def text(event: Event, language: str, *, amount: Money, dealer: str, payment_id: str) -> str:
    """The text in this language (BCP 47), or in English when there is no catalog for it."""
    return _SENTENCES[event](
        texts(language),
        amount=amount.to_decimal(),
        currency=amount.currency,
        dealer=dealer,
        payment_id=payment_id,
    )
