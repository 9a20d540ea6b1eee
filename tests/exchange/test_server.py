"""Serving robustly: slow clients, malformed HTTP (RFC 9112), stopping and reloading."""

import contextlib
import math
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gunicorn.http.errors import ParseException

from bankapi.gateway.deadlines import Inbox
from bankapi.gateway.server import ServerOptions
from tests.exchange.serving import BODY_BYTES_MAX, Answer, Home, Server, ask, read_answer, request, serving

DEADLINE_S = 2.0
SLOW_CLIENTS = 50


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def server(home: Home) -> Iterator[Server]:
    with serving(home) as started:
        yield started


@pytest.fixture(scope="module")
def strict(home: Home) -> Iterator[Server]:
    """A server that soon loses its patience."""
    with serving(
        home,
        handshake_deadline_s=DEADLINE_S,
        request_deadline_s=DEADLINE_S,
        answer_deadline_s=DEADLINE_S,
        linger_s=DEADLINE_S,
    ) as started:
        yield started


# Everyday use


def test_many_requests_on_one_connection(server: Server) -> None:
    with server.connect() as connection:
        answers = [ask(connection, request(body=str(n).encode())) for n in range(20)]

    assert [answer.json["body"] for answer in answers] == [str(n) for n in range(20)]
    assert {answer.headers["connection"] for answer in answers} == {"keep-alive"}
    assert {answer.json["nodelay"] for answer in answers} == {1}


def test_the_application_is_made_in_the_worker_that_serves_it(server: Server) -> None:
    answer = server.ask().json

    assert answer["made_in"] == answer["served_in"] != server.process.pid


def test_nothing_is_believed_about_forwarding(server: Server) -> None:
    headers = "X-Forwarded-For: 8.8.8.8\r\nX-Forwarded-Proto: http\r\nScript_Name: /x\r\nForwarded: for=8.8.8.8\r\n"
    answer = server.ask(request(headers=headers)).json

    assert (answer["scheme"], answer["address"]) == ("https", "127.0.0.1")


def test_an_answer_tells_nothing_about_our_software(server: Server) -> None:
    broken = server.ask(request("/broken"))

    assert (broken.status, broken.body) == (500, b"")
    assert not any(character.isdigit() for character in server.ask().headers["server"])
    assert "secret" in server.log


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_a_request_may_come_in_pieces(server: Server, piece: int) -> None:
    chunked = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
    for message in (request(body=b"abcde"), chunked):
        with server.connect() as connection:
            for begin in range(0, len(message), piece):
                connection.sendall(message[begin : begin + piece])
            assert read_answer(connection).json["body"] == "abcde"


