"""Databases that are empty, or as an older version left them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bankapi.storage import schema
from bankapi.storage.engine import Store
from tests.postgres import Postgres
from tests.storage import first_release

KINDS = ("sqlite", "postgresql")


@pytest.fixture(params=KINDS)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with nothing in it, once of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
    else:
        with request.getfixturevalue("postgres").database("template1") as url:
            yield url


@pytest.fixture
def created_as_empty(empty_url: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database made by this program, of the same kind as `empty_url`."""
    with _created_like(empty_url, request, tmp_path) as url:
        yield url


@pytest.fixture
def created_as_old(old_url: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database made by this program, of the same kind as `old_url`."""
    with _created_like(old_url, request, tmp_path) as url:
        yield url


@contextmanager
def _created_like(other_url: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if not other_url.startswith("sqlite"):
        with request.getfixturevalue("postgres").database() as url:
            yield url
        return
    store = Store(f"sqlite:///{tmp_path / 'created.db'}")
    schema.create(store)
    store.close()
    yield f"sqlite:///{tmp_path / 'created.db'}"


@pytest.fixture(scope="session")
def old_template(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a PostgreSQL database of the first release, to be copied."""
    name = "first_release"
    postgres.execute(f"CREATE DATABASE {name}")
    first_release.write_postgresql(postgres.url(name), tmp_path_factory.mktemp("first-release"))
    return name


@pytest.fixture(params=KINDS)
def old_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of the first release, with what was paid in it."""
    if request.param == "sqlite":
        first_release.write_sqlite(tmp_path / "old.db")
        yield f"sqlite:///{tmp_path / 'old.db'}"
    else:
        template = request.getfixturevalue("old_template")
        with request.getfixturevalue("postgres").database(template) as url:
            yield url
