"""Sealing real rows in a real database, and the checkpoints over them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from bankapi.cli.authority import Authority, Purpose, new_ec_key, new_rsa_key, subject_name
from bankapi.evidence import archive, checkpoints, exchanges, sealing, tree
from bankapi.evidence.checkpoints import CheckpointError
from bankapi.evidence.exchanges import Exchange
from bankapi.storage import schema
from bankapi.storage.engine import Store
from bankapi.wsse.signing import SigningIdentity

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="module", params=["rsa", "ec"])
def identity(request: pytest.FixtureRequest) -> SigningIdentity:
    authority = Authority.create("test CA", NOW)
    key = new_rsa_key() if request.param == "rsa" else new_ec_key()
    certificate = authority.issue(subject_name("gateway"), key.public_key(), Purpose.ANSWER_SIGNING, NOW)
    return SigningIdentity(certificate, key)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'journal.db'}")
    schema.create(store)
    yield store
    store.close()


def exchange(number: int) -> Exchange:
    return Exchange(
        exchange_id=f"{number:026d}",
        received_at=NOW + timedelta(seconds=number),
        answered_at=NOW + timedelta(seconds=number, milliseconds=5),
        operation="Ping",
        outcome="OK",
        rule=None,
        terminal_id=1,
        tls_fingerprint=bytes(32),
        signed=None,
        request=f"request {number}".encode(),
        answer=f"answer {number}".encode(),
    )


def keep(store: Store, first: int, count: int) -> None:
    def write(connection: object) -> None:
        for number in range(first, first + count):
            exchanges.append(connection, exchange(number))  # type: ignore[arg-type]

    store.write(write)


def test_every_exchange_is_sealed_once_in_order_however_sealing_is_cut_up(store: Store) -> None:
    growing = tree.Growing()
    for first, count in ((0, 1), (1, 6), (7, 300), (307, 0), (307, 13)):
        keep(store, first, count)
        assert sealing.seal(store) == count
    with store.read() as connection:
        rows = connection.exec_driver_sql("SELECT hash FROM tree_leaves ORDER BY leaf_index").scalars().all()
        for row in rows:
            growing.append(row)
        assert sealing.tree_size(connection) == 320
        assert tree.root(320, sealing.stored_hashes(connection)) == growing.root()
        assert sealing.unsealed(connection) == 0


def test_a_checkpoint_is_signed_once_per_size_and_verifies_by_its_key_only(
    store: Store, identity: SigningIdentity
) -> None:
    assert sealing.sign_checkpoint(store, "bankapi.test/journal", identity, NOW) is None
    keep(store, 0, 5)
    sealing.seal(store)
    signed = sealing.sign_checkpoint(store, "bankapi.test/journal", identity, NOW)
    assert signed is not None
    assert sealing.sign_checkpoint(store, "bankapi.test/journal", identity, NOW) == signed
    read = checkpoints.parse(signed.note)
    read.verify(identity.certificate)
    assert (read.origin, read.size, read.signed_at) == ("bankapi.test/journal", 5, NOW)
    other = Authority.create("other CA", NOW)
    with pytest.raises(CheckpointError):
        read.verify(other.certificate)


def test_a_checkpoint_with_any_changed_byte_is_refused(store: Store, identity: SigningIdentity) -> None:
    note = checkpoints.sign("bankapi.test/journal", 7, bytes(32), identity, NOW).note.encode()
    for at in range(len(note)):
        changed = note[:at] + bytes([note[at] ^ 1]) + note[at + 1 :]
        with pytest.raises((CheckpointError, UnicodeDecodeError)):
            checkpoints.parse(changed.decode()).verify(identity.certificate)


def test_archived_bodies_are_in_the_file_and_the_tree_does_not_notice(store: Store, tmp_path: Path) -> None:
    keep(store, 0, 30)
    sealing.seal(store)
    keep(store, 30, 5)
    with store.read() as connection:
        root = tree.root(30, sealing.stored_hashes(connection))
    file = tmp_path / "bodies.zip"
    assert archive.archive(store, NOW + timedelta(seconds=20), file, NOW) == 20
    assert archive.archive(store, NOW + timedelta(hours=1), tmp_path / "more.zip", NOW) == 10, "only what is sealed"
    for number in range(20):
        assert archive.read(file, f"{number:026d}") == (None, f"answer {number}".encode())
    with store.read() as connection:
        kept = connection.exec_driver_sql("SELECT count(*) FROM exchanges WHERE answer IS NOT NULL").scalar()
        assert kept == 5
        assert tree.root(30, sealing.stored_hashes(connection)) == root


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE exchanges SET request = NULL, answer = NULL WHERE id = 21",
        "UPDATE exchanges SET answer = x'00' WHERE id = 1",
        "UPDATE exchanges SET request = NULL, answer = NULL, outcome = 'X' WHERE id = 1",
        "DELETE FROM exchanges WHERE id = 1",
    ],
)
def test_nothing_but_the_bodies_of_archived_exchanges_can_be_emptied(store: Store, tmp_path: Path, change: str) -> None:
    keep(store, 0, 30)
    sealing.seal(store)
    archive.archive(store, NOW + timedelta(seconds=20), tmp_path / "bodies.zip", NOW)
    with pytest.raises(DBAPIError, match="append-only"):
        store.write(lambda connection: connection.exec_driver_sql(change))
