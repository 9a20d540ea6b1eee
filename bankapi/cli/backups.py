"""A backup: one ZIP file with the database at one moment, a manifest of what it came to, and the home's keys if asked.

    manifest.json     what there is, its digests, and how the books stood; see `manifests`
    database.sqlite   or database.pgdump (pg_dump's custom format)
    home/...          configuration and private keys, only with `--with-keys`

Stock is taken of the copy and of what is made of it again: the ledger, the kept balances and the tree's root, worked
out from its leaves. The same stock means the same books.
"""

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from sqlalchemy import Connection, create_engine, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from bankapi import __version__
from bankapi.cli.manifests import (
    DATABASE,
    FORMAT,
    HOME,
    HOME_FOLDERS,
    HOME_NAME,
    MANIFEST,
    BackupRefused,
    Manifest,
    compare,
    read,
    refused_when_damaged,
    take_stock,
)
from bankapi.sandbox import installation
from bankapi.sandbox.tables import sandbox
from bankapi.settings import Settings
from bankapi.storage import copies, schema
from bankapi.storage.engine import Store

_CHUNK_BYTES: Final = 1 << 20


def make(store: Store, settings: Settings, file: Path, *, with_keys: bool, now: datetime) -> Manifest:
    """Write a backup to a new file, mode 0600, while the gateway goes on. The file appears whole or not at all.

    Its stock is in the manifest even when the books are not sound: it is as good as what was copied. FileExistsError
    when there is such a file; CopyError or BackupRefused when it cannot be made.
    """
    if file.exists():
        raise FileExistsError(f"{file} exists already")
    with _workshop(file.parent) as folder:
        kind = store.engine.dialect.name
        copy = folder / DATABASE[kind]
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
            archive.writestr(MANIFEST, json.dumps(asdict(manifest), indent=2))
        with packed.open("rb") as written:
            os.fsync(written.fileno())
        os.link(packed, file)  # unlike a rename, it overwrites nothing
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
            if name == DATABASE["sqlite"]:
                _check_sqlite(folder / "part", manifest)
            elif name == DATABASE["postgresql"]:
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
    WrongInstallation when the home is a sandbox and the backup is not of one, or the other way round.
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
    _refuse_other_kind(file, manifest, settings, with_keys)
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


def _refuse_other_kind(file: Path, manifest: Manifest, settings: Settings, with_keys: bool) -> None:
    """A sandbox's database comes into a sandbox's home only. The manifest's counts are compared with the database."""
    marked = bool(manifest.stock.counts.get(sandbox.name))
    if settings.ca_certificate.exists():
        installation.refuse_disagreement(settings, marked, str(file))
    name = f"{HOME}{settings.ca_certificate.relative_to(settings.home).as_posix()}"
    if with_keys and name in manifest.digests:
        with zipfile.ZipFile(file) as archive:
            if installation.is_sandbox_ca(archive.read(name), name) != marked:
                raise installation.WrongInstallation(f"{file} holds a sandbox's CA or its database, and not both")


def _restore_sqlite(file: Path, manifest: Manifest, target: Path, replace: bool) -> Path | None:
    if not replace and not copies.is_empty_sqlite(target):
        raise BackupRefused(f"{target} exists already; give --replace to put the backup in its place")
    with _workshop(target.parent) as folder:
        copy = folder / DATABASE["sqlite"]
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
            copy = folder / DATABASE["postgresql"]
            _unpack(file, copy.name, manifest.digests[copy.name], copy)
            copies.load_postgresql(url, copy)
        with store.read() as connection:
            compare(take_stock(connection), manifest)
    finally:
        store.close()


def _check_sqlite(copy: Path, manifest: Manifest) -> None:
    copies.check_sqlite(copy)
    with _opened(copy) as connection:
        if schema.revision(connection) != manifest.revision:
            raise BackupRefused("the database is not at the revision that the manifest names")
        compare(take_stock(connection), manifest)


def _home_files(home: Path) -> dict[str, Path]:
    """Configuration and keys, by their names in the backup; BackupRefused for a name that could not be restored."""
    found = [*home.glob("*.ini"), *(file for folder in HOME_FOLDERS for file in (home / folder).rglob("*"))]
    files = sorted(file for file in found if file.is_file() and not file.name.startswith("."))
    named = {f"{HOME}{file.relative_to(home).as_posix()}": file for file in files}
    for name in named:
        if not HOME_NAME.fullmatch(name):
            raise BackupRefused(f"{name} is a name that a backup does not take")
    return named


def _refuse_other_home_files(manifest: Manifest, home: Path, replace: bool) -> None:
    for name in manifest.digests:
        there = home / name.removeprefix(HOME)
        if name.startswith(HOME) and there.exists() and not replace:
            raise BackupRefused(f"{there} exists already; give --replace to put the backup's in its place")


def _restore_home(file: Path, manifest: Manifest, home: Path) -> None:
    for name, digest in manifest.digests.items():
        if not name.startswith(HOME):
            continue
        target = home / name.removeprefix(HOME)
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
            entry.compress_type = zipfile.ZIP_STORED if name == DATABASE["postgresql"] else zipfile.ZIP_DEFLATED
            entry.external_attr = 0o600 << 16
            with file.open("rb") as source, archive.open(entry, "w", force_zip64=True) as part:
                digests[name] = _copy(source, part)
    return digests


def _unpack(file: Path, name: str, digest: str, target: Path) -> None:
    """Take one file out of a backup; BackupRefused when it is not the one the manifest names."""
    damaged = refused_when_damaged(f"{file} is damaged: {name} cannot be read")
    with _new(target) as out:
        with damaged, zipfile.ZipFile(file) as archive, archive.open(name) as part:
            found = _copy(part, out)
        out.flush()
        os.fsync(out.fileno())
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
