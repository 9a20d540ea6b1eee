"""A report as CSV for scripts, XLSX for spreadsheets, PDF for paper and HTML for screens.

One module per format. All but PDF hold a few hundred rows at a time, however many the report has.
"""

from enum import StrEnum
from importlib import import_module
from typing import BinaryIO

from bankapi.reports.document import Document
from bankapi.reports.render.progress import Progress, Tell, silent
from bankapi.reports.render.refusing import PDF_ROWS_MAX, NothingFlat, TooManyRows

__all__ = ["PDF_ROWS_MAX", "Format", "NothingFlat", "TooManyRows", "write"]


class Format(StrEnum):
    """What a report can be written as; the value is the file's extension."""

    CSV = "csv"
    XLSX = "xlsx"
    PDF = "pdf"
    HTML = "html"


def write(document: Document, format: Format, file: BinaryIO, progress: Tell = silent) -> None:
    """Write the report; `progress` is told how many rows are written, every few hundred.

    TooManyRows: a PDF of more than PDF_ROWS_MAX rows; NothingFlat: a CSV of several tables, none of them flat. Nothing
    was written to `file` then. The tables' rows are used up in any case.
    """
    # The format's module comes now, because fpdf2 alone takes a third of a second and most processes write no report.
    module = import_module(f"{__name__}.as_{format.value}")
    module.write(document, file, Progress(progress))
