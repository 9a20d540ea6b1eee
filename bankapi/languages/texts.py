"""One language's sentences, amounts and dates: gettext catalogs and CLDR, both through Babel.

A message's id is its English sentence, so English needs no catalog; the others are `catalogs/<language>.po`. Values go
in by name: `texts("ru").gettext("Amount: {amount}", amount=…)`. Every call of `gettext`, `ngettext` and `message` with
a literal is found by the tests, which refuse a sentence that a catalog lacks.
"""

import re
from collections.abc import Mapping
from datetime import datetime, tzinfo
from decimal import Decimal
from functools import cache
from gettext import NullTranslations
from importlib import resources
from io import BytesIO
from typing import Final

from babel import Locale
from babel.core import negotiate_locale
from babel.dates import format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import NumberPattern, parse_pattern
from babel.support import Translations

DEFAULT_LANGUAGE: Final = "en"
LANGUAGES: Final = (DEFAULT_LANGUAGE, "ru", "uk", "kk", "de", "fr", "es", "tr", "ar", "zh")

_SPACE: Final = re.compile(r"\s")
_UNSEEN: Final = re.compile("[\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f]")
_CODE_BESIDE_DIGIT: Final = re.compile(r"(?<=[A-Z])(?=[0-9])")


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
        self._patterns: dict[int, NumberPattern] = {}

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
        exponent = amount.as_tuple().exponent
        assert isinstance(exponent, int), "an amount is a finite number"
        pattern = self._pattern(max(-exponent, 0))
        text = pattern.apply(amount, self._locale, currency=currency, currency_digits=False, numbering_system="latn")
        return _CODE_BESIDE_DIGIT.sub(" ", plain(text))

    def instant(self, instant: datetime, zone: tzinfo) -> str:
        """Date and time as people of this language write them, in a time zone, with its offset."""
        local = instant.astimezone(zone)
        return f"{plain(format_datetime(local, 'medium', locale=self._locale))} {local:%z}"

    def _pattern(self, decimals: int) -> NumberPattern:
        pattern = self._patterns.get(decimals)
        if pattern is None:
            standard: NumberPattern = self._locale.currency_formats["standard"]
            pattern = parse_pattern(standard.pattern.replace("¤", "¤¤"))
            pattern.frac_prec = (decimals, decimals)
            self._patterns[decimals] = pattern
        return pattern


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
