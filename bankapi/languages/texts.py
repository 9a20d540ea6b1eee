"""One language's sentences, amounts and dates: gettext catalogs and CLDR, both through Babel.

A message's id is its English sentence, so English needs no catalog; the others are `catalogs/<language>.po`. Values go
in by name: `texts("ru").gettext("Amount: {amount}", amount=…)`. Every call of `gettext`, `ngettext` and `message` with
a literal is found by the tests, which refuse a sentence that a catalog lacks.
"""

import re
from collections.abc import Mapping
from datetime import date, datetime, time, tzinfo
from decimal import Decimal
from functools import cache, lru_cache
from gettext import NullTranslations
from importlib import resources
from io import BytesIO
from typing import Final

from babel import Locale
from babel.core import negotiate_locale
from babel.dates import format_date, format_time, get_datetime_format
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import NumberPattern, get_decimal_symbol, get_group_symbol, get_minus_sign_symbol, parse_pattern
from babel.support import Translations

DEFAULT_LANGUAGE: Final = "en"
LANGUAGES: Final = (DEFAULT_LANGUAGE, "ru", "uk", "kk", "de", "fr", "es", "tr", "ar", "zh")

_SPACE: Final = re.compile(r"\s")
_UNSEEN: Final = re.compile("[\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f]")
_CODE_BESIDE_DIGIT: Final = re.compile(r"(?<=[A-Z])(?=[0-9])")
_DAYS_MAX: Final = 1000
"""Days that are kept as written: a report has few."""


def message(sentence: str) -> str:
    """Mark a sentence for the catalogs where it stands in a table and is looked up later."""
    return sentence


def supported(tag: str) -> str | None:
    """The language we have for a tag (BCP 47), by the look-up of RFC 4647: `ru-RU` is ru, `zh-Hans` is zh."""
    found = negotiate_locale([tag], LANGUAGES, sep="-")
    return None if found is None else found.lower()


def own_name(language: str) -> str:
    """What a language calls itself, as a menu shows it."""
    name = Locale(language).get_display_name(language) or language
    return name[0].upper() + name[1:]


class Texts:
    """The texts of one language that there is a catalog for; `texts` gives it."""

    def __init__(self, language: str) -> None:
        self.language: Final = language
        self._locale = Locale(language)
        self._catalog = _catalog(language)
        self._pattern = _amount_pattern(self._locale)
        self._affixes_known: dict[tuple[str, bool], tuple[str, str]] = {}
        self._signs = _number_signs(self._locale)
        self._day_and_time = plain(str(get_datetime_format("medium", locale=self._locale))).replace("'", "")

    def gettext(self, sentence: str, /, **values: object) -> str:
        """The sentence with its values in their places."""
        return _filled(self._catalog.gettext(sentence), values)

    def ngettext(self, one: str, many: str, count: int, /, **values: object) -> str:
        """The form of the sentence for a number, which is its value `count`."""
        return _filled(self._catalog.ngettext(one, many, count), {"count": count, **values})

    def amount(self, amount: Decimal, currency: str) -> str:
        """An amount with all the decimals it comes with, and its ISO 4217 code where the language puts it.

        The code and not a sign: half the world's signs are "$", and a printer or an SMS may have none of them.
        """
        before, after = self._affixes(currency, amount.is_signed())
        return f"{before}{self.number(amount.copy_abs())}{after}"

    def number(self, number: Decimal | int) -> str:
        """A number with all the decimals it comes with and its digits in groups."""
        assert isinstance(number, int) or number.is_finite(), "what people read is a finite number"
        grouped = f"{number:,d}" if isinstance(number, int) else f"{number:,f}"
        return grouped.translate(self._signs)

    def day(self, day: date) -> str:
        """A calendar day as people of this language write it."""
        return _day(self.language, day.toordinal())

    def instant(self, instant: datetime, zone: tzinfo) -> str:
        """Date and time as people of this language write them, in a time zone, with its offset."""
        local = instant.astimezone(zone)
        return f"{self._moment(local)} {local:%z}"

    def moment(self, instant: datetime, zone: tzinfo) -> str:
        """The same without the offset, for where the time zone is told once."""
        return self._moment(instant.astimezone(zone))

    def _moment(self, local: datetime) -> str:
        time_of_day = _hour(self.language, local.hour).format(local.minute, local.second)
        return self._day_and_time.format(time_of_day, _day(self.language, local.toordinal()))

    def _affixes(self, currency: str, is_negative: bool) -> tuple[str, str]:
        """What stands before and behind the digits of an amount."""
        known = self._affixes_known.get((currency, is_negative))
        if known is None:
            one = Decimal(-1 if is_negative else 1)
            text = self._pattern.apply(
                one, self._locale, currency=currency, currency_digits=False, numbering_system="latn"
            )
            before, _, after = _CODE_BESIDE_DIGIT.sub(" ", plain(text)).partition("1")
            known = self._affixes_known[currency, is_negative] = (before, after)
        return known


def _amount_pattern(locale: Locale) -> NumberPattern:
    standard: NumberPattern = locale.currency_formats["standard"]
    pattern = parse_pattern(standard.pattern.replace("¤", "¤¤"))
    pattern.frac_prec = (0, 0)
    return pattern


def _number_signs(locale: Locale) -> dict[int, str]:
    """From the signs that Python writes a number with to those of CLDR."""
    signs = {",": get_group_symbol, ".": get_decimal_symbol, "-": get_minus_sign_symbol}
    return {ord(sign): plain(symbol(locale, numbering_system="latn")) for sign, symbol in signs.items()}


@lru_cache(_DAYS_MAX)
def _day(language: str, ordinal: int) -> str:
    return plain(format_date(date.fromordinal(ordinal), "medium", locale=language))


@cache
def _hour(language: str, hour: int) -> str:
    """The times of day of one hour: all but its minute and second, which every language writes as two digits."""
    pattern = Locale(language).time_formats["medium"].pattern
    return plain(
        format_time(time(hour), pattern.replace("mm", "'{0:02d}'").replace("ss", "'{1:02d}'"), locale=language)
    )


def texts(tag: str) -> Texts:
    """The texts for a language tag, in English when there is no catalog for it."""
    return _texts(supported(tag) or DEFAULT_LANGUAGE)


@cache
def _texts(language: str) -> Texts:
    return Texts(language)


def _catalog(language: str) -> NullTranslations:
    """The catalog, read once per process; compiled in memory, so that only what people edit is kept."""
    if language == DEFAULT_LANGUAGE:
        return NullTranslations()
    file = resources.files(__package__).joinpath("catalogs", f"{language}.po")
    compiled = BytesIO()
    with file.open("rb") as source:
        write_mo(compiled, read_po(source, locale=language, abort_invalid=True))
    compiled.seek(0)
    return Translations(compiled)


def _filled(sentence: str, values: Mapping[str, object]) -> str:
    return sentence.format_map(values) if values else sentence


def plain(text: str) -> str:
    """Without what printers and the SMS alphabet lack: CLDR's special spaces, and marks that are not seen."""
    return text if text.isascii() else _UNSEEN.sub("", _SPACE.sub(" ", text))
