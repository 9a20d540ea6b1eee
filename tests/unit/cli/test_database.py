"""`bankapi database`, `backup` and `restore`, as staff use them and as files go bad."""

import json
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from bankapi import settings as all_settings
from bankapi.cli import backups
from bankapi.cli.manifests import BackupRefused
from bankapi.gateway import keys
from bankapi.settings import Settings
from bankapi.storage import schema
from bankapi.storage.copies import CopyError
from bankapi.storage.engine import Store
from tests.postgres import Postgres
from tests.storage import first_release
from tests.unit.cli.commands import assert_sound, done, refused, run


@pytest.fixture
def old_installation(installation: Settings) -> Settings:
    """A home whose database is one of the first release."""
    database = installation.home / "bankapi.db"
    for name in ("", "-wal", "-shm"):
        database.with_name(f"{database.name}{name}").unlink(missing_ok=True)
    first_release.write_sqlite(database)
    return installation


@pytest.fixture
def elsewhere(tmp_path: Path) -> Settings:
    """A home that is not there yet."""
    return all_settings.load(tmp_path / "elsewhere", {})


def execute(settings: Settings, statement: str) -> None:
    with closing(sqlite3.connect(settings.home / "bankapi.db")) as database:
        database.execute(statement)
        database.commit()


def rewritten(file: Path, **changes: bytes | None) -> Path:
    """A copy of a backup with other content under some names; None leaves a name out."""
    other = file.with_name("rewritten.zip")
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(other, "w") as target:
        content = {name: source.read(name) for name in source.namelist()} | changes
        for name, value in content.items():
            if value is not None:
                target.writestr(name, value)
    return other


def manifest_with(file: Path, **changes: object) -> bytes:
    with zipfile.ZipFile(file) as source:
        return json.dumps(json.loads(source.read("manifest.json")) | changes).encode()


# The schema


def test_a_new_installation_has_nothing_pending(installation: Settings) -> None:
    shown = done(installation, "database", "status")
    assert shown == {"current": schema.NEWEST, "newest": schema.NEWEST, "fits": True, "pending": []}
    assert "sound" in run(installation, "database", "check").out


def test_an_old_installation_is_told_upgraded_and_told_what_is_left(old_installation: Settings) -> None:
    status = run(old_installation, "database", "status", "--json")
    assert status.exit_code == 1
    assert (status.json["current"], status.json["fits"]) == ("0001", False)
    assert [each["revision"] for each in status.json["pending"]][-1] == schema.NEWEST
    assert done(old_installation, "database", "upgrade")["current"] == min(schema.ACCEPTED)
    left = run(old_installation, "database", "status", "--json")
    assert (left.exit_code, left.json["fits"]) == (1, True)
    assert {each["stage"] for each in left.json["pending"]} == {"contract"}
    assert done(old_installation, "payment", "list", "--dealer", "DEMO-SHOP")
    assert done(old_installation, "database", "upgrade", "--contract")["current"] == schema.NEWEST
    assert run(old_installation, "database", "status").exit_code == 0
    assert_sound(old_installation)


@pytest.mark.parametrize("command", [("serve",), ("worker", "--once"), ("dealer", "list")])
def test_nothing_starts_on_a_database_that_does_not_fit(old_installation: Settings, command: tuple[str, ...]) -> None:
    assert "is older than this program" in refused(old_installation, *command)
    store = Store(old_installation.database_url)
    store.write(lambda connection: schema.stamp(connection, "9999"))
    store.close()
    assert "is newer than this program" in refused(old_installation, *command)
    assert "is newer than this program" in refused(old_installation, "database", "status")
    assert "is newer than this program" in refused(old_installation, "database", "upgrade")


def test_an_empty_database_is_not_taken_for_the_one_that_was_lost(installation: Settings) -> None:
    for name in ("", "-wal", "-shm"):
        (installation.home / f"bankapi.db{name}").unlink(missing_ok=True)
    assert "the database is empty" in refused(installation, "dealer", "list")
    assert "the database is empty" in refused(installation, "database", "upgrade")
    assert run(installation, "database", "status").exit_code == 1


