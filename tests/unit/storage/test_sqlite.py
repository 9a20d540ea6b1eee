"""How SQLite is set up: what is acknowledged survives a power cut, and the file and its log stay sound and small."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from bankapi.storage import copies
from bankapi.storage.engine import Store


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "facts.db"


def test_every_connection_is_durable_and_keeps_the_rules(file: Path) -> None:
    """Writers and readers alike, over all connections of the pool."""
    expected = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "recursive_triggers": 1,
        "wal_autocheckpoint": 1000,
        "journal_size_limit": 64 * 1024 * 1024,
    }

    def pragmas(connection: Connection) -> dict[str, object]:
        return {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in expected}

    store = Store(f"sqlite:///{file}")
    assert store.write(pragmas) == expected
    with store.read() as first, store.read() as second:
        assert pragmas(first) == pragmas(second) == expected
    store.close()


def test_a_change_of_the_schema_leaves_the_usual_rules_behind(file: Path) -> None:
    store = Store(f"sqlite:///{file}")
    create = ("CREATE TABLE a (id INTEGER PRIMARY KEY)", "CREATE TABLE b (a_id INTEGER REFERENCES a (id))")
    for statement in create:
        store.change_schema(lambda connection, statement=statement: connection.execute(text(statement)))
    assert store.write(lambda connection: connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one()) == 1
    orphan = text("INSERT INTO b VALUES (7)")
    with pytest.raises(sqlite3.IntegrityError, match="a row of b refers to nothing in a"):
        store.change_schema(lambda connection: connection.execute(orphan), makes_anew=True)
    with store.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM b")).scalar_one() == 0
    store.close()


def test_a_damaged_page_and_a_dangling_key_are_found(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE a (id INTEGER PRIMARY KEY, content BLOB)")
        database.execute("CREATE INDEX ix ON a (content)")
        database.executemany("INSERT INTO a (content) VALUES (?)", [(bytes([n]) * 300,) for n in range(200)])
        database.execute("CREATE TABLE b (a_id INTEGER REFERENCES a (id))")
        database.commit()
        copies.check_sqlite(file)
        database.execute("INSERT INTO b VALUES (999)")
        database.commit()
    with pytest.raises(copies.CopyError, match="a row of b refers to nothing in a"):
        copies.check_sqlite(file)
    content = bytearray(file.read_bytes())
    page = 4096 * 5
    content[page : page + 4096] = bytes(4096)
    file.write_bytes(content)
    with pytest.raises(copies.CopyError, match="damaged"):
        copies.check_sqlite(file)


def test_what_is_not_there_is_not_made(file: Path) -> None:
    for look in (copies.check_sqlite, lambda source: copies.copy_sqlite(source, file.with_name("copy.db"))):
        with pytest.raises(copies.CopyError, match="there is no database"):
            look(file)
    assert not file.exists()
