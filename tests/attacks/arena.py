"""Where the attacks take place: the running gateway, people with real keys, and what must hold after every attempt.

    arena.refuses(attack, FaultCode.SECURITY, Rule.WSSE_REPLAY)

sends an attack and asserts all that we promise about a refusal: a typed fault that the gateway signed and that
answers these very bytes, its rule in the journal and in the log, no money moved, nothing of the message kept,
logged or echoed, and a service that goes on.
"""

import http.client
import json
import os
import secrets
import sqlite3
import ssl
import string
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bankapi.cli.client import Answer, TerminalClient
from bankapi.gateway.tls import client_context
from bankapi.refusals import FaultCode, Rule
from tests.messages import Draft, Signer, minimal, sign
from tests.running import RunningGateway

PAYER = "79160000007"
HANDSHAKE_REFUSED = (ssl.SSLError, ConnectionError)
ANSWERED_WITHIN_S = 10.0


@dataclass(frozen=True)
class Party:
    """Somebody with a certificate and its key, good or bad, as files."""

    certificate_file: Path
    key_file: Path
    ca_file: Path

    @cached_property
    def signer(self) -> Signer:
        key: Any = load_pem_private_key(self.key_file.read_bytes(), None)
        return Signer(x509.load_pem_x509_certificate(self.certificate_file.read_bytes()), key)

    @cached_property
    def context(self) -> ssl.SSLContext:
        return client_context(self.certificate_file, self.key_file, self.ca_file)


@dataclass(frozen=True)
class Attack:
    """One HTTP request. The defaults are those of a good one, so that only what is hostile is written out."""

    body: bytes
    content_type: str = "text/xml; charset=utf-8"
    soap_action: str | None = '"urn:bankapi:v1/RegisterPayment"'
    headers: tuple[tuple[str, str], ...] = ()
    chunked: bool = False
    received: bytes | None = None
    """What the gateway takes in of the body, when that is not all of it."""


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Scene:
    """What the builder of one attack works with. The canary is in its payments and must turn up nowhere."""

    signer: Signer
    other: Signer
    """Another terminal of the same dealer."""
    canary: str

    @property
    def payment(self) -> str:
        return payment(self.canary)

    @property
    def forged(self) -> str:
        """What an attacker would like to put in the place of the payment; it conforms to the contract."""
        return payment(f"{self.canary}-FORGED", amount="9999.00")

    def draft(self, **changes: Any) -> Draft:
        return minimal(**{"payload": self.payment, **changes})

    def signed(self, **changes: Any) -> bytes:
        """A good message, unless the changes say otherwise."""
        return sign(self.draft(**changes), self.signer)


Builder = Callable[[Scene], bytes | Attack]
Case = tuple[Builder, FaultCode, Rule]


def payment(reference: str, amount: str = "150.00", currency: str = "RUB", msisdn: str = PAYER) -> str:
    paid_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return (
        f'<b:RegisterPaymentRequest xmlns:b="urn:bankapi:v1"><b:Reference>{reference}</b:Reference>'
        f'<b:Payer><b:Msisdn>{msisdn}</b:Msisdn></b:Payer><b:Amount currency="{currency}">{amount}</b:Amount>'
        f"<b:PaidAt>{paid_at}</b:PaidAt></b:RegisterPaymentRequest>"
    )


def new_canary() -> str:
    """Letters only: digits may look like a card number by chance."""
    return "CANARY-" + "".join(secrets.choice(string.ascii_uppercase) for _ in range(16))


