"""Moving the bodies of old exchanges to a file: the journal shrinks, and every proof stays valid.

The tree is made of digests, so it does not notice. The file is a ZIP of `EXCHANGE_ID/request.xml` and
`EXCHANGE_ID/answer.xml`, the very bytes; whoever has it and the journal can verify both together.
"""

import hashlib
import zipfile
import zlib
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, func, select, update

from bankapi.evidence.tables import archives, exchanges, tree_leaves
from bankapi.storage.engine import Store

_ROWS: Final = 200
"""Exchanges emptied in one transaction, beside live load."""


class ArchiveError(Exception):
    """The file is not what it should be; nothing in the journal was emptied because of it."""


def archive(store: Store, before: datetime, file: Path, now: datetime) -> int:
    """Move the bodies of sealed exchanges answered before an instant; returns how many exchanges.

    The file is written and read back whole before anything is emptied; a stop at any moment loses nothing, and
    `finish` goes on. FileExistsError when there is such a file already.
    """
    with store.read() as connection:
        first, last = _range(connection, before)
        if last is None:
            return 0
        count = _write(connection, file, first, last)
    _compare(store, file, first, last)
    digest = hashlib.sha256(file.read_bytes()).digest()
    row = {"first_row_id": first, "last_row_id": last, "archived_at": now, "file_digest": digest}
    store.write(lambda connection: connection.execute(archives.insert(), row))
    finish(store)
    return count


def finish(store: Store) -> None:
    """Empty what has been archived and is still here, a little at a time."""
    archived = select(func.max(archives.c.last_row_id)).scalar_subquery()
    left = (
        select(exchanges.c.id)
        .where(exchanges.c.id <= archived, exchanges.c.answer.is_not(None))
        .order_by(exchanges.c.id)
        .limit(_ROWS)
    )
    emptied = update(exchanges).where(exchanges.c.id.in_(left)).values(request=None, answer=None)
    while store.write(lambda connection: connection.execute(emptied).rowcount):
        pass


def read(file: Path, exchange_id: str) -> tuple[bytes | None, bytes]:
    """Request (None when only its digest was kept) and answer of one exchange; ArchiveError when they are not there."""
    try:
        with zipfile.ZipFile(file) as bodies:
            names = set(bodies.namelist())
            request = f"{exchange_id}/request.xml"
            answer = bodies.read(f"{exchange_id}/answer.xml")
            return (bodies.read(request) if request in names else None), answer
    except (KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ArchiveError(f"{file.name} does not hold exchange {exchange_id}") from error


def _range(connection: Connection, before: datetime) -> tuple[int, int | None]:
    """The rows after the last archive whose predecessors are all old enough and sealed."""
    done = connection.execute(select(func.max(archives.c.last_row_id))).scalar() or 0
    sealed = select(tree_leaves.c.leaf_index).where(tree_leaves.c.exchange_row_id == exchanges.c.id).exists()
    young = select(func.min(exchanges.c.id)).where(exchanges.c.id > done, (exchanges.c.answered_at >= before) | ~sealed)
    end = connection.execute(young).scalar()
    last = select(func.max(exchanges.c.id)).where(exchanges.c.id > done)
    if end is not None:
        last = last.where(exchanges.c.id < end)
    return done + 1, connection.execute(last).scalar()


def _write(connection: Connection, file: Path, first: int, last: int) -> int:
    count = 0
    with zipfile.ZipFile(file, "x", zipfile.ZIP_DEFLATED) as bodies:
        query = (
            select(exchanges.c.exchange_id, exchanges.c.request, exchanges.c.answer)
            .where(exchanges.c.id.between(first, last))
            .order_by(exchanges.c.id)
        )
        for exchange_id, request, answer in connection.execute(query, execution_options={"yield_per": _ROWS}):
            if request is not None:
                bodies.writestr(f"{exchange_id}/request.xml", zlib.decompress(request))
            bodies.writestr(f"{exchange_id}/answer.xml", zlib.decompress(answer))
            count += 1
    return count


def _compare(store: Store, file: Path, first: int, last: int) -> None:
    """Read every body back and compare it with its digest."""
    query = select(
        exchanges.c.exchange_id, exchanges.c.request.is_not(None), exchanges.c.request_digest, exchanges.c.answer_digest
    ).where(exchanges.c.id.between(first, last))
    with store.read() as connection, zipfile.ZipFile(file) as bodies:
        for exchange_id, has_request, request_digest, answer_digest in connection.execute(query):
            expected = {f"{exchange_id}/answer.xml": answer_digest}
            if has_request:
                expected[f"{exchange_id}/request.xml"] = request_digest
            for name, digest in expected.items():
                if hashlib.sha256(bodies.read(name)).digest() != digest:
                    raise ArchiveError(f"{file.name}: {name} was not written as it is kept")
