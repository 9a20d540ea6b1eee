"""The charts of the reports: volumes per day and by terminal."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Final

from bankapi.billing.money import Money
from bankapi.languages.texts import Texts
from bankapi.reports.document import Bar, Chart
from bankapi.reports.financial import Line

_BARS_MAX: Final = 62
"""Days that a chart shows one by one; of a longer period it shows months."""
_TERMINALS_MAX: Final = 15


def volumes(texts: Texts, lines: Sequence[Line], first_on: date, last_on: date) -> tuple[Chart, ...]:
    """What was registered less what was cancelled, per day and by terminal, a pair of charts for each currency."""
    charts: list[Chart] = []
    for currency in sorted({line.key.currency for line in lines}):
        of = [line for line in lines if line.key.currency == currency]
        charts.append(_over_time(texts, of, currency, is_long=(last_on - first_on).days >= _BARS_MAX))
        charts.append(_by_terminal(texts, of, currency))
    return tuple(charts)


def _over_time(texts: Texts, lines: Iterable[Line], currency: str, *, is_long: bool) -> Chart:
    sums: Counter[date] = Counter()
    for line in lines:
        day = line.key.business_on
        sums[day.replace(day=1) if is_long else day] += line.net_minor
    if is_long:
        title = texts.gettext("Volume per month, {currency}", currency=currency)
        return _chart(texts, title, ((f"{day:%Y-%m}", sums[day]) for day in sorted(sums)), currency)
    title = texts.gettext("Volume per day, {currency}", currency=currency)
    return _chart(texts, title, ((texts.day(day), sums[day]) for day in sorted(sums)), currency)


def _by_terminal(texts: Texts, lines: Iterable[Line], currency: str) -> Chart:
    sums: Counter[str] = Counter()
    for line in lines:
        sums[line.key.terminal] += line.net_minor
    ranked = sums.most_common()
    named = ranked[:_TERMINALS_MAX]
    if others := ranked[_TERMINALS_MAX:]:
        named.append((texts.gettext("Others"), sum(minor for _, minor in others)))
    return _chart(texts, texts.gettext("Volume by terminal, {currency}", currency=currency), named, currency)


def _chart(texts: Texts, title: str, sums: Iterable[tuple[str, int]], currency: str) -> Chart:
    bars = []
    for name, minor in sums:
        amount = Money(minor, currency).to_decimal()
        # A day on which more was cancelled than registered has no bar, but its amount.
        bars.append(Bar(name, max(amount, Decimal(0)), texts.amount(amount, currency)))
    return Chart(title, bars)