def test_requests_sent_ahead_are_answered_in_order(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(b"".join(request(body=body) for body in (b"first", b"second", b"third")))
        assert [read_answer(connection).json["body"] for _ in range(3)] == ["first", "second", "third"]


def test_a_client_that_asks_before_sending_is_told_once_to_go_on(server: Server) -> None:
    with server.connect() as connection:
        head, body = request(body=b"hello", headers="Expect: 100-continue\r\n").split(b"\r\n\r\n")
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_sends_head_and_body_apart_does_not_wait_for_a_delayed_acknowledgement(server: Server) -> None:
    def in_two_writes() -> Answer:
        head, body = request(body=b"x" * 100)[:-100], b"x" * 100
        connection.sendall(head)
        return ask(connection, body)

    with server.connect() as connection:
        seconds = [_seconds(in_two_writes) for _ in range(60)]
    # Linux delays an acknowledgement by 40 ms, though not on a young connection.
    assert min(seconds[40:]) < 0.035


@pytest.mark.parametrize("framing", ["declared", "declared, asking first", "chunked", "endless chunks"])
def test_a_body_that_is_too_long_is_answered_early(server: Server, framing: str) -> None:
    head = "POST / HTTP/1.1\r\nHost: x\r\n"
    message = {
        "declared": f"{head}Content-Length: {BODY_BYTES_MAX + 1}\r\n\r\n",
        "declared, asking first": f"{head}Content-Length: 9999999999\r\nExpect: 100-continue\r\n\r\n",
        "chunked": f"{head}Transfer-Encoding: chunked\r\n\r\nFFFFFFF\r\n{'x' * (BODY_BYTES_MAX + 10)}",
        "endless chunks": f"{head}Transfer-Encoding: chunked\r\n\r\n" + "400\r\n" + f"{'x' * 1024}\r\n400\r\n" * 100,
    }[framing]
    with server.connect() as connection:
        answer = ask(connection, message.encode())

        assert answer.status == 413
        assert connection.recv(1) == b""


# Malformed HTTP

HOST = b"POST / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = HOST + b"Transfer-Encoding: chunked\r\n\r\n"
MALFORMED = {
    "length and chunked": HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": HOST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "the same length twice": HOST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "a list of lengths": HOST + b"Content-Length: 5, 5\r\n\r\nhello",
    "negative length": HOST + b"Content-Length: -1\r\n\r\n",
    "signed length": HOST + b"Content-Length: +5\r\n\r\nhello",
    "hexadecimal length": HOST + b"Content-Length: 0x5\r\n\r\nhello",
    "empty length": HOST + b"Content-Length: \r\n\r\n",
    "other digits": HOST + "Content-Length: ٥\r\n\r\n".encode(),
    "endless length": HOST + b"Content-Length: " + b"9" * 3000 + b"\r\n\r\n",
    "gzip, chunked": HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked, identity": HOST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "identity, chunked": HOST + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
    "identity": HOST + b"Transfer-Encoding: identity\r\n\r\n",
    "chunked twice": HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "quoted coding": HOST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "chunked in 1.0": CHUNKED.replace(b"1.1", b"1.0") + b"0\r\n\r\n",
    "folded header": HOST + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "folded coding": HOST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "space before colon": HOST + b"Content-Length : 5\r\n\r\nhello",
    "space before name": b"POST / HTTP/1.1\r\n Host: x\r\nContent-Length: 0\r\n\r\n",
    "no colon": HOST + b"Content-Length\r\n\r\n",
    "bare LF in the head": b"POST / HTTP/1.1\nHost: x\nContent-Length: 0\n\n",
    "one bare LF": HOST + b"X: y\nContent-Length: 5\r\n\r\nhello",
    "bare CR": HOST + b"X: a\rContent-Length: 5\r\n\r\n",
    "NUL": HOST + b"X: a\x00b\r\n\r\n",
    "bare LF after a chunk size": CHUNKED + b"5\nhello\r\n0\r\n\r\n",
    "bare LF in a chunk extension": CHUNKED + b"5;x\nhello\r\n0\r\n\r\n",
    "chunk without an end": CHUNKED + b"5\r\nhelloXX0\r\n\r\n",
    "negative chunk": CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n",
    "hexadecimal prefix": CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
    "underscore in a chunk size": CHUNKED + b"0_5\r\nhello\r\n0\r\n\r\n",
    "long chunk size": CHUNKED + b"0000000000000005\r\nhello\r\n0\r\n\r\n",
    "bad chunk extension": CHUNKED + b"5;\x01\r\nhello\r\n0\r\n\r\n",
    "length in the trailer": CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/1.2.3": b"GET / HTTP/1.2.3\r\nHost: x\r\n\r\n",
    "PROXY protocol": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + request(),
    "long line": b"POST /" + b"x" * 4000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "long head": HOST + b"X: y\r\n" * 20000,
    "many fields": HOST + b"X: y\r\n" * 100 + b"\r\n",
    "unknown expectation": HOST + b"Expect: a-miracle\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("message", MALFORMED.values(), ids=MALFORMED)
def test_malformed_http_is_refused_and_the_connection_closed(server: Server, message: bytes) -> None:
    with server.connect() as connection:
        with contextlib.suppress(ssl.SSLError, ConnectionError):  # It may hang up before the last byte.
            connection.sendall(message + request(body=b"smuggled"))
        answers = b""
        while received := connection.recv(65536):
            answers += received

    assert answers.startswith((b"HTTP/1.1 4", b"HTTP/1.1 501 "))
    assert answers.count(b"HTTP/1.") == 1
    assert answers.endswith(b"\r\n\r\n"), "the error repeats nothing that was sent"


@pytest.mark.parametrize(
    "message",
    [
        request(body=b"hello"),
        CHUNKED + b"0\r\n\r\n",
        CHUNKED + b"5\r\nhello\r\n05;name=value\r\nhello\r\n000\r\nTrailer: x\r\nOther: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\r\nPOST / HTTP/1.1\r\ncontent-LENGTH:3\r\n\r\nabc",
    ],
)
def test_a_request_is_complete_with_its_last_byte(message: bytes) -> None:
    inbox = Inbox(1000)
    complete = []
    for byte in message:
        inbox.put(bytes([byte]))
        complete.append(inbox.complete())

    assert complete == [False] * (len(message) - 1) + [True]
    assert inbox.take() == message
    assert not inbox.complete()


def test_more_framing_than_content_is_refused() -> None:
    inbox = Inbox(100)
    inbox.put(CHUNKED + (b"1;" + b"x" * 1000 + b"\r\na\r\n") * 50)
    with pytest.raises(ParseException):
        inbox.complete()


# Slow clients

SlowClient = Callable[[Server], socket.socket]
HEAD = HOST + b"Content-Length: 1000\r\n\r\n"


def sending(first: bytes) -> SlowClient:
    def client(server: Server) -> socket.socket:
        connection = server.connect()
        connection.sendall(first)
        return connection

    return client


def sending_raw(first: bytes) -> SlowClient:
    def client(server: Server) -> socket.socket:
        connection = server.connect_tcp()
        connection.sendall(first)
        return connection

    return client


def not_reading(byte_count: int) -> SlowClient:
    def client(server: Server) -> socket.socket:
        connection = server.connect(receive_buffer=4096)
        connection.sendall(request(f"/bytes/{byte_count}"))
        return connection

    return client


def kept_alive_then(first: bytes) -> SlowClient:
    def client(server: Server) -> socket.socket:
        connection = server.connect()
        assert ask(connection).status == 200
        connection.sendall(first)
        return connection

    return client


SLOW: dict[str, tuple[SlowClient, bytes]] = {
    "silent": (sending_raw(b""), b""),
    "one byte of a ClientHello": (sending_raw(b"\x16"), b""),
    "dripping a ClientHello": (sending_raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"), b"\x03"),
    "a handshake, then nothing": (sending(b""), b""),
    "half a head": (sending(HEAD[:20]), b""),
    "dripping a head": (sending(HOST + b"X: "), b"x"),
    "half a body": (sending(HEAD + b"x"), b""),
    "dripping a body": (sending(HEAD), b"x"),
    "dripping chunks": (sending(CHUNKED), b"1\r\nx\r\n"),
    "dripping a second request": (kept_alive_then(HEAD), b"x"),
    "never reading": (not_reading(4_000_000), b""),
}


@pytest.mark.parametrize("kind", SLOW)
def test_slow_clients_hold_nobody_up(strict: Server, kind: str) -> None:
    begin, drop = SLOW[kind]
    slow = [begin(strict) for _ in range(SLOW_CLIENTS)]
    begun_at = time.monotonic()
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(DEADLINE_S / 5):
            for connection in slow:
                with contextlib.suppress(OSError):
                    connection.send(drop)

    dripping = threading.Thread(target=drip)
    if drop:
        dripping.start()
    latencies = sorted(_seconds(strict.ask) for _ in range(40))
    try:
        time.sleep(max(0.0, begun_at + DEADLINE_S + 1.1 - time.monotonic()))
        for connection in slow:
            _await_close(connection, within_s=5.0)
    finally:
        stop.set()
        if drop:
            dripping.join()
        for connection in slow:
            connection.close()

    assert latencies[37] < DEADLINE_S, "the 95th percentile of everybody else"
    assert strict.ask().status == 200


def _seconds(call: Callable[[], Answer]) -> float:
    begun_at = time.perf_counter()
    try:
        assert call().status == 200
    except (ConnectionError, ssl.SSLError):  # This machine stood still for longer than the deadline.
        return math.inf
    return time.perf_counter() - begun_at


def _await_close(connection: socket.socket, within_s: float) -> None:
    connection.settimeout(within_s)
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while connection.recv(65536):
            pass


def test_a_client_that_drips_through_a_long_answer_is_cut_off(strict: Server) -> None:
    with strict.connect(receive_buffer=4096) as connection:
        connection.sendall(request("/bytes/50000000"))
        begun_at, read = time.monotonic(), 0
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while received := connection.recv(1000):
                read += len(received)
                time.sleep(0.001)
                assert time.monotonic() - begun_at < 15
    assert read < 50_000_000


def test_when_connections_run_out_a_stranger_gives_way(home: Home) -> None:
    with serving(home, connections=30, handshake_deadline_s=20.0) as server:
        strangers = [server.connect_tcp() for _ in range(100)]
        latencies = [_seconds(server.ask) for _ in range(10)]
        for stranger in strangers:
            stranger.close()
    assert max(latencies) < 5


# Starting, stopping, reloading


def test_the_answers_in_flight_are_finished_before_stopping(home: Home) -> None:
    with serving(home, workers=2) as server:
        context = home.client_context()
        connections = [server.connect(context) for _ in range(8)]
        for connection in connections[:4]:
            connection.sendall(request("/sleep/1"))
        for connection in connections[4:]:
            connection.sendall(request("/sleep/1", b"whole")[:-2])
        time.sleep(0.3)
        server.signal(signal.SIGTERM)
        time.sleep(0.3)
        for connection in connections[4:]:
            connection.sendall(b"le")
        assert [read_answer(connection).status for connection in connections] == [200] * 8
        assert server.process.wait(15) == 0
        with pytest.raises(ConnectionError):
            server.connect_tcp()


def test_a_reload_drops_no_request(home: Home) -> None:
    with serving(home, workers=2) as server:
        stop = threading.Event()
        served_by: list[set[int]] = [set() for _ in range(4)]
        failures: list[BaseException] = []

        def client(pids: set[int]) -> None:
            try:
                context = home.client_context()
                while not stop.is_set():
                    with server.connect(context) as connection:
                        for _ in range(10):
                            answer = ask(connection)
                            pids.add(answer.json["served_in"])
                            if answer.headers["connection"] == "close":
                                break
            except Exception as error:
                failures.append(error)

        clients = [threading.Thread(target=client, args=[pids]) for pids in served_by]
        for each in clients:
            each.start()
        time.sleep(0.5)
        before = set().union(*served_by)
        for pids in served_by:
            pids.clear()
        server.signal(signal.SIGHUP)
        time.sleep(3.5)
        for pids in served_by:
            pids.clear()
        time.sleep(0.5)
        stop.set()
        for each in clients:
            each.join()

        assert failures == []
        assert not before & set().union(*served_by), "the old workers serve no more"


def test_an_application_that_cannot_be_made_ends_the_server(home: Home) -> None:
    with pytest.raises(AssertionError, match="the database is not there"), serving(home, fail=True):
        pass


def test_the_files_must_be_there(tmp_path: Path, home: Home) -> None:
    with pytest.raises(AssertionError, match="No such file"), serving(home, crl=str(tmp_path / "absent")):
        pass


@pytest.mark.parametrize(
    "wrong", [{"workers": 0}, {"request_deadline_s": -1.0}, {"connections": 8}, {"graceful_timeout_s": 5}]
)
def test_incoherent_options_are_refused(wrong: dict[str, int]) -> None:
    files = {name: Path(os.devnull) for name in ("certificate", "key", "client_ca")}
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ServerOptions(bind="127.0.0.1:0", **files, **wrong)
