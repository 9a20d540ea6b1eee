"""Registers as CSV (RFC 4180) in UTF-8, for scripts and spreadsheets.

    reference,status,amount,currency,occurred_at,terminal,payment_id
    A-1,REGISTERED,100.00,RUB,2026-11-23T15:00:00+03:00,ATM-0001,
    #TOTAL,1,100.00,,,,

The first four columns are those; the others may be left out and come in any order. The last line begins with #TOTAL,
which no reference can, and has the number of rows in the second field and their hash total in the third: a file that
lost its end is noticed. Lines end with CR LF or LF, a byte order mark may stand in front; nothing is stripped or
guessed.
"""

import codecs
import csv
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from io import TextIOWrapper
from typing import BinaryIO, Final

from bankapi.reports.register_values import OPTIONAL, REQUIRED, Reading, read_hash_total, read_row_count
from bankapi.reports.registers import RegisterRow, Totals, instant_text, total_text

TOTAL: Final = "#TOTAL"
_LINE_BYTES_MAX: Final = 4096


class _NotCSV(Exception):
    """It cannot be read any further."""


def read(file: BinaryIO, reading: Reading) -> Iterator[RegisterRow]:
    """The good rows; whatever is wrong is noted in `reading`."""
    reader = csv.reader(_lines(file), strict=True)
    try:
        heading = next(reader, [])
        if not _is_heading(heading, reading):
            return
        for cells in reader:
            place = f"line {reader.line_num}"
            if len(cells) != len(heading):
                reading.mistake(place, f"has {len(cells)} values, not {len(heading)}")
            elif reading.totals is not None:
                reading.mistake(place, "nothing may follow the totals")
                return
            elif cells[0] == TOTAL:
                _take_totals(place, cells, reading)
            else:
                named = zip(heading, cells, strict=True)
                row = reading.row(place, {name: cell if cell or name in REQUIRED else None for name, cell in named})
                if row is not None:
                    yield row
    except _NotCSV as error:
        reading.mistake(f"line {reader.line_num + 1}", f"{error}; the rest was not read")
        return
    except csv.Error:
        reading.mistake(f"line {reader.line_num}", "is not CSV (a quote is not closed, perhaps); the rest was not read")
        return
    reading.finish()


def write(file: BinaryIO, rows: Iterable[RegisterRow]) -> Totals:
    """Write a register with every column; returns its totals. Memory does not depend on how many rows there are."""
    count, total = 0, Decimal(0)
    text = TextIOWrapper(file, encoding="utf-8", newline="")
    try:
        writer = csv.writer(text)
        writer.writerow((*REQUIRED, *OPTIONAL))
        for row in rows:
            amount = row.amount.to_decimal()
            count, total = count + 1, total + amount
            occurred_at = "" if row.occurred_at is None else instant_text(row.occurred_at)
            optional = (occurred_at, row.terminal or "", row.payment_id or "")
            writer.writerow((row.reference, row.status, amount, row.amount.currency, *optional))
        writer.writerow((TOTAL, count, total_text(total), "", *("" for _ in OPTIONAL)))
        text.flush()
    finally:
        text.detach()  # closing the file is the caller's business
    return Totals(count, total)


def _is_heading(heading: Sequence[str], reading: Reading) -> bool:
    if tuple(heading[: len(REQUIRED)]) != REQUIRED:
        reading.mistake("line 1", f"does not begin with the columns {','.join(REQUIRED)}")
        return False
    for position, name in enumerate(heading[len(REQUIRED) :], len(REQUIRED) + 1):
        if name not in OPTIONAL:
            reading.mistake("line 1", f"column {position} is none of {', '.join(OPTIONAL)}")
            return False
        if heading.count(name) > 1:
            reading.mistake("line 1", f"column {position} stands there twice")
            return False
    return True


def _take_totals(place: str, cells: Sequence[str], reading: Reading) -> None:
    values = {"rows": cells[1], "hash total": cells[2]}
    before = reading.mistake_count
    rows = reading.value(place, "rows", read_row_count, values)
    total = reading.value(place, "hash total", read_hash_total, values)
    if any(cells[3:]):
        reading.mistake(place, "nothing may follow the hash total")
    known = reading.mistake_count == before
    reading.totals = Totals(rows, total) if known else Totals(0, Decimal(0))


def _lines(file: BinaryIO) -> Iterator[str]:
    """The lines, decoded one by one, so that what is not UTF-8 has its place."""
    first = True
    while line := file.readline(_LINE_BYTES_MAX + 1):
        if len(line) > _LINE_BYTES_MAX:
            raise _NotCSV(f"is longer than {_LINE_BYTES_MAX} bytes")
        if first:
            line, first = line.removeprefix(codecs.BOM_UTF8), False
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError:
            raise _NotCSV("is not UTF-8") from None
