"""Making a home: the operator's CA, the gateway's keys, the database, and the demo's people (design section 10)."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection

from bankapi.billing import card_ranges, customers, dealers, rates, terminals
from bankapi.billing.ledger import TransactionKind
from bankapi.billing.money import Money
from bankapi.billing.payers import ServiceStatus
from bankapi.billing.terminals import CertificateRecord, Scheme
from bankapi.cli import imports, languages
from bankapi.cli.authority import Authority, Purpose, certificate_pem, key_pem, new_rsa_key, subject_name
from bankapi.evidence import tables as _evidence  # noqa: F401  its tables are created with the others
from bankapi.notices import tables as _notices  # noqa: F401
from bankapi.reports import register_tables as _registers  # noqa: F401
from bankapi.reports import tables as _reports  # noqa: F401
from bankapi.sandbox import accounts, installation
from bankapi.settings import Settings
from bankapi.storage import copies, schema
from bankapi.storage.engine import Store
from bankapi.way4 import configuration as way4
from bankapi.wsse.trust import fingerprint

DEMO_TERMINALS: Final = {"DEMO-BANK": ("ATM-0001", "ATM-0002"), "DEMO-SHOP": ("ATM-0101",)}
DEMO_CHANNEL: Final = "DEMO-BANK"
"""Whose processing centre has a channel, as Way4 needs one."""
_FOLDERS: Final = ("ca", "gateway", "terminals", "channels")
"""Where the keys and certificates of a home are."""
_DEMO_SCHEMES: Final = {"DEMO-BANK": Scheme.CREDIT_ADJUSTMENT, "DEMO-SHOP": Scheme.DEBIT_ADJUSTMENT}
_DEMO_NAMES: Final = (
    "Ivan Petrov",
    "Anna Sidorova",
    "Oleg Kovalenko",
    "Maria Weber",
    "Aigul Nurlanova",
    "Jean Martin",
    "Carmen Ortega",
    "Emre Yilmaz",
    "Layla Haddad",
    "Li Wei",
)
_DEMO_STATUS: Final = {
    18: ServiceStatus.SUSPENDED,
    19: ServiceStatus.BLOCKED,
    20: ServiceStatus.TERMINATED,
}
_DEMO_DEBT_MINOR: Final = {18: -15_000, 20: -4_000}


class HomeExists(Exception):
    """The home is an installation already, or holds what is left of one; making it again would replace that."""


def create(settings: Settings, *, demo: bool, now: datetime, sandbox: bool = False) -> None:
    """Make the home whole or not at all: it is built beside itself, or aside in it, and moved in at the end.

    A sandbox has the demo's dealers and terminals, and customers of its own.
    """
    home = settings.home
    _refuse_another(settings)
    home.parent.mkdir(parents=True, exist_ok=True)
    # A home that is there may be the only place we may write to.
    building = Path(tempfile.mkdtemp(prefix=f".{home.name}-", dir=home if home.is_dir() else home.parent))
    try:
        _build(Settings(home=building, gateway=settings.gateway, storage=settings.storage), demo, sandbox, now)
        home.mkdir(mode=0o700, exist_ok=True)
        for child in building.iterdir():
            child.rename(home / child.name)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _refuse_another(settings: Settings) -> None:
    """HomeExists or SchemaError when there is an installation in the home, or a part of one: a restored database, keys.

    Files move in by their names, and a database that is built aside does not see the one it would be moved over.
    """
    if settings.ca_certificate.exists():
        raise HomeExists(f"{settings.home} is an installation already")
    if not settings.storage.url and not copies.is_empty_sqlite(file := copies.sqlite_file(settings.database_url)):
        raise schema.SchemaError(f"{file} has tables already")
    for name in _FOLDERS:
        folder = settings.home / name
        if folder.is_dir() and any(folder.iterdir()):
            raise HomeExists(f"{folder} is there already, and is not empty")


def _build(settings: Settings, demo: bool, sandbox: bool, now: datetime) -> None:
    authority = Authority.create(installation.SANDBOX_CA if sandbox else installation.PRODUCTION_CA, now)
    write_public(settings.ca_certificate, certificate_pem(authority.certificate))
    write_secret(settings.ca_key, key_pem(authority.key))
    write_public(settings.revocation_list, authority.revocation_list((), now).public_bytes(Encoding.PEM))
    for prefix, name, purpose in (
        ("", "bankapi gateway TLS", Purpose.TLS_SERVER),
        ("signing-", "bankapi gateway signing", Purpose.ANSWER_SIGNING),
    ):
        key = new_rsa_key()
        hosts = ("localhost", "127.0.0.1") if purpose is Purpose.TLS_SERVER else ()
        certificate = authority.issue(subject_name(name), key.public_key(), purpose, now, hosts=hosts)
        write_public(settings.gateway_file(f"{prefix}cert.pem"), certificate_pem(certificate))
        write_secret(settings.gateway_file(f"{prefix}key.pem"), key_pem(key))
    store = Store(settings.database_url, settings.storage, is_patient=True)
    try:
        schema.create(store)
        if sandbox:
            installation.mark(store, now)
            store.write(lambda connection: _add_sandbox(connection, settings, authority, now))
        elif demo:
            store.write(lambda connection: _add_demo(connection, settings, authority, now))
    finally:
        store.close()


def _add_sandbox(connection: Connection, settings: Settings, authority: Authority, now: datetime) -> None:
    """The demo's dealers, and a customer for each number of the sandbox."""
    _add_demo_dealers(connection, settings, authority, now)
    paid_ahead = [dealer for dealer, scheme in _DEMO_SCHEMES.items() if scheme is Scheme.DEBIT_ADJUSTMENT]
    accounts.add(connection, paid_ahead, now)


