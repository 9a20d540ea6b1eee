"""What a backup says of itself: what is in it, and what the books and the tree came to."""

import errno
import json
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, func, inspect, select, table

from bankapi.billing import ledger
from bankapi.evidence import tree
from bankapi.evidence.tables import tree_leaves
from bankapi.storage import schema

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
DATABASE: Final = {"sqlite": "database.sqlite", "postgresql": "database.pgdump"}
HOME: Final = "home/"
HOME_FOLDERS: Final = ("ca", "gateway", "terminals", "channels")
_PART: Final = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
HOME_NAME: Final = re.compile(rf"home/(?:{_PART}\.ini|(?:{'|'.join(HOME_FOLDERS)})/(?:{_PART}/)*{_PART})")
"""No part begins with a dot: nothing leaves the home."""


class BackupRefused(Exception):
    """The backup cannot be made or is not sound, or must not be restored here; the text says why, in one sentence."""


@dataclass(frozen=True, slots=True)
class Stock:
    """What a database came to."""

    counts: dict[str, int]
    """Rows of every table."""
    tree_size: int
    tree_root: str
    trial_balance: dict[str, int]
    """The sum of all postings per currency, in minor units; zero in sound books."""
    balances_that_differ: int
    """Kept balances that are not the sum of their postings; zero in sound books."""

    @property
    def is_sound(self) -> bool:
        return not any(self.trial_balance.values()) and not self.balances_that_differ


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself."""

    format: int
    program: str
    """The version of bankapi that made it."""
    revision: str
    """The schema's."""
    database: str
    """sqlite or postgresql."""
    made_at: str
    """UTC; everything that was answered before is in it."""
    stock: Stock
    digests: dict[str, str]
    """SHA-256 of every other file in it."""

    @property
    def has_keys(self) -> bool:
        return any(name.startswith(HOME) for name in self.digests)


def take_stock(connection: Connection) -> Stock:
    """What the books and the tree come to. Reads every posting and every leaf hash."""
    names = sorted(set(inspect(connection).get_table_names()) - {schema.VERSION_TABLE})
    counts = {
        name: int(connection.execute(select(func.count()).select_from(table(name))).scalar_one()) for name in names
    }
    growing = tree.Growing()
    leaves = select(tree_leaves.c.hash).order_by(tree_leaves.c.leaf_index)
    for leaf in connection.execute(leaves, execution_options={"yield_per": 1000}).scalars():
        growing.append(bytes(leaf))
    return Stock(
        counts=counts,
        tree_size=growing.size,
        tree_root=growing.root().hex(),
        trial_balance=dict(sorted(ledger.trial_balance(connection).items())),
        balances_that_differ=len(ledger.balances_that_differ(connection)),
    )


@contextmanager
def refused_when_damaged(reason: str) -> Iterator[None]:
    """BackupRefused for all that `zipfile` makes of a damaged archive.

    One bit makes it encrypted, of another method or version, or its parts stand before its beginning (EINVAL).
    """
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise BackupRefused(reason) from error
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):
            raise
        raise BackupRefused(reason) from error


def read(file: Path) -> Manifest:
    """What a backup says of itself; BackupRefused when it is none, or one this program does not know."""
    try:
        with refused_when_damaged(f"{file} is not a backup"), zipfile.ZipFile(file) as archive:
            known = json.loads(archive.read(MANIFEST))
            names = set(archive.namelist()) - {MANIFEST}
        if known["format"] != FORMAT:
            raise BackupRefused(f"{file}: its format {known['format']!r} is not known to this program")
        stock = Stock(**{field.name: known["stock"][field.name] for field in fields(Stock)})
        manifest = Manifest(**{**{field.name: known[field.name] for field in fields(Manifest)}, "stock": stock})
        expected = {DATABASE[manifest.database]}
        rest = set(manifest.digests) - expected
        is_whole = names == set(manifest.digests) >= expected and all(HOME_NAME.fullmatch(name) for name in rest)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BackupRefused(f"{file} is not a backup") from error
    if not is_whole:
        raise BackupRefused(f"{file} does not hold what its manifest names")
    return manifest


def compare(found: Stock, manifest: Manifest) -> None:
    """BackupRefused unless this is what was backed up, and its books are sound."""
    for field in fields(Stock):
        if getattr(found, field.name) != getattr(manifest.stock, field.name):
            raise BackupRefused(f"the database and the manifest differ in their {field.name.replace('_', ' ')}")
    if not found.is_sound:
        raise BackupRefused("the books in the backup are not sound")
