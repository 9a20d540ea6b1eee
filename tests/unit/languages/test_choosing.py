"""The order of the sources, and what a country speaks."""

import pytest

from bankapi.languages import choosing
from bankapi.languages.choosing import Source, language_of_country


def choose(requested: str | None = None, card: str | None = None, terminal: str | None = None, dealer: str = "") -> str:
    return choosing.choose(requested=requested, card=lambda: card, terminal=terminal, dealer=dealer)


@pytest.mark.parametrize("nothing", [None, "tlh", "pl-PL"])
def test_the_first_source_that_leads_to_a_language_decides(nothing: str | None) -> None:
    assert choose("de-CH", "ru", "tr", "fr") == "de"
    assert choose(nothing, "ru", "tr", "fr") == "ru"
    assert choose(nothing, nothing, "tr", "fr") == "tr"
    assert choose(nothing, nothing, nothing, "fr") == "fr"
    assert choose(nothing, nothing, nothing, "tlh") == "en"


def test_the_card_is_looked_up_only_when_the_request_does_not_decide() -> None:
    def never() -> str:
        raise AssertionError("looked up")

    assert choosing.choose(requested="uk", card=never, terminal=None, dealer="en") == "uk"
    with pytest.raises(AssertionError, match="looked up"):
        choosing.choose(requested="tlh", card=never, terminal=None, dealer="en")


def test_every_source_is_considered_in_order() -> None:
    steps = list(choosing.steps(requested=None, card=lambda: "be", terminal=None, dealer=None))
    assert [step.source for step in steps] == list(Source)
    assert (steps[1].tag, steps[1].language) == ("be", None)


@pytest.mark.parametrize(
    ("country", "language"),
    [
        *[("RU", "ru"), ("UA", "uk"), ("DE", "de"), ("AT", "de"), ("TR", "tr"), ("CN", "zh"), ("SA", "ar")],
        *[("MX", "es"), ("TW", "zh-Hant"), ("GB", "en"), ("US", "en"), ("AQ", None)],
    ],
)
def test_a_country_speaks_its_most_used_official_language(country: str, language: str | None) -> None:
    assert language_of_country(country) == language
