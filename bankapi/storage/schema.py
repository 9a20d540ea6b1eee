"""Creating the tables of an installation, with their append-only triggers."""

from bankapi.storage import append_only
from bankapi.storage.columns import metadata
from bankapi.storage.engine import Store


def create(store: Store) -> None:
    """Create every table that is declared. The packages that declare tables must be imported by then."""
    append_only.guard(metadata)
    metadata.create_all(store.engine)
