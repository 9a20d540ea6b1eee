"""A backup: one ZIP file with the database at one moment, a manifest of what it came to, and the home's keys if asked.

    manifest.json     what there is, its digests, and how the books stood; see `Manifest`
    database.sqlite   or database.pgdump (pg_dump's custom format)
    home/...          configuration and private keys, only with `--with-keys`

Stock is taken of the copy and of what is made of it again: the ledger, the kept balances and the tree's root, worked
out from its leaves. The same stock means the same books.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from sqlalchemy import Connection, create_engine, func, inspect, select, table
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from bankapi import __version__
from bankapi.billing import ledger
from bankapi.evidence import tree
from bankapi.evidence.tables import tree_leaves
from bankapi.settings import Settings
from bankapi.storage import copies, schema
from bankapi.storage.engine import Store

FORMAT: Final = 1
_MANIFEST: Final = "manifest.json"
_DATABASE: Final = {"sqlite": "database.sqlite", "postgresql": "database.pgdump"}
_HOME: Final = "home/"
_HOME_FOLDERS: Final = ("ca", "gateway", "terminals", "channels")
_PART: Final = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
_HOME_NAME: Final = re.compile(rf"home/(?:{_PART}\.ini|(?:{'|'.join(_HOME_FOLDERS)})/(?:{_PART}/)*{_PART})")
"""No part begins with a dot: nothing leaves the home."""
_CHUNK_BYTES: Final = 1 << 20


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
        return any(name.startswith(_HOME) for name in self.digests)


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


def make(store: Store, settings: Settings, file: Path, *, with_keys: bool, now: datetime) -> Manifest:
    """Write a backup to a new file, mode 0600, while the gateway goes on. The file appears whole or not at all.

    Its stock is in the manifest even when the books are not sound: it is as good as what was copied. FileExistsError
    when there is such a file; CopyError or BackupRefused when it cannot be made.
    """
    if file.exists():
        raise FileExistsError(f"{file} exists already")
    with _workshop(file.parent) as folder:
        kind = store.engine.dialect.name
        copy = folder / _DATABASE[kind]
        if kind == "sqlite":
            copies.copy_sqlite(copies.sqlite_file(settings.database_url), copy)
            copies.check_sqlite(copy)
            with _opened(copy) as connection:
                revision, stock = schema.revision(connection), take_stock(connection)
        else:
            with store.read() as connection:
                snapshot = copies.export_snapshot(connection)
                revision, stock = schema.revision(connection), take_stock(connection)
                copies.dump_postgresql(settings.database_url, snapshot, copy)
        if revision is None:
            raise BackupRefused("the database is empty")
        content = {copy.name: copy, **(_home_files(settings.home) if with_keys else {})}
        packed = folder / "backup.zip"
        digests = _pack(packed, content)
        manifest = Manifest(FORMAT, __version__, revision, kind, now.astimezone(UTC).isoformat(), stock, digests)
        with zipfile.ZipFile(packed, "a") as archive:
            archive.writestr(_MANIFEST, json.dumps(asdict(manifest), indent=2))
        with packed.open("rb") as written:
            os.fsync(written.fileno())
        os.link(packed, file)  # unlike a rename, it overwrites nothing
    return manifest


def read(file: Path) -> Manifest:
    """What a backup says of itself; BackupRefused when it is none, or one this program does not know."""
    try:
        with zipfile.ZipFile(file) as archive:
            known = json.loads(archive.read(_MANIFEST))
            names = set(archive.namelist()) - {_MANIFEST}
        if known["format"] != FORMAT:
            raise BackupRefused(f"{file}: its format {known['format']!r} is not known to this program")
        stock = Stock(**{field.name: known["stock"][field.name] for field in fields(Stock)})
        manifest = Manifest(**{**{field.name: known[field.name] for field in fields(Manifest)}, "stock": stock})
        expected = {_DATABASE[manifest.database]}
        rest = set(manifest.digests) - expected
        is_whole = names == set(manifest.digests) >= expected and all(_HOME_NAME.fullmatch(name) for name in rest)
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, AttributeError) as error:
        raise BackupRefused(f"{file} is not a backup") from error
    if not is_whole:
        raise BackupRefused(f"{file} does not hold what its manifest names")
    return manifest


def verify(file: Path) -> Manifest:
    """Check a backup without restoring it: every digest, and of SQLite the database itself with its stock.

    Of PostgreSQL only whether pg_restore can read it; its stock is known when it is restored. Needs as much room
    beside the file as the database takes.
    """
    manifest = read(file)
    with _workshop(file.parent) as folder:
        for name, digest in manifest.digests.items():
            _unpack(file, name, digest, folder / "part")
            if name == _DATABASE["sqlite"]:
                _check_sqlite(folder / "part", manifest)
            elif name == _DATABASE["postgresql"]:
                copies.check_dump(folder / "part")
            (folder / "part").unlink()
    return manifest


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, and where what was there before has gone."""

    manifest: Manifest
    kept: Path | None


