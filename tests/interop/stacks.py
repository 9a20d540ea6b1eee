"""Running a stack's client as its user would, and what xmlsec1 and the evidence say about the bytes it sent."""

import json
import sqlite3
import subprocess
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tests.running import RunningGateway

SIGNED = ("Body", "Timestamp", "BinarySecurityToken", "MessageID", "Exchange")
"""What the stacks and the gateway sign; xmlsec1 must be told where ids are."""
CLIENTS = Path(__file__).parents[2] / "bankapi" / "kit" / "clients"
DEALER_ZONE = ZoneInfo("Europe/Moscow")
"""Whose days are the demo dealers' business days."""
WSDL_FILE = Path(__file__).parents[2] / "wsdl" / "bankapi-v1.wsdl"


@dataclass(frozen=True)
class Run:
    """What one run of a client printed, one object per step, and how it ended."""

    exit_code: int
    lines: list[dict[str, Any]]

    def __getitem__(self, step: int) -> dict[str, Any]:
        return self.lines[step]


@dataclass(frozen=True)
class Stack:
    """One stack's client, as a command without its options, and how it spells a text with attributes."""

    name: str
    command: tuple[str, ...]
    value_key: str
    currency: Callable[[dict[str, Any]], str]
    versions: str
    """What runs, as the stack's own tools say."""
    gateway: RunningGateway
    numbers: "count[int]"

    def reference(self) -> str:
        return f"{self.name}-{next(self.numbers)}"

    def run(
        self,
        *steps: str,
        reference: str,
        url: str = "",
        gateway_certificate: Path | None = None,
        wsdl: Path = WSDL_FILE,
    ) -> Run:
        """Let the client take these steps, as ATM-0001."""
        settings = self.gateway.settings
        options = {
            "wsdl": wsdl,
            "url": url or self.gateway.url,
            "cert": settings.terminal_file("ATM-0001", "cert.pem"),
            "key": settings.terminal_file("ATM-0001", "key.pem"),
            "ca": settings.ca_certificate,
            "gateway-cert": gateway_certificate or settings.gateway_file("signing-cert.pem"),
            "reference": reference,
            "day": datetime.now(DEALER_ZONE).date(),
        }
        arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        done = subprocess.run([*self.command, *arguments, *steps], capture_output=True, check=False, timeout=120)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(lines) == len(steps), done.stderr.decode()
        return Run(done.returncode, lines)


def evidence(gateway: RunningGateway, exchange_id: str) -> tuple[bytes, bytes]:
    """Request and answer of one exchange, as the gateway keeps them."""
    with sqlite3.connect(gateway.settings.home / "bankapi.db") as database:
        request, answer = database.execute(
            "SELECT request, answer FROM exchanges WHERE exchange_id = ?", (exchange_id,)
        ).fetchone()
    return zlib.decompress(request), zlib.decompress(answer)


def xmlsec1_accepts(message: bytes, certificate: Path, folder: Path) -> bool:
    """Does xmlsec1 alone verify the message with this certificate?"""
    file = folder / "message.xml"
    file.write_bytes(message)
    identifiers = [part for name in SIGNED for part in ("--id-attr:Id", name)]
    command = ["xmlsec1", "--verify", *identifiers, "--pubkey-cert-pem", str(certificate), str(file)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
