"""A journal in the books of the unit tests: exchanges, their sealing and checkpoints."""

from datetime import datetime
from functools import cache

from ulid import ULID

from bankapi.cli.authority import Authority, Purpose, new_ec_key, subject_name
from bankapi.evidence import exchanges, sealing
from bankapi.evidence.exchanges import Exchange
from bankapi.wsse.signing import SigningIdentity
from tests.unit.conftest import START, Books


def keep_exchange(books: Books, at: datetime) -> None:
    exchange = Exchange(
        exchange_id=str(ULID()),
        received_at=at,
        answered_at=at,
        operation="Ping",
        outcome="OK",
        rule=None,
        terminal_id=1,
        tls_fingerprint=bytes(32),
        signed=None,
        request=b"request",
        answer=b"answer",
    )
    books.store.write(lambda connection: exchanges.append(connection, exchange))


def sign_checkpoint(books: Books, at: datetime) -> None:
    assert sealing.sign_checkpoint(books.store, "test/journal", identity(), at) is not None


@cache
def identity() -> SigningIdentity:
    authority, key = Authority.create("test CA", START), new_ec_key()
    certificate = authority.issue(subject_name("gateway"), key.public_key(), Purpose.ANSWER_SIGNING, START)
    return SigningIdentity(certificate, key)