def _add_demo_dealers(connection: Connection, settings: Settings, authority: Authority, now: datetime) -> None:
    """Two dealers with three terminals, a channel, rates and card ranges."""
    for dealer, names in DEMO_TERMINALS.items():
        dealer_id = terminals.add_dealer(
            connection,
            name=dealer,
            scheme=_DEMO_SCHEMES[dealer],
            time_zone="Europe/Moscow",
            language="en",
            currencies=accounts.CURRENCIES,
        )
        for name in names:
            add_terminal_with_key(connection, settings, authority, dealer_id, dealer, name, now)
        if dealer == DEMO_CHANNEL:
            add_channel_with_key(connection, settings, authority, dealer_id, dealer, now)
    write_public(settings.way4_configuration, way4.default_text().encode())
    for base, rate in (("EUR", "90.25"), ("USD", "81.40")):
        rates.add_rate(connection, base, "RUB", Decimal(rate), now)
    ranges, mistakes = settings.home / "card-ranges.csv", imports.Mistakes()
    write_public(ranges, languages.DEMO_CARD_RANGES.encode())
    card_ranges.add(connection, [row for _, row in languages.card_ranges_in(ranges, mistakes, "reading")])


def _add_demo(connection: Connection, settings: Settings, authority: Authority, now: datetime) -> None:
    """Dealers, terminals and twenty customers, fixed so that people and scripts can rely on them."""
    _add_demo_dealers(connection, settings, authority, now)
    dealers.pay_in(
        connection,
        TransactionKind.DEPOSIT,
        dealer="DEMO-SHOP",
        amount=Money(1_000_000, "RUB"),
        now=now,
    )
    for number in range(1, 21):
        customers.add_customer(
            connection,
            customer_number=f"2000{number:05d}",
            name=_DEMO_NAMES[(number - 1) % len(_DEMO_NAMES)],
            account_number=f"1000{number:05d}",
            currency="RUB",
            msisdns=(f"791600000{number:02d}",),
            now=now,
            business_on=now.date(),
            service_status=_DEMO_STATUS.get(number, ServiceStatus.ACTIVE),
            opening_balance_minor=_DEMO_DEBT_MINOR.get(number, 0),
        )


def add_terminal_with_key(
    connection: Connection,
    settings: Settings,
    authority: Authority,
    dealer_id: int,
    dealer: str,
    name: str,
    now: datetime,
) -> int:
    """A terminal whose key is made here, used for both TLS and signing: for demos and tests, never for a bank."""
    key = new_rsa_key()
    certificate = authority.issue(subject_name(name, dealer), key.public_key(), Purpose.TERMINAL, now)
    terminal_id = terminals.add_terminal(connection, dealer_id=dealer_id, name=name)
    terminals.register_certificate(
        connection, dealer_id=dealer_id, terminal_id=terminal_id, certificate=certificate_record(certificate)
    )
    write_public(settings.terminal_file(name, "cert.pem"), certificate_pem(certificate))
    write_secret(settings.terminal_file(name, "key.pem"), key_pem(key))
    return terminal_id


def certificate_record(certificate: x509.Certificate) -> CertificateRecord:
    """What the billing model keeps of a certificate."""
    try:
        identifier: bytes | None = certificate.extensions.get_extension_for_class(
            x509.SubjectKeyIdentifier
        ).value.digest
    except x509.ExtensionNotFound:
        identifier = None
    return CertificateRecord(
        fingerprint=fingerprint(certificate),
        valid_from=certificate.not_valid_before_utc,
        valid_until=certificate.not_valid_after_utc,
        der=certificate.public_bytes(Encoding.DER),
        serial_number=str(certificate.serial_number),
        subject_key_identifier=identifier,
        thumbprint_sha1=certificate.fingerprint(hashes.SHA1()),  # noqa: S303  a look-up key, not a proof
    )


def add_channel_with_key(
    connection: Connection, settings: Settings, authority: Authority, dealer_id: int, dealer: str, now: datetime
) -> None:
    """A channel of a dealer's processing centre whose key is made here: for demos and tests, never for a bank."""
    key = new_rsa_key()
    certificate = authority.issue(subject_name(f"{dealer} channel", dealer), key.public_key(), Purpose.TERMINAL, now)
    terminals.register_certificate(
        connection, dealer_id=dealer_id, terminal_id=None, certificate=certificate_record(certificate)
    )
    write_public(settings.channel_file(dealer, "cert.pem"), certificate_pem(certificate))
    write_secret(settings.channel_file(dealer, "key.pem"), key_pem(key))


def write_public(path: Path, content: bytes) -> None:
    _write(path, content, 0o644)


def write_secret(path: Path, content: bytes) -> None:
    """A private key: readable by its owner only, from the first byte on."""
    _write(path, content, 0o600)


@contextmanager
def staged(path: Path, content: bytes, mode: int = 0o644) -> Iterator[None]:
    """Write a file that appears, whole, only when the block has succeeded.

    Whoever reads the path sees the old file or the new one, and a full disk is found out before the block.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _write(path: Path, content: bytes, mode: int) -> None:
    with staged(path, content, mode):
        pass
