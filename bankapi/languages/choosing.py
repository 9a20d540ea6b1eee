"""Which language to answer in. The one place of the order: asked for, else the card's, the terminal's, the dealer's.

A source counts when there is a catalog for what it says; otherwise the next one is asked. English comes last.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from babel.languages import get_official_languages

from bankapi.languages.texts import DEFAULT_LANGUAGE, supported


class Source(StrEnum):
    """Who may say in which language to answer, in this order."""

    REQUEST = "REQUEST"
    CARD = "CARD"
    """The country whose banks issue cards with this BIN."""
    TERMINAL = "TERMINAL"
    DEALER = "DEALER"
    DEFAULT = "DEFAULT"


@dataclass(frozen=True, slots=True)
class Step:
    """What one source says: its tag (BCP 47) if any, and the language we have for it if any."""

    source: Source
    tag: str | None
    language: str | None


def choose(*, requested: str | None, card: Callable[[], str | None], terminal: str | None, dealer: str) -> str:
    """The language of the first source that leads to one. `card` is asked only when the request does not decide."""
    considered = steps(requested=requested, card=card, terminal=terminal, dealer=dealer)
    return next(step.language for step in considered if step.language is not None)


def steps(
    *, requested: str | None, card: Callable[[], str | None], terminal: str | None, dealer: str | None
) -> Iterator[Step]:
    """What each source says, in order; the last one always leads to a language."""
    yield _step(Source.REQUEST, requested)
    yield _step(Source.CARD, card())
    yield _step(Source.TERMINAL, terminal)
    yield _step(Source.DEALER, dealer)
    yield _step(Source.DEFAULT, DEFAULT_LANGUAGE)


def _step(source: Source, tag: str | None) -> Step:
    return Step(source, tag, None if tag is None else supported(tag))


@cache
def language_of_country(country: str) -> str | None:
    """The official language most people of a country use (CLDR), as a tag; None when there is none."""
    spoken = get_official_languages(country, de_facto=True)
    return spoken[0].replace("_", "-") if spoken else None
