"""The monitoring port has room for few clients, and none of them can keep it."""

import socket
import threading
import urllib.request
from collections.abc import Iterator
from typing import Any, cast

import pytest

from bankapi.monitoring import listener
from bankapi.monitoring.listener import CLIENTS_MAX, Listener
from tests.running import wait_until


class Failing:
    """A monitor that works for one address only."""

    def answer(self, path: str, accept: str) -> listener.Answer:
        if path == "/health":
            return 200, "application/json", b"{}"
        raise RuntimeError("a secret of ours")


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(listener._Handler, "timeout", 0.5)
    answering = Listener(listener.listen("127.0.0.1", 0), cast(Any, Failing()))
    thread = threading.Thread(target=answering.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield answering.server_address[1]
    answering.shutdown()
    answering.server_close()
    thread.join()


def is_answered(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def test_clients_that_say_nothing_take_the_room_for_a_moment_only(port: int) -> None:
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(CLIENTS_MAX)]
    wait_until(lambda: is_answered(port))
    for connection in silent:
        connection.close()
    wait_until(lambda: is_answered(port))


def test_a_look_that_fails_tells_nothing_of_it(port: int, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"GET /ready HTTP/1.0\r\n\r\n")
        received = b"".join(iter(lambda: connection.recv(4096), b""))
    assert received.startswith(b"HTTP/1.0 500 ")
    assert b"secret" not in received
    assert b"Python" not in received
    assert "secret" not in caplog.text
    assert is_answered(port)
