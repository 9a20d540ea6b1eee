"""What makes an installation a sandbox: a mark in its home and a mark in its database, both given at birth.

In the home it is the name of the operator's CA, which every certificate bears and every TLS peer sees. In the database
it is a row that can be added before there is a dealer, and never changed. No setting and no command makes a sandbox of
an installation, or the other way round; where the two marks disagree, nothing is opened.
"""

from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID
from sqlalchemy import Connection, inspect, select

from bankapi.sandbox.tables import NO_REAL_NUMBERS, metadata, sandbox
from bankapi.settings import Settings
from bankapi.storage import append_only
from bankapi.storage.engine import Store

PRODUCTION_CA: Final = "bankapi operator CA"
SANDBOX_CA: Final = "bankapi SANDBOX CA"
"""How the common name of a sandbox's CA begins, and of no other."""
_MARK: Final = select(sandbox.c.id)


class WrongInstallation(ValueError):
    """The home is a sandbox's and the database is not, or the other way round; the text says so in one sentence."""


def is_sandbox(settings: Settings) -> bool:
    """Whether this home was made as a sandbox. WrongInstallation when its CAs do not agree, OSError without a CA."""
    return is_sandbox_ca(settings.ca_certificate.read_bytes(), str(settings.ca_certificate))


def is_sandbox_ca(pem: bytes, place: str) -> bool:
    """The same of a file of CAs, which stands in this place."""
    marked = {_is_marked(authority) for authority in x509.load_pem_x509_certificates(pem)}
    if len(marked) != 1:
        raise WrongInstallation(f"{place} holds the CA of a sandbox beside another one")
    return marked.pop()


def authority_name(settings: Settings) -> str:
    """What the common name of every CA of this home begins with."""
    return SANDBOX_CA if is_sandbox(settings) else PRODUCTION_CA


def mark(store: Store, now: datetime) -> None:
    """Make the database that was just created a sandbox's; refused by the database once it has a dealer."""
    append_only.guard(metadata)
    with store.engine.begin() as connection:
        metadata.create_all(connection)
        for statement in NO_REAL_NUMBERS[connection.dialect.name]:
            connection.exec_driver_sql(statement)
        connection.execute(sandbox.insert(), {"id": 1, "made_at": now})


def is_marked(connection: Connection) -> bool:
    """Whether this database is a sandbox's."""
    return inspect(connection).has_table(sandbox.name) and connection.execute(_MARK).first() is not None


def require_mark(connection: Connection) -> None:
    """Raises unless this database is a sandbox's: asked by every request of a sandbox, whatever it was opened with."""
    connection.execute(_MARK).scalar_one()


def require_agreement(settings: Settings, store: Store) -> None:
    """WrongInstallation unless home and database are both a sandbox's, or neither is. An empty database is neither."""
    with store.read() as connection:
        has_tables = bool(inspect(connection).get_table_names())
        marked = has_tables and is_marked(connection)
    if has_tables:
        refuse_disagreement(settings, marked, "the database")


def refuse_disagreement(settings: Settings, marked: bool, what: str) -> None:
    """WrongInstallation unless what is or is not marked as a sandbox's fits the home."""
    of_home = is_sandbox(settings)
    if of_home and not marked:
        raise WrongInstallation(f"{settings.home} is a sandbox, and {what} is not one's: they are kept apart")
    if marked and not of_home:
        raise WrongInstallation(f"{what} is a sandbox's, and {settings.home} is not one: they are kept apart")


def _is_marked(authority: x509.Certificate) -> bool:
    names = authority.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return any(str(name.value).startswith(SANDBOX_CA) for name in names)
