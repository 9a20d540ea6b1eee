"""Tables that are declared, databases that are created, and databases that were upgraded are one schema."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from bankapi.cli import home as _home  # noqa: F401  which knows every package that declares tables
from bankapi.storage import schema, upgrades
from bankapi.storage.columns import metadata
from bankapi.storage.engine import Store
from bankapi.storage.upgrades import CONTRACT
from tests.storage.portraits import Portrait, portrait


@contextmanager
def opened(url: str) -> Iterator[Store]:
    store = Store(url, is_patient=True)
    yield store
    store.close()


def look(store: Store) -> Portrait:
    with store.read() as connection:
        return portrait(connection)


def test_a_database_made_by_migrations_is_the_one_that_is_declared(empty_url: str, created_as_empty: str) -> None:
    with opened(empty_url) as migrated, opened(created_as_empty) as created:
        done = upgrades.upgrade(migrated, contract=True)
        assert [each.name for each in done] == [each.name for each in upgrades.revisions()]
        assert look(migrated) == look(created)
        with migrated.read() as connection:
            context = MigrationContext.configure(connection, opts={"target_metadata": metadata, "compare_type": True})
            assert compare_metadata(context, metadata) == []


def test_an_old_database_becomes_the_one_that_is_declared(old_url: str, created_as_old: str) -> None:
    with opened(old_url) as upgraded, opened(created_as_old) as created:
        upgrades.upgrade(upgraded, contract=True)
        assert look(upgraded) == look(created)


def test_the_program_knows_the_revisions_there_are() -> None:
    """It is told them as constants, so that starting needs no Alembic."""
    way = list(upgrades.revisions())
    names = [each.name for each in way]
    last_needed = max(number for number, each in enumerate(way) if each.stage != CONTRACT)
    assert (names[0], names[-1]) == (schema.FIRST, schema.NEWEST)
    assert set(names[last_needed:]) == schema.ACCEPTED
    assert [each.follows for each in way] == [None, *names[:-1]]
    assert {each.stage for each in way} <= {"expand", "online", CONTRACT}
    assert names == sorted(names)


def test_creating_refuses_a_database_that_is_in_use(old_url: str) -> None:
    with opened(old_url) as store, pytest.raises(schema.SchemaError, match="has tables already"):
        schema.create(store)


def test_starting_refuses_what_is_empty_older_or_newer(old_url: str) -> None:
    with opened(old_url) as store:
        for at, sentence in ((None, "older"), ("0002", "older"), ("9999", "newer")):
            if at is not None:
                store.write(lambda connection, at=at: schema.stamp(connection, at))
            with pytest.raises(schema.SchemaError, match=sentence):
                schema.require_accepted(store)
        with pytest.raises(schema.SchemaError, match="newer"):
            upgrades.upgrade(store)


def test_starting_refuses_an_empty_database(empty_url: str) -> None:
    with opened(empty_url) as store, pytest.raises(schema.SchemaError, match="empty"):
        schema.require_accepted(store)
