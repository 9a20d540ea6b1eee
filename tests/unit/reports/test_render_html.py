"""HTML, parsed as a browser would: nothing comes from outside, and nothing in a cell becomes markup."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bankapi.billing.money import Money
from bankapi.languages.texts import LANGUAGES
from bankapi.reports.document import Bar, Chart, Column, Document, Row, Unit
from bankapi.reports.render import Format
from bankapi.reports.render.progress import BATCH_ROWS
from tests.unit.reports.rendering import document, of_texts, table, written

VOID = {"meta", "col"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None] = field(default_factory=dict)
    children: list["Element | str"] = field(default_factory=list)

    def all(self, tag: str) -> Iterator["Element"]:
        for child in self.children:
            if isinstance(child, Element):
                if child.tag == tag:
                    yield child
                yield from child.all(tag)

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)


class Tree(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.open = [Element("")]
        self.feed(page)
        self.close()
        assert len(self.open) == 1, "every element is closed"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attributes))
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, text: str) -> None:
        self.open[-1].children.append(text)


def page(of: Document) -> Element:
    return Tree(written(of, Format.HTML).decode("utf-8")).open[0]


def cells(of: Document) -> list[list[str]]:
    (body,) = page(of).all("tbody")
    return [[cell.text for cell in row.all("td")] for row in body.all("tr")]


def test_nothing_comes_from_outside() -> None:
    chart = Chart("By terminal", [Bar("<img src=x>", 1, "1")])
    tree = page(document(charts=[chart]))
    (policy,) = [meta for meta in tree.all("meta") if meta.attributes.get("http-equiv") == "Content-Security-Policy"]
    assert str(policy.attributes["content"]).startswith("default-src 'none'; style-src 'unsafe-inline'")
    for tag in ("script", "link", "img", "iframe", "object", "base", "form", "svg", "a"):
        assert not list(tree.all(tag))
    (style,) = tree.all("style")
    assert not re.search(r"url\(|@import|expression", style.text)
    names = {name for element in tree.all("main") for child in _everything(element) for name in child.attributes}
    assert names <= {"class", "style", "id", "role", "tabindex", "aria-labelledby", "scope", "dir", "colspan"}


def _everything(element: Element) -> Iterator[Element]:
    for child in element.children:
        if isinstance(child, Element):
            yield child
            yield from _everything(child)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_says_its_language_and_direction(language: str) -> None:
    (root,) = page(document(language=language)).all("html")
    assert root.attributes == {"lang": language, "dir": "rtl" if language == "ar" else "ltr"}


def test_a_table_is_a_table() -> None:
    total: Row = ("Total", None, None, Money(10, "RUB"), None, None, 7)
    (found,) = page(document(table(total=total))).all("table")
    assert [caption.text for caption in found.all("caption")] == ["Payments"]
    headings = [heading for head in found.all("thead") for heading in head.all("th")]
    assert [heading.attributes["scope"] for heading in headings] == ["col"] * 7
    (foot,) = found.all("tfoot")
    assert [cell.text for cell in foot.all("td")] == ["Total", "", "", "RUB 0.10", "", "", "7"]
    (body,) = found.all("tbody")
    first = [cell.text for cell in next(body.all("tr")).all("td")]
    expected = ["Mar 1, 2026, 1:30:15 AM", "A-1", "First Bank", "-RUB 1,234,567.89", "0.05", "Mar 1, 2026", "1,200"]
    assert first == expected


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])), min_size=1))
def test_a_text_is_never_markup(texts: list[str]) -> None:
    assert cells(of_texts([f"<b>{text}&amp;" for text in texts])) == [
        ["".join("\ufffd" if character in "\ufffe\uffff" else character for character in f"<b>{text}&amp;")]
        for text in texts
    ]


def test_titles_facts_and_labels_are_no_markup() -> None:
    hostile = "</style></title><script>x</script>\"'"
    columns = [Column("text", hostile, Unit.TEXT)]
    chart = Chart(hostile, [Bar(hostile, 1, hostile)])
    of = Document(hostile, [(hostile, hostile)], [table([], columns, title=hostile)], "en", document().zone, [chart])
    tree = page(of)
    assert not list(tree.all("script"))
    for tag in ("title", "h1", "dt", "dd", "figcaption", "h2", "caption", "th"):
        assert [element.text for element in tree.all(tag)] == [hostile], tag


def test_controls_are_replaced() -> None:
    assert cells(of_texts(["a\0b\x1b\x7f"])) == [["a\ufffdb\ufffd\ufffd"]]


def test_identifiers_and_amounts_run_from_left_to_right_in_arabic() -> None:
    (body,) = page(document(language="ar")).all("tbody")
    row = next(body.all("tr"))
    directions = [[bdi.attributes["dir"] for bdi in cell.all("bdi")] for cell in row.all("td")]
    assert directions == [[], ["ltr"], [], ["ltr"], ["ltr"], [], ["ltr"]]


def test_a_long_table_is_in_pieces_of_the_same_columns() -> None:
    columns = [Column("n", "Number", Unit.COUNT)]
    rows = ((number,) for number in range(2 * BATCH_ROWS + 1))
    pieces = list(page(document(table(rows, columns, total=(9,)))).all("table"))
    captions = [caption.text for piece in pieces for caption in piece.all("caption")]
    assert captions == ["rows 1 to 500 · Payments", "rows 501 to 1,000 · Payments", "rows 1,001 to 1,001 · Payments"]
    assert [len(list(piece.all("thead"))) for piece in pieces] == [1, 1, 1]
    widths = [[col.attributes["style"] for col in piece.all("col")] for piece in pieces]
    assert widths[0] == widths[1] == widths[2]
    assert [len(list(piece.all("tfoot"))) for piece in pieces] == [0, 0, 1]
    numbers = [cell.text for piece in pieces for body in piece.all("tbody") for cell in body.all("td")]
    assert [int(number.replace(",", "")) for number in numbers] == list(range(2 * BATCH_ROWS + 1))


def test_an_empty_table_says_so() -> None:
    assert cells(of_texts([])) == [["There are no rows."]]


@pytest.mark.parametrize("values", [[], [0], [0, 0], [7], list(range(62))])
def test_bars_are_shares_of_the_longest(values: list[int]) -> None:
    tree = page(document(charts=[Chart("Payments", [Bar("day", value, str(value)) for value in values])]))
    shares = [float(str(bar.attributes["style"])[len("width:") : -1]) for bar in tree.all("i")]
    longest = max(values, default=0) or 1
    assert shares == [pytest.approx(100 * value / longest, abs=0.01) for value in values]
