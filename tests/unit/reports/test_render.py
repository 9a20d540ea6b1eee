"""What holds for every format: who waits is told, rows are not held, and a PDF has its limit."""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest

from bankapi.languages.texts import LANGUAGES
from bankapi.reports.document import Bar, Chart, Column, Unit
from bankapi.reports.render import Format, TooManyRows, as_pdf, write
from bankapi.reports.render.progress import BATCH_ROWS
from tests.unit.reports.rendering import document, table, written

NUMBER = [Column("n", "Number", Unit.COUNT)]
STREAMED = [Format.CSV, Format.XLSX, Format.HTML]


class Counted(list[Any]):
    """A row that counts how many of its kind are in memory."""

    alive = 0
    most = 0

    def __init__(self, number: int) -> None:
        super().__init__([number])
        Counted.alive += 1
        Counted.most = max(Counted.most, Counted.alive)

    def __del__(self) -> None:
        Counted.alive -= 1


@pytest.mark.parametrize("format", STREAMED)
def test_few_rows_are_in_memory_however_many_there_are(format: Format) -> None:
    Counted.alive = Counted.most = 0
    written(document(table(map(Counted, range(8 * BATCH_ROWS)), NUMBER)), format)
    assert Counted.alive == 0
    assert BATCH_ROWS <= Counted.most <= 2 * BATCH_ROWS + 10


@pytest.mark.parametrize("format", list(Format))
def test_who_waits_is_told_of_all_rows_and_totals_come_last(format: Format) -> None:
    seen: list[int] = []
    told: list[int] = []

    def rows() -> Iterator[list[int]]:
        for number in range(1200):
            seen.append(number)
            yield [number]

    def totals() -> list[list[int]]:
        assert len(seen) == 1200
        return [[sum(seen)]]

    of = document(table(rows(), NUMBER))
    with_totals = document(type(of.tables[0])("t", "T", NUMBER, of.tables[0].rows, totals))
    write(with_totals, format, BytesIO(), told.append)
    assert told == [500, 1000, 1200]


@pytest.mark.parametrize("format", list(Format))
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_is_written_in_every_format(language: str, format: Format) -> None:
    charts = [Chart("Payments", [Bar("ATM", 1, "1")]), Chart("Nothing", [])]
    assert len(written(document(language=language, charts=charts), format)) > 100


def test_a_pdf_has_a_limit_over_all_its_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(as_pdf, "PDF_ROWS_MAX", 6)
    tables = table([(number,) for number in range(3)], NUMBER), table([(number,) for number in range(3)], NUMBER)
    assert written(document(*tables), Format.PDF).startswith(b"%PDF-")
    file = BytesIO()
    with pytest.raises(TooManyRows):
        write(document(*tables, table([(1,)], NUMBER)), Format.PDF, file)
    assert file.getvalue() == b"", "nothing was written"


def test_the_limit_says_what_to_do_instead() -> None:
    rows = ((number,) for number in range(10**9))
    with pytest.raises(TooManyRows, match=r"^PDF вмещает не более 10 000 строк\. Запросите CSV или XLSX"):
        written(document(table(rows, NUMBER), language="ru"), Format.PDF)