# Backups


def test_a_backup_is_restored_elsewhere_and_says_what_it_holds(
    installation: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "backups" / "today.zip"
    made = done(installation, "backup", file)
    assert (made["sound"], made["keys"], made["revision"]) == (True, False, schema.NEWEST)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with zipfile.ZipFile(file) as archive:
        assert sorted(archive.namelist()) == ["database.sqlite", "manifest.json"]
    assert done(installation, "backup", file, "--verify") == made
    restored = done(elsewhere, "restore", file)
    assert restored == made | {"kept": None}
    assert_sound(elsewhere)
    assert [each.name for each in elsewhere.home.iterdir() if each.name.startswith(".")] == []


def test_keys_are_in_it_only_when_asked_for_and_stay_secret(
    installation: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    done(installation, "backup", tmp_path / "bare.zip")
    assert "holds no keys" in refused(elsewhere, "restore", tmp_path / "bare.zip", "--with-keys")
    assert not elsewhere.home.exists()
    assert done(installation, "backup", tmp_path / "whole.zip", "--with-keys")["keys"] is True
    done(elsewhere, "restore", tmp_path / "whole.zip", "--with-keys")
    kept = [file for file in elsewhere.home.rglob("*.pem") if file.is_file()]
    assert {file.relative_to(elsewhere.home) for file in kept} == {
        file.relative_to(installation.home) for file in installation.home.rglob("*.pem")
    }
    assert {stat.S_IMODE(file.stat().st_mode) for file in kept} == {0o600}
    assert (elsewhere.home / "bankapi.ini").read_bytes() == (installation.home / "bankapi.ini").read_bytes()
    keys.load_identity(elsewhere.gateway_file("signing-cert.pem"), elsewhere.gateway_file("signing-key.pem"))
    assert done(elsewhere, "terminal", "list") == done(installation, "terminal", "list")


def test_nothing_is_overwritten_unless_told(installation: Settings, tmp_path: Path) -> None:
    file = tmp_path / "backup.zip"
    done(installation, "backup", file, "--with-keys")
    before = file.read_bytes()
    assert "exists already" in refused(installation, "backup", file)
    assert file.read_bytes() == before
    assert "--replace" in refused(installation, "restore", file)
    done(installation, "rate", "add", "KZT", "RUB", "0.17")
    restored = done(installation, "restore", file, "--replace", "--with-keys")
    assert "KZT" not in str(done(installation, "rate", "list"))
    shutil.copy(restored["kept"], installation.home / "bankapi.db")
    assert "KZT" in str(done(installation, "rate", "list")), "what was replaced is kept"


def test_a_database_that_somebody_has_open_is_not_replaced(installation: Settings, tmp_path: Path) -> None:
    """A gateway would go on paying into a file that is no longer there."""
    file = tmp_path / "backup.zip"
    done(installation, "backup", file)
    gateway = Store(installation.database_url)
    with gateway.read() as connection:
        schema.revision(connection)
    ended = run(installation, "restore", file, "--replace")
    assert (ended.exit_code, "is in use" in ended.err) == (3, True)
    gateway.write(lambda connection: schema.stamp(connection, schema.NEWEST))
    gateway.close()
    done(installation, "restore", file, "--replace")
    assert_sound(installation)


def test_a_damaged_database_is_replaced_and_its_log_does_not_get_into_the_new_one(
    installation: Settings, tmp_path: Path
) -> None:
    file, database = tmp_path / "backup.zip", installation.home / "bankapi.db"
    done(installation, "backup", file)
    with closing(sqlite3.connect(database)) as crashed:
        crashed.execute("UPDATE balances SET balance_minor = 1")
        crashed.commit()
        log = database.with_name("bankapi.db-wal").read_bytes()
        assert log
        ended = run(installation, "restore", file, "--replace")
        assert (ended.exit_code, "is in use" in ended.err) == (3, True)
    database.write_bytes(b"something else" * 1000)
    database.with_name("bankapi.db-wal").write_bytes(log)
    restored = done(installation, "restore", file, "--replace")
    assert_sound(installation)
    kept = Path(restored["kept"])
    assert kept.read_bytes().startswith(b"something else")
    assert kept.with_name(f"{kept.name}-wal").read_bytes() == log


def test_a_damaged_database_that_somebody_has_open_is_not_replaced(installation: Settings, tmp_path: Path) -> None:
    file, database = tmp_path / "backup.zip", installation.home / "bankapi.db"
    done(installation, "backup", file)
    script = f"""
import sqlite3, sys
database = sqlite3.connect({str(database)!r})
database.execute("PRAGMA journal_mode=WAL")
database.execute("SELECT count(*) FROM payments").fetchone()
print("open", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as gateway:
        assert gateway.stdout is not None
        gateway.stdout.readline()
        with database.open("r+b") as content:
            content.write(b"something else" * 1000)
        ended = run(installation, "restore", file, "--replace")
        gateway.communicate()
    assert (ended.exit_code, "is in use" in ended.err) == (3, True)
    done(installation, "restore", file, "--replace")
    assert_sound(installation)


def test_what_cannot_be_put_in_place_changes_nothing(
    installation: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "backup.zip"
    done(installation, "backup", file)
    done(installation, "rate", "add", "KZT", "RUB", "0.17")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", _full)
        assert run(installation, "restore", file, "--replace").exit_code == 3
    assert "KZT" in str(done(installation, "rate", "list"))


def _full(self: Path, target: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_backup_of_an_older_version_is_restored_and_upgraded(
    old_installation: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    done(old_installation, "backup", tmp_path / "old.zip", "--with-keys")
    ended = run(elsewhere, "restore", tmp_path / "old.zip", "--with-keys")
    assert (ended.exit_code, "bankapi database upgrade" in ended.out) == (0, True)
    done(elsewhere, "database", "upgrade")
    assert len(done(elsewhere, "payment", "list")) == 9


def test_a_backup_of_a_newer_version_is_refused(installation: Settings, elsewhere: Settings, tmp_path: Path) -> None:
    done(installation, "backup", tmp_path / "backup.zip")
    newer = rewritten(
        tmp_path / "backup.zip", **{"manifest.json": manifest_with(tmp_path / "backup.zip", revision="9999")}
    )
    assert "newer than this program" in refused(elsewhere, "restore", newer)


def test_a_byte_that_changed_is_noticed_or_changes_nothing(installation: Settings, tmp_path: Path) -> None:
    file = tmp_path / "backup.zip"
    made = done(installation, "backup", file)
    content, chance = file.read_bytes(), random.Random(8)
    damaged, noticed = tmp_path / "damaged.zip", 0
    entry = content.index(b"PK\1\2")  # in the central directory; then version, flags, method and place of its file
    places = [(entry + at, bit) for at in (6, 8, 9, 10, 42, 45) for bit in (0, 5, 7)]
    places += [(chance.randrange(len(content)), chance.randrange(8)) for _ in range(16)]
    for at, bit in places:
        damaged.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
        ended = run(installation, "backup", damaged, "--verify", "--json")
        if ended.exit_code == 0:
            assert ended.json == made | {"file": str(damaged)}
        else:
            assert (ended.exit_code, ended.err.count("\n")) == (1, 1)
            noticed += 1
    assert noticed > 20
    for length in (0, 10, len(content) // 2, len(content) - 1):
        damaged.write_bytes(content[:length])
        assert "is not a backup" in refused(installation, "backup", damaged, "--verify")


def test_a_backup_that_was_tampered_with_is_refused(
    installation: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    """Also by somebody who writes a new manifest: then the stock, or the books, do not agree."""
    file = tmp_path / "backup.zip"
    done(installation, "backup", file)
    manifest = json.loads(manifest_with(file))
    stock = manifest["stock"]
    other_root = manifest_with(file, stock=stock | {"tree_root": "00" * 32})
    other_count = manifest_with(file, stock=stock | {"counts": stock["counts"] | {"payments": 7}})
    other_balance = manifest_with(file, stock=stock | {"trial_balance": {"RUB": 1}})
    for changes, sentence in (
        ({"manifest.json": other_root}, "tree root"),
        ({"manifest.json": other_count}, "counts"),
        ({"manifest.json": other_balance}, "trial balance"),
        ({"manifest.json": manifest_with(file, revision="0001")}, "revision"),
        ({"manifest.json": manifest_with(file, format=2)}, "format"),
        ({"manifest.json": manifest_with(file, stock=None)}, "not a backup"),
        ({"manifest.json": b"[]"}, "not a backup"),
        ({"database.sqlite": None}, "does not hold"),
        ({"database.sqlite": b"other"}, "another digest"),
        ({"home/gateway/extra.pem": b"x"}, "does not hold"),
    ):
        tampered = rewritten(file, **changes)
        assert sentence in refused(installation, "backup", tampered, "--verify")
        assert sentence in refused(elsewhere, "restore", tampered)
    assert not (elsewhere.home / "bankapi.db").exists()


@pytest.mark.parametrize("name", ["home/../escaped.pem", "home/ca/../../escaped", "home/bankapi.db", "/home/ca/x", "x"])
def test_no_name_in_a_backup_leads_out_of_the_home(
    installation: Settings, elsewhere: Settings, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "backup.zip"
    done(installation, "backup", file)
    digests = json.loads(manifest_with(file))["digests"]
    hostile = rewritten(file, **{name: b"x", "manifest.json": manifest_with(file, digests=digests | {name: "00"})})
    assert "does not hold" in refused(elsewhere, "restore", hostile, "--with-keys")
    assert not elsewhere.home.exists()


def test_books_that_do_not_balance_are_backed_up_told_and_not_restored(
    installation: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    execute(installation, "UPDATE balances SET balance_minor = balance_minor + 1")
    file = tmp_path / "backup.zip"
    ended = run(installation, "backup", file)
    assert (ended.exit_code, "do not balance" in ended.err) == (1, True)
    assert "not sound" in refused(elsewhere, "restore", file)


def test_a_database_with_a_damaged_page_is_not_backed_up(installation: Settings, tmp_path: Path) -> None:
    """A copy of it would take the place of a good one."""
    database = installation.home / "bankapi.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'postings'").fetchone()[0]
    content = bytearray(database.read_bytes())
    content[(root - 1) * 4096 : root * 4096] = bytes(4096)
    database.write_bytes(content)
    assert run(installation, "database", "check").exit_code == 3
    for unsound in (content, b"something else" * 100):
        database.write_bytes(unsound)
        ended = run(installation, "backup", tmp_path / "backup.zip")
        assert (ended.exit_code, ended.err.count("\n")) == (3, 1)
        assert not (tmp_path / "backup.zip").exists()


def test_without_postgresqls_programs_the_sentence_says_so(
    installation: Settings, postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgres.database() as url:
        (installation.home / "bankapi.ini").write_text(f"[storage]\nurl = {url}\n")
        on_postgresql = all_settings.load(installation.home, {})
        monkeypatch.setenv("PATH", str(tmp_path))
        ended = run(on_postgresql, "backup", tmp_path / "backup.zip")
        assert (ended.exit_code, "pg_dump is not on PATH" in ended.err) == (3, True)
        assert list(tmp_path.glob("backup*")) == []


def test_a_backup_goes_back_only_into_its_own_kind_of_database(
    installation: Settings, postgres: Postgres, tmp_path: Path
) -> None:
    done(installation, "backup", tmp_path / "backup.zip")
    with postgres.database("template1") as url:
        elsewhere = all_settings.load(tmp_path / "other", {"BANKAPI_STORAGE_URL": url})
        with pytest.raises(BackupRefused, match="is of sqlite"):
            backups.restore(tmp_path / "backup.zip", elsewhere, replace=False, with_keys=False)


def test_a_database_in_memory_cannot_be_backed_up(tmp_path: Path) -> None:
    settings = all_settings.load(tmp_path, {"BANKAPI_STORAGE_URL": "sqlite://"})
    store = Store(settings.database_url)
    with pytest.raises(CopyError, match="in memory"):
        backups.make(store, settings, tmp_path / "b.zip", with_keys=False, now=first_release.WRITTEN_AT)
    store.close()
