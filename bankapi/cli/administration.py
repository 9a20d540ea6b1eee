"""How staff's commands reach the database: one transaction each, as the gateway's requests."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Connection

from bankapi.cli.output import CommandFailed, refused
from bankapi.sandbox import installation
from bankapi.settings import Settings
from bankapi.storage import schema
from bankapi.storage.engine import Store

T = TypeVar("T")


def require_installation(settings: Settings) -> None:
    """End the command when there is no home: opening its database would make an empty one."""
    if not settings.ca_certificate.exists():
        raise CommandFailed(f"{settings.home} is not an installation; make one with: bankapi init")


def require_fitting_database(settings: Settings) -> None:
    """End the command when the database is older or newer than this program; one look at it, and it is closed."""
    with opened(settings):
        pass


@contextmanager
def opened(settings: Settings) -> Iterator[Store]:
    """The home's store, whose database is one this program works with."""
    require_installation(settings)
    with opened_as_it_is(settings) as store:
        try:
            schema.require_accepted(store)
        except schema.SchemaError as error:
            raise refused(str(error)) from error
        yield store


@contextmanager
def opened_as_it_is(settings: Settings) -> Iterator[Store]:
    """The store of an installation, whatever is in its database but an installation of the other kind."""
    store = Store(settings.database_url, settings.storage, is_patient=True)
    try:
        try:
            installation.require_agreement(settings, store)
        except installation.WrongInstallation as error:
            raise refused(str(error)) from error
        yield store
    finally:
        store.close()


def write(settings: Settings, work: Callable[[Connection], T]) -> T:
    """Run `work` in one transaction and commit it; a refusal inside undoes everything."""
    with opened(settings) as store:
        return store.write(work)


def read(settings: Settings, look: Callable[[Connection], T]) -> T:
    """Look at one consistent snapshot."""
    with opened(settings) as store, store.read() as connection:
        return look(connection)


def found(thing: T | None, what: str, name: str) -> T:
    """The thing, or a refusal that says that there is none."""
    if thing is None:
        raise refused(f"there is no {what} {name}")
    return thing
