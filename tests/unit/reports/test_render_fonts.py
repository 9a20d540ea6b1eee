"""The fonts of paper have what the languages need, in all their weights, and do not weigh too much."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib import resources
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from fontTools.ttLib import TTFont

import bankapi.languages
from bankapi.languages.texts import LANGUAGES, own_name, texts
from bankapi.reports.render.typesetting import MISSING, has_glyph

FONTS = [file for file in resources.files("bankapi.reports.fonts").iterdir() if file.name.endswith((".ttf", ".otf"))]
CATALOGS = Path(bankapi.languages.__file__).parent / "catalogs"


def written_in(language: str) -> str:
    """Everything a report may say by itself: sentences, days of a whole year, times of a whole day, amounts."""
    spoken = texts(language)
    said = [own_name(language), spoken.amount(Decimal("-1234567890.12"), "RUB"), spoken.number(Decimal("-0.5"))]
    said += [spoken.day(date(2026, 1, 1) + timedelta(days=day)) for day in range(0, 365, 5)]
    said += [spoken.instant(datetime(2026, 1, 1, hour, tzinfo=UTC), UTC) for hour in range(24)]
    if language != "en":
        catalog = read_po(BytesIO((CATALOGS / f"{language}.po").read_bytes()), locale=language)
        said += [form for each in catalog for form in ([each.string] if isinstance(each.string, str) else each.string)]
    return "".join(said)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_character_of_every_language_has_a_glyph(language: str) -> None:
    missing = {character for character in written_in(language) if character.isprintable() and not has_glyph(character)}
    assert not missing


def test_what_stands_for_the_missing_is_there() -> None:
    assert has_glyph(MISSING)
    assert has_glyph("…")
    assert not has_glyph("\U00013000")


@pytest.mark.parametrize("family", ["NotoSans", "NotoSansArabic"])
def test_a_bold_font_has_the_characters_of_the_regular_one(family: str) -> None:
    files = [file for file in FONTS if file.name.startswith(f"{family}-")]
    assert len(files) == 2
    first, second = [set(TTFont(BytesIO(file.read_bytes())).getBestCmap()) for file in files]
    assert first == second


def test_fonts_do_not_weigh_too_much() -> None:
    assert sum(len(file.read_bytes()) for file in FONTS) < 1_500_000
    assert "SIL OPEN FONT LICENSE" in resources.files("bankapi.reports.fonts").joinpath("OFL.txt").read_text()
