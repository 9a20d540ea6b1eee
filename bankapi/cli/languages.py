"""`bankapi language` and `bankapi card-range`: in which language somebody is answered, and why."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
from babel import Locale
from sqlalchemy import Connection

from bankapi.billing import card_ranges, terminals
from bankapi.billing.card_ranges import SPAN_MAX, CardRange, span
from bankapi.cli import imports
from bankapi.cli.administration import found, read
from bankapi.cli.imports import Column, Mistakes, Seen
from bankapi.cli.output import json_option, show, show_all
from bankapi.cli.parameters import LANGUAGE, NAME, Value, read_bin, read_language
from bankapi.languages import choosing
from bankapi.languages.choosing import Source, Step
from bankapi.settings import Settings

DEMO_CARD_RANGES: Final = """\
first,last,country,language
999901,,RU,
999902,,DE,
999903,,TR,
999904,,CN,
999905,,UA,
999906,,KZ,kk
999907,,FR,
999908,,ES,
999909,,SA,
999910,999919,GB,
99992000,99992999,CH,
99992015,,CH,fr
"""
"""No issuer has these: BINs that begin with 9 are a country's own, and ISO 3166-1 has no country 999."""


def read_country(text: str) -> str:
    """ISO 3166-1 alpha-2, as far as CLDR knows it."""
    country = text.upper()
    if len(country) != 2 or country not in Locale("en").territories:
        raise ValueError("is not an ISO 3166-1 country code of two letters")
    return country


COLUMNS: Final = (
    Column("first", read_bin, is_required=True),
    Column("last", read_bin),
    Column("country", read_country, is_required=True),
    Column("language", read_language),
)


@click.command()
@click.option("--language", "requested", type=LANGUAGE, help="The Language of a request (BCP 47).")
@click.option("--card-bin", type=Value(read_bin, "digits"), help="First 6 to 8 digits of a card.")
@click.option("--terminal", type=NAME, help="The terminal that asks.")
@json_option
@click.pass_obj
def language(
    settings: Settings, requested: str | None, card_bin: str | None, terminal: str | None, as_json: bool
) -> None:
    """In which language would this request, card or terminal be answered, and why?

    The first of these for which there is a catalog: the request's Language, the country of its card, the terminal's
    language, its dealer's, English.
    """

    def work(connection: Connection) -> tuple[CardRange | None, list[Step]]:
        asking = found(terminals.find_terminal(connection, terminal), "terminal", terminal) if terminal else None
        card = card_ranges.find(connection, card_bin) if card_bin else None
        steps = choosing.steps(
            requested=requested,
            card=lambda: card.tag if card else None,
            terminal=asking.language if asking else None,
            dealer=asking.dealer_language if asking else None,
        )
        return card, list(steps)

    card, steps = read(settings, work)
    chosen = next(step for step in steps if step.language)
    fields = {"language": chosen.language, "source": chosen.source}
    show(fields | {"considered": [_considered(step, chosen, card_bin, card) for step in steps]}, as_json)


def _considered(step: Step, chosen: Step, card_bin: str | None, card: CardRange | None) -> dict[str, Any]:
    if step is chosen:
        why = "decides"
    elif step.tag is None:
        why = "says nothing"
    elif step.language is None:
        why = "has no catalog here"
    else:
        why = "comes later"
    if step.source is Source.CARD and card_bin:
        why += f"; {_origin(card)}"
    return {"source": step.source, "tag": step.tag, "language": step.language, "why": why}


def _origin(card: CardRange | None) -> str:
    if card is None:
        return "no range holds this BIN"
    said = "the table says the language" if card.language else "its most used official language"
    return f"range {card.first:08}-{card.last:08}, country {card.country}, {said}"


@click.group("card-range")
def card_range() -> None:
    """Which country issues which cards: the operator's table, from which a payer's language follows."""


@card_range.command("list")
@json_option
@click.pass_obj
def list_(settings: Settings, as_json: bool) -> None:
    """List the ranges, with the language that follows from each."""
    show_all([_fields(each) for each in read(settings, card_ranges.list_ranges)], as_json)


@card_range.command("import")
@imports.file_argument
@json_option
@click.pass_obj
def import_(settings: Settings, file: Path, as_json: bool) -> None:
    """Replace the whole table by a CSV file, or nothing of it.

    UTF-8, commas, and a heading with these columns in any order:

    \b
    first      6 to 8 digits of a card number; required
    last       6 to 8 digits; the same as first when empty
    country    ISO 3166-1 code of two letters; required
    language   a language tag (BCP 47); the most used official one of the country when empty

    Ranges may lie within each other: the narrowest that holds a card's BIN counts. Mistakes are listed by line and
    column on standard error, the first hundred of them, and then nothing is changed.
    """
    read_rows = partial(card_ranges_in, file)
    count = imports.imported(settings, file, read_rows, _none_taken, card_ranges.add, card_ranges.clear)
    show({"imported": count}, as_json)


def card_ranges_in(file: Path, mistakes: Mistakes, label: str) -> Iterator[tuple[int, CardRange]]:
    """The good rows of a file of ranges."""
    seen = Seen(mistakes)
    for row in imports.rows(file, COLUMNS, mistakes, label):
        values = row.values
        first, last = span(values["first"], values["last"] or values["first"])
        if first > last:
            mistakes.add(row.line, "last", "is before the first")
        elif last - first >= SPAN_MAX:
            mistakes.add(row.line, "last", "is too far from the first: a range holds a million 8-digit numbers at most")
        seen.add(row.line, "first", (first, last))
        yield row.line, CardRange(first, last, values["country"], values["language"])


def _none_taken(connection: Connection, part: Sequence[tuple[int, CardRange]], mistakes: Mistakes) -> None:
    """The file replaces what the database has."""


def _fields(entry: CardRange) -> dict[str, Any]:
    return {
        "first": f"{entry.first:08}",
        "last": f"{entry.last:08}",
        "country": entry.country,
        "language": entry.tag,
    }
