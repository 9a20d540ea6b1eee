"""Our own client's connection: kept while it is used, and not trusted after it was idle."""

from collections.abc import Callable

import pytest

from bankapi.cli import payments
from bankapi.cli.client import TerminalClient
from bankapi.gateway import caller
from tests.running import RunningGateway


def test_an_idle_connection_is_not_used_again(
    client: Callable[[str], TerminalClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway closes idle connections; a request must not be sent into one that is just being closed."""
    atm, now = client("ATM-0001"), [1000.0]
    monkeypatch.setattr(caller.time, "monotonic", lambda: now[0])
    used = []
    for waited_s in (0.0, caller.IDLE_MAX_S, caller.IDLE_MAX_S + 1):
        now[0] += waited_s
        assert atm.call("Ping", []).fields["code"] == "OK"
        used.append(atm._caller._connection)
    assert used[0] is used[1]
    assert used[1] is not used[2]


def test_who_gets_no_answer_is_told_from_where(gateway: RunningGateway) -> None:
    """The operating system's own words name no address."""
    for url, reason in (("https://127.0.0.1:9/soap/v1", "refused"), ("https://nowhere.invalid/soap/v1", "known|name")):
        client = payments.terminal_client(gateway.settings, "ATM-0001", url)
        with pytest.raises(ConnectionError, match=f"^no answer from {url}: .*(?i:{reason})"):
            client.call("Ping", [])
