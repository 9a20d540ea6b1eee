"""The people of the arena: terminals of their own, so that no other test misses one that was blocked here."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, update

from bankapi import clock
from bankapi.billing import tables, terminals
from bankapi.billing.terminals import AccessStatus, Scheme
from bankapi.cli.authority import (
    Authority,
    PrivateKey,
    Purpose,
    certificate_pem,
    key_pem,
    new_ec_key,
    new_rsa_key,
    subject_name,
)
from bankapi.cli.home import certificate_record
from bankapi.settings import Settings
from bankapi.storage.engine import Store
from tests.running import RunningGateway

pytest.register_assert_rewrite("tests.attacks.arena")
from tests.attacks.arena import Arena, Party  # noqa: E402  after its assertions were made to explain themselves

TERMINALS = {
    "VICTIM-BANK": ("VICTIM-1", "VICTIM-2", "VICTIM-BLOCKED", "VICTIM-REVOKED", "VICTIM-RETIRED"),
    "OTHER-BANK": ("OTHER-1",),
    "SHUT-BANK": ("SHUT-1",),
}
CHANNELS = {"VICTIM-BANK": "VICTIM-CHANNEL", "OTHER-BANK": "OTHER-CHANNEL"}


@pytest.fixture(scope="session")
def arena(gateway: RunningGateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    people = _People(gateway.settings, tmp_path_factory.mktemp("parties"))
    store = Store(gateway.settings.database_url)
    store.write(people.register)
    store.close()
    people.invent_strangers()
    arena = Arena(gateway, people.parties)
    yield arena
    arena.close()


@pytest.fixture(autouse=True, scope="module")
def _a_good_payment_is_still_taken(arena: Arena) -> Iterator[None]:
    """Before the attacks of each module and after them."""
    arena.takes_a_payment()
    yield
    arena.takes_a_payment()


class _People:
    """Certificates of every kind, the registered ones and those that must get nowhere."""

    def __init__(self, settings: Settings, files: Path) -> None:
        self.settings = settings
        self.files = files
        self.now = clock.utc_now()
        self.ours = Authority.load(settings.ca_certificate, settings.ca_key)
        self.parties: dict[str, Party] = {}

    def party(
        self,
        name: str,
        dealer: str,
        *,
        key: PrivateKey | None = None,
        authority: Authority | None = None,
        now: datetime | None = None,
        life: timedelta = timedelta(days=10),
    ) -> Party:
        key = key or new_ec_key()
        subject = subject_name(name, dealer)
        issued = (authority or self.ours).issue(subject, key.public_key(), Purpose.TERMINAL, now or self.now, life)
        certificate_file, key_file = self.files / f"{name}.pem", self.files / f"{name}-key.pem"
        certificate_file.write_bytes(certificate_pem(issued))
        key_file.write_bytes(key_pem(key))
        self.parties[name] = Party(certificate_file, key_file, self.settings.ca_certificate)
        return self.parties[name]

    def register(self, connection: Connection) -> None:
        for dealer, names in TERMINALS.items():
            dealer_id = terminals.add_dealer(
                connection,
                name=dealer,
                scheme=Scheme.CREDIT_ADJUSTMENT,
                time_zone="Europe/Moscow",
                language="en",
                currencies=("RUB",),
            )
            for name in names:
                party = self.party(name, dealer, key=new_rsa_key() if name[-1].isdigit() else None)
                terminal_id = terminals.add_terminal(connection, dealer_id=dealer_id, name=name)
                _register(connection, dealer_id, terminal_id, party)
            if dealer in CHANNELS:
                _register(connection, dealer_id, None, self.party(CHANNELS[dealer], dealer))
        terminals.set_terminal_status(connection, "VICTIM-BLOCKED", AccessStatus.BLOCKED)
        dealers, certificates = tables.dealers, tables.certificates
        connection.execute(update(dealers).where(dealers.c.name == "SHUT-BANK").values(status=AccessStatus.BLOCKED))
        for name, change in (
            ("VICTIM-REVOKED", {"revoked_at": self.now}),
            ("VICTIM-RETIRED", {"valid_until": self.now}),
        ):
            fingerprint = certificate_record(self.parties[name].signer.certificate).fingerprint
            connection.execute(update(certificates).where(certificates.c.fingerprint == fingerprint).values(**change))

    def invent_strangers(self) -> None:
        self.party("UNREGISTERED", "VICTIM-BANK")
        self.party("EXPIRED", "VICTIM-BANK", now=self.now - timedelta(days=20))
        self.party("NOT-YET-VALID", "VICTIM-BANK", now=self.now + timedelta(days=1))
        self.party("RSA-1024", "VICTIM-BANK", key=new_rsa_key(1024))
        impostor = Authority.create("bankapi operator CA", self.now)
        self.party("FOREIGN", "VICTIM-BANK", key=new_rsa_key(), authority=impostor)
        self.parties["GATEWAY"] = Party(
            self.settings.gateway_file("signing-cert.pem"),
            self.settings.gateway_file("signing-key.pem"),
            self.settings.ca_certificate,
        )


def _register(connection: Connection, dealer_id: int, terminal_id: int | None, party: Party) -> None:
    record = certificate_record(party.signer.certificate)
    terminals.register_certificate(connection, dealer_id=dealer_id, terminal_id=terminal_id, certificate=record)