def restore(file: Path, settings: Settings, *, replace: bool, with_keys: bool) -> Restored:
    """Make the home's database of a backup, verify it, and with `with_keys` put the home's files back.

    SQLite: verified beside, then moved in, in one step; with `replace` also over a database nobody has open, which is
    kept beside. PostgreSQL: into an empty database only, in one transaction, verified afterwards. BackupRefused or
    CopyError when not; then nothing has changed, but for a PostgreSQL database whose stock was found to differ.
    """
    manifest = read(file)
    url = settings.database_url
    kind = make_url(url).get_backend_name()
    if manifest.database != kind:
        raise BackupRefused(f"{file} is of {manifest.database}, and this home's database is {kind}")
    if manifest.revision > schema.NEWEST:
        raise BackupRefused(f"{file} (revision {manifest.revision}) is newer than this program ({schema.NEWEST})")
    if with_keys and not manifest.has_keys:
        raise BackupRefused(f"{file} holds no keys: it was made without --with-keys")
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if with_keys:
        _refuse_other_home_files(manifest, settings.home, replace)
    if kind == "sqlite":
        kept = _restore_sqlite(file, manifest, copies.sqlite_file(url), replace)
    else:
        kept = None
        _restore_postgresql(file, manifest, url, settings.home)
    if with_keys:
        _restore_home(file, manifest, settings.home)
    return Restored(manifest, kept)


def _restore_sqlite(file: Path, manifest: Manifest, target: Path, replace: bool) -> Path | None:
    if not replace and not copies.is_empty_sqlite(target):
        raise BackupRefused(f"{target} exists already; give --replace to put the backup in its place")
    with _workshop(target.parent) as folder:
        copy = folder / _DATABASE["sqlite"]
        _unpack(file, copy.name, manifest.digests[copy.name], copy)
        _check_sqlite(copy, manifest)
        return copies.put_in_place(copy, target)


def _restore_postgresql(file: Path, manifest: Manifest, url: str, workplace: Path) -> None:
    store = Store(url, is_patient=True)
    try:
        with store.read() as connection:
            if inspect(connection).get_table_names():
                raise BackupRefused("the database is not empty; PostgreSQL backups are restored into a new one")
        with _workshop(workplace) as folder:
            copy = folder / _DATABASE["postgresql"]
            _unpack(file, copy.name, manifest.digests[copy.name], copy)
            copies.load_postgresql(url, copy)
        with store.read() as connection:
            _compare(take_stock(connection), manifest)
    finally:
        store.close()


def _check_sqlite(copy: Path, manifest: Manifest) -> None:
    copies.check_sqlite(copy)
    with _opened(copy) as connection:
        if schema.revision(connection) != manifest.revision:
            raise BackupRefused("the database is not at the revision that the manifest names")
        _compare(take_stock(connection), manifest)


def _compare(found: Stock, manifest: Manifest) -> None:
    for field in fields(Stock):
        if getattr(found, field.name) != getattr(manifest.stock, field.name):
            raise BackupRefused(f"the database and the manifest differ in their {field.name.replace('_', ' ')}")
    if not found.is_sound:
        raise BackupRefused("the books in the backup are not sound")


def _home_files(home: Path) -> dict[str, Path]:
    """Configuration and keys, by their names in the backup; BackupRefused for a name that could not be restored."""
    found = [*home.glob("*.ini"), *(file for folder in _HOME_FOLDERS for file in (home / folder).rglob("*"))]
    files = sorted(file for file in found if file.is_file() and not file.name.startswith("."))
    named = {f"{_HOME}{file.relative_to(home).as_posix()}": file for file in files}
    for name in named:
        if not _HOME_NAME.fullmatch(name):
            raise BackupRefused(f"{name} is a name that a backup does not take")
    return named


def _refuse_other_home_files(manifest: Manifest, home: Path, replace: bool) -> None:
    for name in manifest.digests:
        there = home / name.removeprefix(_HOME)
        if name.startswith(_HOME) and there.exists() and not replace:
            raise BackupRefused(f"{there} exists already; give --replace to put the backup's in its place")


def _restore_home(file: Path, manifest: Manifest, home: Path) -> None:
    for name, digest in manifest.digests.items():
        if not name.startswith(_HOME):
            continue
        target = home / name.removeprefix(_HOME)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _workshop(target.parent) as folder:
            _unpack(file, name, digest, folder / "part")  # private keys are among them: mode 0600
            (folder / "part").replace(target)


def _pack(packed: Path, content: dict[str, Path]) -> dict[str, str]:
    """Put files into a new ZIP; returns their digests. What pg_dump has packed is not packed again."""
    digests = {}
    with _new(packed) as out, zipfile.ZipFile(out, "w") as archive:
        for name, file in content.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_STORED if name == _DATABASE["postgresql"] else zipfile.ZIP_DEFLATED
            entry.external_attr = 0o600 << 16
            with file.open("rb") as source, archive.open(entry, "w", force_zip64=True) as part:
                digests[name] = _copy(source, part)
    return digests


def _unpack(file: Path, name: str, digest: str, target: Path) -> None:
    """Take one file out of a backup; BackupRefused when it is not the one the manifest names."""
    try:
        with zipfile.ZipFile(file) as archive, archive.open(name) as part, _new(target) as out:
            found = _copy(part, out)
            out.flush()
            os.fsync(out.fileno())
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise BackupRefused(f"{file} is damaged: {name} cannot be read") from error
    if found != digest:
        raise BackupRefused(f"{file} is damaged: {name} has another digest than its manifest says")


def _copy(source: IO[bytes], target: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK_BYTES):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


@contextmanager
def _opened(file: Path) -> Iterator[Connection]:
    """A copy, opened without leaving files beside it."""
    engine = create_engine(f"sqlite:///{file}", poolclass=NullPool)
    with engine.connect() as connection:
        yield connection


@contextmanager
def _workshop(beside: Path) -> Iterator[Path]:
    """A folder nobody else can read, on the same disk, gone at the end: what is moved out of it appears whole."""
    beside.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".bankapi-", dir=beside))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _new(path: Path) -> IO[bytes]:
    """A new file that only its owner can read, from the first byte on."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b")
