"""What cannot be written in the format asked for."""

from typing import Final

from bankapi.languages.texts import Texts

PDF_ROWS_MAX: Final = 10_000
"""Some two hundred pages: who needs more is not going to read them, and a PDF is laid out in memory."""


class TooManyRows(Exception):
    """More rows than a format for people holds; the sentence says what to do instead."""

    def __init__(self, texts: Texts) -> None:
        super().__init__(
            texts.gettext(
                "A PDF holds at most {rows} rows. Ask for CSV or XLSX, or for a shorter period.",
                rows=texts.number(PDF_ROWS_MAX),
            )
        )


class NothingFlat(Exception):
    """The document has several tables, and none that CSV could write. The maker of the document is wrong."""