class Arena:
    """The gateway under attack."""

    def __init__(self, gateway: RunningGateway, parties: dict[str, Party]) -> None:
        self.gateway = gateway
        self.parties = parties
        self.victim = parties["VICTIM-1"]
        self.workers = worker_pids(gateway)
        self._url = urlsplit(gateway.url)
        self._database = sqlite3.connect(f"file:{gateway.settings.home / 'bankapi.db'}?mode=ro", uri=True)
        self._client = self.client(self.victim)

    def close(self) -> None:
        self._database.close()

    def client(self, party: Party) -> TerminalClient:
        return TerminalClient(
            self.gateway.url,
            certificate=party.certificate_file,
            key=party.key_file,
            ca=self.gateway.settings.ca_certificate,
            gateway_certificates=self.gateway.settings.signing_certificates,
        )

    def scene(self, signer: Party | None = None) -> Scene:
        return Scene((signer or self.victim).signer, self.parties["VICTIM-2"].signer, new_canary())

    # Sending

    def connect(self, by: Party | None = None) -> http.client.HTTPSConnection:
        context = (by or self.victim).context
        return http.client.HTTPSConnection(self._url.hostname or "", self._url.port or 443, timeout=20, context=context)

    def send(self, attack: Attack, connection: http.client.HTTPSConnection, path: str = "/soap/v1") -> Reply:
        headers = {"Content-Type": attack.content_type, **dict(attack.headers)}
        if attack.soap_action is not None:
            headers["SOAPAction"] = attack.soap_action
        if attack.chunked:
            headers["Transfer-Encoding"] = "chunked"
            chunks = (attack.body[at : at + 30_000] for at in range(0, len(attack.body), 30_000))
            connection.request("POST", path, chunks, headers, encode_chunked=True)
        else:
            connection.request("POST", path, attack.body, headers)
        response = connection.getresponse()
        return Reply(response.status, dict(response.getheaders()), response.read())

    def post(self, attack: Attack, by: Party | None = None) -> Reply:
        """Send it over a connection of its own."""
        connection = self.connect(by)
        try:
            return self.send(attack, connection)
        finally:
            connection.close()

    # What must hold

    def refuses(
        self,
        attack: Attack | bytes,
        fault: FaultCode,
        rule: Rule,
        *,
        canary: str,
        by: Party | None = None,
        is_evidence: bool = False,
        connection: http.client.HTTPSConnection | None = None,
    ) -> Answer:
        """The attack is refused with this fault for this reason; see the module for all that this means.

        `is_evidence`: the signature was good and the refusal came later, so the request is kept as it was signed.
        """
        attack = attack if isinstance(attack, Attack) else Attack(attack)
        with self.nothing_happens(canary) as log:
            began = time.monotonic()
            reply = self.send(attack, connection) if connection else self.post(attack, by)
            assert time.monotonic() - began < ANSWERED_WITHIN_S
            answer = self.fault_of(reply, attack)
            row, logged = self.journal_row(answer.fields["exchange_id"]), log()
        assert (answer.fields["code"], row["rule"]) == (fault, rule.journal_name)
        assert row["outcome"] == fault
        (line,) = [line for line in logged if line.get("exchange_id") == answer.fields["exchange_id"]]
        assert (line["rule"], line["fault"]) == (rule.journal_name, fault)
        assert zlib.decompress(row["answer"]) == reply.body
        kept = row.pop("request")
        if is_evidence:
            assert zlib.decompress(kept) == attack.body
        else:
            assert (kept, row["replay_key"], row["signing_fingerprint"]) == (None, None, None)
        for secret in (canary, PAYER):
            assert secret.encode() not in reply.body
            assert secret not in repr(row)
        return answer

    def fault_of(self, reply: Reply, attack: Attack) -> Answer:
        """A SOAP fault with HTTP 500, signed by the gateway, over exactly these bytes (WS-I BP 1.1 R1126)."""
        assert reply.status == 500
        assert reply.headers["Content-Type"] == "text/xml; charset=utf-8"
        sent = attack.body if attack.received is None else attack.received
        answer = self._client.verified(sent, reply.body)
        assert answer.is_fault
        return answer

    @contextmanager
    def nothing_happens(self, canary: str) -> Iterator[Callable[[], list[dict[str, Any]]]]:
        """No money moves, nothing leaks into the log, and the gateway goes on. Yields the log's new JSON lines."""
        log_file, books = self.gateway.log_file, self.books()
        begin = log_file.stat().st_size

        def logged() -> str:
            return log_file.read_bytes()[begin:].decode()

        yield lambda: [json.loads(line) for line in logged().splitlines() if line.startswith("{")]
        assert self.books() == books
        self.goes_on()
        for secret in (canary, PAYER, "Traceback"):
            assert secret not in logged()

    def goes_on(self) -> None:
        answer = self._client.call("Ping", [])
        assert (answer.is_fault, answer.fields["code"]) == (False, "OK")
        assert worker_pids(self.gateway) == self.workers

    def takes_a_payment(
        self, *, by: Party | None = None, signer: Party | None = None, headers: tuple[tuple[str, str], ...] = ()
    ) -> tuple[str, str]:
        """A good payment is booked, once; the answer is whose it became: dealer and terminal."""
        scene, before = self.scene(signer or by), self.books()
        attack = Attack(scene.signed(), headers=headers)
        self.accepted(self.post(attack, by), attack)
        assert self.books()[0] == before[0] + 1
        query = (
            "SELECT d.name, t.name FROM payments p JOIN dealers d ON d.id = p.dealer_id"
            " JOIN terminals t ON t.id = p.terminal_id WHERE p.reference = ?"
        )
        dealer, terminal = self._database.execute(query, (scene.canary,)).fetchone()
        return dealer, terminal

    def accepted(self, reply: Reply, attack: Attack) -> Answer:
        """Not an attack after all: a signed answer that says OK."""
        answer = self._client.verified(attack.body, reply.body)
        assert (reply.status, answer.is_fault, answer.fields["code"]) == (200, False, "OK")
        return answer

    # Looking

    def books(self) -> tuple[int, ...]:
        """Everything a payment would change."""
        tables = ("payments", "postings", "billing_transactions", "cancellations", "validations")
        counts = ", ".join(f"(SELECT count(*) FROM {table})" for table in tables)
        balances = "(SELECT group_concat(balance_minor) FROM balances)"
        return tuple(self._database.execute(f"SELECT {counts}, {balances}").fetchone())

    def journal_row(self, exchange_id: str) -> dict[str, Any]:
        cursor = self._database.execute("SELECT * FROM exchanges WHERE exchange_id = ?", (exchange_id,))
        rows = cursor.fetchall()
        assert len(rows) == 1, "a refusal is journaled once"
        return dict(zip([column[0] for column in cursor.description], rows[0], strict=True))

    def stored_since(self) -> Callable[[], bytes]:
        """To be called later: every file of the database then, and what the journal has compressed since now."""
        (begin,) = self._database.execute("SELECT max(id) FROM exchanges").fetchone()

        def stored() -> bytes:
            files = b"".join(file.read_bytes() for file in self.gateway.settings.home.glob("bankapi.db*"))
            rows = self._database.execute("SELECT request, answer FROM exchanges WHERE id > ?", (begin,)).fetchall()
            assert rows
            return files + b"".join(zlib.decompress(column) for row in rows for column in row if column is not None)

        return stored


# Processes


def worker_pids(gateway: RunningGateway) -> frozenset[int]:
    """The gateway's child processes (proc(5), /proc/pid/stat, field 4)."""
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    return frozenset(pid for pid in pids if _parent(pid) == gateway.process.pid)


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def worker_of(connection: http.client.HTTPSConnection, workers: frozenset[int]) -> int:
    """Which worker holds the other end of a connection (proc(5), /proc/net/tcp)."""
    ends = [connection.sock.getpeername()[1], connection.sock.getsockname()[1]]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if [int(end.rpartition(":")[2], 16) for end in fields[1:3]] == ends:
            (worker,) = [pid for pid in workers if f"socket:[{fields[9]}]" in _open_files(pid)]
            return worker
    raise AssertionError("nobody holds it")


def _open_files(pid: int) -> set[str]:
    names: set[str] = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            names.add(os.readlink(descriptor))
    return names
