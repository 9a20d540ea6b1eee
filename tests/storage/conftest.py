"""What the slow tests of the storage share with the quick ones."""

from tests.postgres import postgres  # noqa: F401
from tests.unit.conftest import books, database_url  # noqa: F401
from tests.unit.storage.conftest import empty_url  # noqa: F401
