"""The channel of DEMO-BANK at the running gateway, and what lies in its books."""

import itertools
import json
import secrets
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from bankapi.cli.way4 import channel_client
from bankapi.way4 import samples
from bankapi.way4.client import ChannelClient, Reply
from bankapi.way4.configuration import Operation
from tests.running import RunningGateway

NOON = datetime.fromisoformat("2026-03-01T12:00:00")
"""A local time without a zone, as UFX writes it."""
_numbers = itertools.count(secrets.randbelow(10**11))


def new_rrn() -> str:
    return f"{next(_numbers):012}"


def text(reply: Reply, path: str) -> str | None:
    found = reply.root.findtext(f"MsgData/{path}")
    return None if found is None else found.strip()


def parameter(reply: Reply, code: str) -> str | None:
    """The value of a Parm in DocRefSet."""
    found = reply.root.xpath("string(MsgData/Doc/DocRefSet/Parm[ParmCode=$code]/Value)", code=code)
    return str(found) or None


@dataclass
class Door:
    """A client of `/way4`, and the database behind it."""

    gateway: RunningGateway
    client: ChannelClient
    database: sqlite3.Connection

    def ask(self, operation: Operation, *, local_at: datetime = NOON, rrn: str | None = None, **values: str) -> Reply:
        message = samples.sample(operation, local_at=local_at, rrn=rrn or new_rrn(), **values)
        return self.client.send(message.encode())

    def code(self, operation: Operation, **values: Any) -> str:
        """Ask, and give the outcome by our name of it: RespCode alone is not unique."""
        reply = self.ask(operation, **values)
        return self.outcome(reply)

    def outcome(self, reply: Reply) -> str:
        assert reply.receipt is not None
        outcome = reply.receipt.outcome
        assert reply.root.get("direction") == "Rs"
        body = "Doc" if reply.root.find("MsgData/Doc") is not None else "Information"
        assert text(reply, f"{body}/Status/RespCode") == reply.root.get("resp_code")
        assert text(reply, f"{body}/Status/RespText") == reply.root.get("resp_text")
        is_error = reply.root.get("resp_class") == "E"
        assert text(reply, f"{body}/Status/RespClass") == ("Error" if is_error else "Information")
        assert is_error == (reply.root.get("resp_code") != "0")
        return outcome

    def books(self) -> tuple[Any, ...]:
        """Everything a payment would change."""
        tables = ("payments", "postings", "billing_transactions", "cancellations", "validations")
        counts = ", ".join(f"(SELECT count(*) FROM {table})" for table in tables)
        return tuple(
            self.database.execute(f"SELECT {counts}, (SELECT group_concat(balance_minor) FROM balances)").fetchone()
        )

    def row(self, reply: Reply) -> dict[str, Any]:
        """The journal's row of an exchange."""
        cursor = self.database.execute(
            "SELECT * FROM exchanges WHERE exchange_id = ?", (reply.headers["Bankapi-Exchange-Id"],)
        )
        (row,) = cursor.fetchall()
        return dict(zip([column[0] for column in cursor.description], row, strict=True))

    def logged(self, reply: Reply) -> dict[str, Any]:
        lines = [json.loads(line) for line in self.gateway.log().splitlines() if line.startswith("{")]
        (line,) = [line for line in lines if line.get("exchange_id") == reply.headers["Bankapi-Exchange-Id"]]
        return line

    def refused(self, message: bytes | str, rule: str, **options: Any) -> Reply:
        """A message that is refused for this rule: nothing of it is kept, and no money moves."""
        sent = message.encode() if isinstance(message, str) else message
        before = self.books()
        reply = self.client.send(sent, **options)
        assert self.books() == before
        assert (reply.root.get("direction"), reply.root.get("resp_class")) == ("Rs", "E")
        assert reply.root.get("resp_code") not in (None, "0")
        assert b"Traceback" not in reply.body
        row = self.row(reply)
        assert (row["rule"], row["request"], row["request_bytes"], row["terminal_id"]) == (rule, None, 0, None)
        assert b"<MsgData" not in zlib.decompress(row["answer"]), "an echo would keep what is refused"
        assert self.logged(reply)["rule"] == rule
        return reply


@pytest.fixture(scope="session")
def door(gateway: RunningGateway) -> Iterator[Door]:
    with opened(gateway) as door:
        yield door


@contextmanager
def opened(gateway: RunningGateway) -> Iterator[Door]:
    """The door of any running gateway."""
    database = sqlite3.connect(f"file:{gateway.settings.home / 'bankapi.db'}?mode=ro", uri=True)
    client = channel_client(gateway.settings)
    yield Door(gateway, client, database)
    client.close()
    database.close()


@pytest.fixture
def stored_since(door: Door) -> Callable[[], bytes]:
    """To be called later: every file of the home's database and log, and what the journal has compressed since."""
    (begin,) = door.database.execute("SELECT coalesce(max(id), 0) FROM exchanges").fetchone()

    def stored() -> bytes:
        home = door.gateway.settings.home
        files = b"".join(file.read_bytes() for pattern in ("bankapi.db*", "*.log") for file in home.glob(pattern))
        rows = door.database.execute("SELECT request, answer FROM exchanges WHERE id > ?", (begin,)).fetchall()
        assert rows
        return files + b"".join(zlib.decompress(column) for row in rows for column in row if column is not None)

    return stored
