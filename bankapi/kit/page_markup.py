"""HTML as a tree: whatever is text stays text, because only lxml turns it into markup.

`E.p("one ", E.code("two"))` is an element with its content; a mapping in the content is the element's attributes.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from lxml import etree

Element = etree._Element
Content = Element | str | Mapping[str, str]

STYLE_PATH: Final = "/kit/page.css"


class _Elements:
    def __getattr__(self, tag: str) -> Callable[..., Element]:
        def made(*content: Content) -> Element:
            element = etree.Element(tag)
            for each in content:
                if isinstance(each, Mapping):
                    for name, value in each.items():
                        element.set(name, value)
                elif isinstance(each, str):
                    _append(element, each)
                else:
                    element.append(each)
            return element

        return made


E: Final = _Elements()


def _append(element: Element, text: str) -> None:
    if len(element):
        element[-1].tail = (element[-1].tail or "") + text
    else:
        element.text = (element.text or "") + text


def titled(name: str, title: str, heading: str = "h2") -> Element:
    """A section with its heading; `name` is its anchor."""
    top = getattr(E, heading)({"id": f"{name}-title"}, title)
    return E.section({"id": name, "aria-labelledby": f"{name}-title"}, top)


def table(heads: tuple[str, ...], rows: Iterable[tuple[Content, ...]]) -> Element:
    """A table that a narrow window shows as a list: the style sheet takes each cell's heading from `data-head`.

    The roles are said because a list is what browsers would then take it for.
    """
    body = E.tbody({"role": "rowgroup"})
    for row in rows:
        first, *others = zip(heads, row, strict=True)
        cells = [E.td({"role": "cell", "data-head": head}, cell) for head, cell in others]
        body.append(E.tr({"role": "row"}, E.th({"scope": "row", "role": "rowheader"}, first[1]), *cells))
    top = E.tr({"role": "row"}, *(E.th({"scope": "col", "role": "columnheader"}, head) for head in heads))
    return E.table({"role": "table"}, E.thead({"role": "rowgroup"}, top), body)


def terms(pairs: Iterable[tuple[Content, Content]]) -> Element:
    """A list of words with what they mean."""
    return E.dl(*(part for term, meaning in pairs for part in (E.dt(term), E.dd(meaning))))


def marked(words: str) -> Element:
    """A sentence in which `backticks` mark what is typed."""
    parts = words.split("`")
    return E.span(*(E.code(part) if number % 2 else part for number, part in enumerate(parts)))


def document(title: str, *parts: Element) -> bytes:
    """The whole page in UTF-8; one of the parts is `main` with this id."""
    page = E.html(
        {"lang": "en"},
        E.head(
            E.meta({"charset": "utf-8"}),
            E.meta({"name": "viewport", "content": "width=device-width, initial-scale=1"}),
            E.title(title),
            E.link({"rel": "stylesheet", "href": STYLE_PATH}),
        ),
        E.body(E.a({"href": "#main", "class": "skip"}, "To the content"), *parts),
    )
    return etree.tostring(page, method="html", encoding="utf-8", doctype="<!DOCTYPE html>")
