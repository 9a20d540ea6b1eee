"""A small real journal: signed requests answered by the gateway in process, sealed under several checkpoints."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bankapi import clock
from bankapi.cli.client import Answer, TerminalClient
from bankapi.cli.documents import Amount, Fields
from bankapi.cli.payments import terminal_client
from bankapi.evidence import sealing
from bankapi.evidence.checkpoints import Checkpoint
from bankapi.gateway import exchange, keys, tls, wsgi
from bankapi.settings import Settings
from bankapi.wsse.trust import fingerprint

NAMESPACE = "urn:bankapi:v1"


def registration(reference: str, amount: str = "100.00", msisdn: str = "79160000001", currency: str = "RUB") -> Any:
    return [
        ("Reference", reference),
        ("Payer", [("Msisdn", msisdn)]),
        ("Amount", Amount(amount, currency)),
        ("PaidAt", "2026-03-01T12:00:00.25+03:00"),
        ("CardBin", "220012"),
        ("Rrn", "123456789012"),
        ("Fee", Amount("1.50", "RUB")),
    ]


def cancellation(reference: str, amount: str = "100.00") -> Any:
    return [("Reference", reference), ("Amount", Amount(amount, "RUB")), ("Reason", "CUSTOMER_REQUEST")]


@dataclass
class Journal:
    """An installation with its gateway, and everything that was said to it."""

    settings: Settings
    gateway: exchange.Gateway
    answers: list[Answer] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)

    def ask(self, terminal: str, operation: str, fields: Fields) -> Answer:
        """One exchange, over the gateway's whole way but TLS and HTTP."""
        client = terminal_client(self.settings, terminal)
        request = client.sign(operation, fields)
        answer = client.verified(request, self.send(terminal, operation, request))
        self.answers.append(answer)
        return answer

    def send(self, terminal: str, operation: str, request: bytes) -> bytes:
        with _peer(self.settings, terminal):
            return exchange.answer(self.gateway, _environ(request, operation)).body

    def seal(self) -> Checkpoint:
        sealing.seal(self.gateway.store)
        origin, identity = self.settings.evidence.origin, self.gateway.identity
        signed = sealing.sign_checkpoint(self.gateway.store, origin, identity, clock.utc_now())
        assert signed is not None
        self.checkpoints.append(signed)
        return signed

    def client(self, terminal: str) -> TerminalClient:
        return terminal_client(self.settings, terminal)


@contextmanager
def opened(settings: Settings) -> Iterator[Journal]:
    gateway = wsgi.create_gateway(settings)
    try:
        yield Journal(settings, gateway)
    finally:
        gateway.store.close()


def fill(journal: Journal, prefix: str = "J") -> None:
    """Sixteen exchanges of every sort that leaves a trace, sealed under four checkpoints."""
    ask = journal.ask
    ask("ATM-0001", "Ping", [])
    ask("ATM-0001", "ValidatePayment", registration("-")[1:3])
    ask("ATM-0001", "RegisterPayment", registration(f"{prefix}-1"))
    journal.seal()
    ask("ATM-0002", "RegisterPayment", registration(f"{prefix}-2", "15.50", "79160000002"))
    ask("ATM-0002", "RegisterPayment", registration(f"{prefix}-2", "15.50", "79160000002"))  # replayed
    ask("ATM-0002", "RegisterPayment", registration(f"{prefix}-2", "16.50", "79160000002"))  # conflict
    ask("ATM-0001", "RegisterPayment", registration(f"{prefix}-3", msisdn="79160000019"))  # blocked: declined
    journal.seal()
    renew(journal)
    ask("ATM-0101", "RegisterPayment", registration(f"{prefix}-4", "10.00", "79160000003", "EUR"))  # no deposit in euro
    ask("ATM-0001", "RegisterPayment", registration(f"{prefix}-5", "10.00", "79160000003", "EUR"))  # converted
    ask("ATM-0001", "CancelPayment", cancellation(f"{prefix}-1"))
    ask("ATM-0001", "CancelPayment", cancellation(f"{prefix}-1"))  # replayed
    journal.seal()
    renew(journal)
    ask("ATM-0001", "CancelPayment", cancellation(f"{prefix}-NEVER"))  # voided
    ask("ATM-0001", "RegisterPayment", registration(f"{prefix}-NEVER"))  # refused for ever
    refused = (
        journal.client("ATM-0001").sign("RegisterPayment", registration(f"{prefix}-6")).replace(b"100.00", b"100.01")
    )
    journal.send("ATM-0001", "RegisterPayment", refused)  # not what was signed: kept by digest only
    journal.send("ATM-0002", "RegisterPayment", journal.client("ATM-0001").sign("Ping", []))  # another action
    journal.send("ATM-0101", "Ping", journal.client("ATM-0001").sign("Ping", []))  # signed well, not the TLS peer's
    journal.seal()


def renew(journal: Journal) -> None:
    """The newest checkpoint is looked up once a second; the journal does not wait for that."""
    journal.gateway.checkpoints._due_at = 0.0


def _environ(message: bytes, operation: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": "text/xml; charset=utf-8",
        "CONTENT_LENGTH": str(len(message)),
        "HTTP_SOAPACTION": f'"{NAMESPACE}/{operation}"',
        "wsgi.input": io.BytesIO(message),
    }


@contextmanager
def _peer(settings: Settings, terminal: str) -> Iterator[None]:
    """There is no socket here: the TLS peer is the terminal's own certificate."""
    certificate = keys.load_certificate(settings.terminal_file(terminal, "cert.pem"))
    original, identity = tls.identify, tls.TLSIdentity(fingerprint(certificate), terminal, "TLSv1.3")
    tls.identify = lambda _: identity
    try:
        yield
    finally:
        tls.identify = original
