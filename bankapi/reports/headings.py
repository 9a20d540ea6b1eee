"""What every report says of itself, and the words that all of them have in common."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from bankapi.billing.terminals import Scheme
from bankapi.languages.texts import Texts, message
from bankapi.reports.transactions import Event, Selection

EVENTS: Final = {
    Event.REGISTERED: message("Registered"),
    Event.DECLINED: message("Declined"),
    Event.CANCELLED: message("Cancelled"),
    Event.VOIDED: message("Voided"),
}
SCHEMES: Final = {
    Scheme.CREDIT_ADJUSTMENT: message("Settled afterwards"),
    Scheme.DEBIT_ADJUSTMENT: message("Paid ahead"),
}


@dataclass(frozen=True, slots=True)
class Heading:
    """What every report says of itself: whose it is, in which language and time zone, and when it was made."""

    dealer: str | None
    zone: ZoneInfo
    texts: Texts
    made_at: datetime
    closed_through_on: date | None = None

    def facts(self, first_on: date, last_on: date, *more: tuple[str, str | None]) -> list[tuple[str, str]]:
        """The lines above the tables; what there is not is left out."""
        gettext = self.texts.gettext
        known = (
            (gettext("Dealer"), self.dealer),
            (gettext("Period"), f"{self.texts.day(first_on)} – {self.texts.day(last_on)}"),
            *more,
            (gettext("Closed through"), self.closed_through_on and self.texts.day(self.closed_through_on)),
            (gettext("Time zone"), self.zone.key),
            (gettext("Made at"), self.texts.instant(self.made_at, self.zone)),
        )
        return [(label, value) for label, value in known if value]


def filters(texts: Texts, selection: Selection) -> list[tuple[str, str | None]]:
    """What was selected, as facts of a heading."""
    gettext = texts.gettext
    events = None
    if len(selection.events) < len(Event):
        events = ", ".join(gettext(EVENTS[event]) for event in Event if event in selection.events)
    return [
        (gettext("Terminal"), selection.terminal),
        (gettext("Scheme"), selection.scheme and gettext(SCHEMES[selection.scheme])),
        (gettext("Currency"), selection.currency),
        (gettext("Event"), events),
    ]
