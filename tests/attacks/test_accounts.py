"""Whose connection, whose signature: who may speak for which terminal, and how often one signature counts."""

import http.client
import ssl
from collections.abc import Iterator

import pytest

from bankapi.billing import terminals
from bankapi.billing.terminals import AccessStatus
from bankapi.refusals import FaultCode, Rule
from bankapi.storage.engine import Store
from tests.attacks.arena import HANDSHAKE_REFUSED, Arena, Attack, Party, Reply, new_canary, payment, worker_of
from tests.messages import PING, minimal, named_by, sign, thumbprint

# At the door


@pytest.mark.parametrize("protocol", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("stranger", ["nobody", "FOREIGN", "EXPIRED", "NOT-YET-VALID"])
def test_a_stranger_does_not_come_in(arena: Arena, stranger: str, protocol: ssl.TLSVersion) -> None:
    context = _context(arena, None if stranger == "nobody" else arena.parties[stranger])
    context.minimum_version = context.maximum_version = protocol
    scene = arena.scene()
    with arena.nothing_happens(scene.canary):
        connection = arena.connect()
        connection._context = context  # type: ignore[attr-defined]
        with pytest.raises(HANDSHAKE_REFUSED):
            arena.send(Attack(scene.signed()), connection)
        connection.close()


def _context(arena: Arena, party: Party | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=arena.gateway.settings.ca_certificate)
    if party is not None:
        context.load_cert_chain(party.certificate_file, party.key_file)
    return context


# (TLS certificate, signer) → the rule that refuses them. Is the request evidence? Yes: the signature was good.
PAIRS = {
    "a certificate of our CA, registered nowhere": (
        "UNREGISTERED",
        "UNREGISTERED",
        Rule.TLS_CERTIFICATE_UNKNOWN,
    ),
    "an unregistered connection for a real terminal": ("UNREGISTERED", "VICTIM-1", Rule.TLS_CERTIFICATE_UNKNOWN),
    "an unregistered signer over a real connection": ("VICTIM-1", "UNREGISTERED", Rule.ADMISSION_SIGNER_UNKNOWN),
    "the gateway's own signature": ("VICTIM-1", "GATEWAY", Rule.ADMISSION_SIGNER_UNKNOWN),
    "another terminal of the same dealer": ("VICTIM-1", "VICTIM-2", Rule.ADMISSION_SIGNER_NOT_TLS_PEER),
    "a terminal of another dealer": ("VICTIM-1", "OTHER-1", Rule.ADMISSION_SIGNER_NOT_TLS_PEER),
    "a channel for another dealer's terminal": ("OTHER-CHANNEL", "VICTIM-1", Rule.ADMISSION_SIGNER_NOT_TLS_PEER),
    "a channel as the signer": ("VICTIM-CHANNEL", "VICTIM-CHANNEL", Rule.ADMISSION_SIGNER_UNKNOWN),
    "a channel as the signer over a terminal's connection": (
        "VICTIM-1",
        "VICTIM-CHANNEL",
        Rule.ADMISSION_SIGNER_UNKNOWN,
    ),
    "a blocked terminal": ("VICTIM-BLOCKED", "VICTIM-BLOCKED", Rule.ADMISSION_TERMINAL_BLOCKED),
    "a blocked terminal behind its channel": ("VICTIM-CHANNEL", "VICTIM-BLOCKED", Rule.ADMISSION_TERMINAL_BLOCKED),
    "a terminal of a blocked dealer": ("SHUT-1", "SHUT-1", Rule.ADMISSION_DEALER_BLOCKED),
    "a revoked registration": ("VICTIM-REVOKED", "VICTIM-REVOKED", Rule.ADMISSION_CERTIFICATE_REVOKED),
    "a revoked signer behind its channel": ("VICTIM-CHANNEL", "VICTIM-REVOKED", Rule.ADMISSION_CERTIFICATE_REVOKED),
    "a registration whose window has ended": ("VICTIM-RETIRED", "VICTIM-RETIRED", Rule.ADMISSION_CERTIFICATE_WINDOW),
}


@pytest.mark.parametrize("case", PAIRS)
def test_nobody_speaks_for_a_terminal_that_is_not_theirs(arena: Arena, case: str) -> None:
    sender, signer, rule = PAIRS[case]
    scene = arena.scene(arena.parties[signer])
    arena.refuses(
        scene.signed(),
        FaultCode.SECURITY,
        rule,
        canary=scene.canary,
        by=arena.parties[sender],
        is_evidence=True,
    )


def test_a_channel_forwards_for_the_terminals_of_its_dealer(arena: Arena) -> None:
    for terminal in ("VICTIM-1", "VICTIM-2"):
        whose = arena.takes_a_payment(by=arena.parties["VICTIM-CHANNEL"], signer=arena.parties[terminal])
        assert whose == ("VICTIM-BANK", terminal)


def test_a_certificate_named_by_its_thumbprint_must_be_a_registered_terminals(arena: Arena) -> None:
    """A look-up finds neither strangers nor channels, and what it finds is still bound to the connection."""
    for name, rule in (
        ("UNREGISTERED", Rule.WSSE_TOKEN_UNKNOWN),
        ("VICTIM-CHANNEL", Rule.WSSE_TOKEN_UNKNOWN),
        ("VICTIM-2", Rule.ADMISSION_SIGNER_NOT_TLS_PEER),
    ):
        signer, canary = arena.parties[name].signer, new_canary()
        raw = sign(named_by(thumbprint(signer.certificate), payload=payment(canary)), signer)
        is_evidence = rule is Rule.ADMISSION_SIGNER_NOT_TLS_PEER
        arena.refuses(raw, FaultCode.SECURITY, rule, canary=canary, is_evidence=is_evidence)


FORGED_HEADERS = (
    "X-Client-Cert",
    "X-SSL-Client-Cert",
    "X-Forwarded-Client-Cert",
    "X-ARR-ClientCert",
    "Ssl-Client-Cert",
    "X-SSL-Client-Verify",
    "X-SSL-Client-S-DN",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Real-IP",
    "Forwarded",
    "X-Remote-User",
    "Authorization",
    "X-HTTP-Method-Override",
)


def test_headers_of_proxies_are_not_believed(arena: Arena) -> None:
    """Whatever a header says about who is there, the TLS connection decides."""
    other = arena.parties["OTHER-1"].signer.token
    forged = tuple((name, other) for name in FORGED_HEADERS)
    assert arena.takes_a_payment(headers=forged) == ("VICTIM-BANK", "VICTIM-1")
    scene = arena.scene(arena.parties["OTHER-1"])
    arena.refuses(
        Attack(scene.signed(), headers=forged),
        FaultCode.SECURITY,
        Rule.ADMISSION_SIGNER_NOT_TLS_PEER,
        canary=scene.canary,
        is_evidence=True,
    )


# Replay


@pytest.fixture
def connections(arena: Arena) -> Iterator[list[http.client.HTTPSConnection]]:
    """Open connections to both workers, one to each."""
    by_worker: dict[int, http.client.HTTPSConnection] = {}
    others = []
    for _ in range(200):
        connection = arena.connect()
        arena.accepted(*_ping(arena, connection))
        if by_worker.setdefault(worker_of(connection, arena.workers), connection) is not connection:
            others.append(connection)
        if len(by_worker) == 2:
            break
    assert len(by_worker) == 2, "one worker takes all connections"
    yield list(by_worker.values())
    for connection in (*by_worker.values(), *others):
        connection.close()


def _ping(arena: Arena, connection: http.client.HTTPSConnection) -> tuple[Reply, Attack]:
    """An id of its own: two equal messages in the same second would have one signature."""
    attack = Attack(sign(minimal(payload=PING, body_id=new_canary()), arena.victim.signer), soap_action=None)
    return arena.send(attack, connection), attack


def test_a_signature_is_accepted_once(arena: Arena, connections: list[http.client.HTTPSConnection]) -> None:
    """The same bytes again: on the same connection, on the other worker, and on a new connection."""
    first, other_worker = connections
    scene = arena.scene()
    raw = scene.signed()
    arena.accepted(arena.send(Attack(raw), first), Attack(raw))
    for connection in (first, other_worker, None):
        arena.refuses(raw, FaultCode.SECURITY, Rule.WSSE_REPLAY, canary=scene.canary, connection=connection)


def test_a_signature_is_the_same_however_it_is_written(arena: Arena) -> None:
    """White space in base64, another envelope around the signed parts: still the signature that was accepted."""
    scene = arena.scene()
    raw = scene.signed()
    arena.accepted(arena.post(Attack(raw)), Attack(raw))
    for other in (
        raw.replace(b"<ds:SignatureValue>", b"<ds:SignatureValue>\n "),
        b'<?xml version="1.0"?>\n' + raw,
        raw.replace(b"<soapenv:Header>", b"<soapenv:Header>\n<x:Trace xmlns:x='urn:x'/>"),
    ):
        arena.refuses(other, FaultCode.SECURITY, Rule.WSSE_REPLAY, canary=scene.canary)


def test_a_message_that_was_refused_to_a_blocked_terminal_is_never_accepted(arena: Arena) -> None:
    """Caught while the terminal is blocked, sent again while it is, and again when it is not any more."""
    terminal = arena.parties["VICTIM-2"]
    scene = arena.scene(terminal)
    raw = scene.signed()
    store = Store(arena.gateway.settings.database_url)
    try:
        store.write(lambda c: terminals.set_terminal_status(c, "VICTIM-2", AccessStatus.BLOCKED))
        blocked = FaultCode.SECURITY, Rule.ADMISSION_TERMINAL_BLOCKED
        arena.refuses(raw, *blocked, canary=scene.canary, by=terminal, is_evidence=True)
        arena.refuses(raw, *blocked, canary=scene.canary, by=terminal)
    finally:
        store.write(lambda c: terminals.set_terminal_status(c, "VICTIM-2", AccessStatus.ACTIVE))
        store.close()
    arena.refuses(raw, FaultCode.SECURITY, Rule.WSSE_REPLAY, canary=scene.canary, by=terminal)
    assert arena.takes_a_payment(by=terminal) == ("VICTIM-BANK", "VICTIM-2")


def test_a_stolen_message_does_not_shut_out_its_owner(arena: Arena) -> None:
    """Sent first by somebody else, a message is refused to them; what the owner signs anew is taken."""
    scene = arena.scene()
    raw, thief = scene.signed(), arena.parties["OTHER-1"]
    arena.refuses(
        raw,
        FaultCode.SECURITY,
        Rule.ADMISSION_SIGNER_NOT_TLS_PEER,
        canary=scene.canary,
        by=thief,
        is_evidence=True,
    )
    assert arena.takes_a_payment() == ("VICTIM-BANK", "VICTIM-1")
