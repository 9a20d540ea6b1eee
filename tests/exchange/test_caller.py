"""Our own client's connection: kept while it is used, and not trusted after it was idle."""

from collections.abc import Callable

import pytest

from bankapi.cli.client import TerminalClient
from bankapi.gateway import caller


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
