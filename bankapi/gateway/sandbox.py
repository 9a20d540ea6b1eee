"""The way of one request in a sandbox: the ordinary way, and then the accidents that were agreed for a number.

They happen when the transaction has ended: an answer that is held back holds its thread and nothing else.
"""

import errno
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from threading import BoundedSemaphore
from typing import Any, Final

from bankapi.gateway import exchange
from bankapi.gateway.exchange import Gateway, SignedAnswer
from bankapi.gateway.journal import where
from bankapi.sandbox import tries
from bankapi.sandbox.contract import SandboxContract
from bankapi.sandbox.tries import Try
from bankapi.storage.engine import STORAGE_ERRORS

LOG: Final = logging.getLogger("bankapi.sandbox")
HEADER: Final = ("Bankapi-Sandbox", "yes")
"""In every HTTP answer of a sandbox."""

LOST_PATH: Final = "/lost"
"""Where nginx closes the client's connection without an answer (`deploy/nginx.conf`); nobody else can ask for it."""

Answer = Callable[[Mapping[str, Any]], SignedAnswer]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class AnswerLost(ConnectionResetError):
    """The caller gets no answer. gunicorn takes it for a client that has gone, and closes the connection."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "the answer is lost, as agreed for the number")


def answering(gateway: Gateway, threads: int) -> Answer:
    """Answers requests in a sandbox. Half of a process's threads, at most, hold an answer back."""
    return partial(_answer, gateway, BoundedSemaphore(max(1, threads // 2)))


def marked(application: Application, *, is_behind_front: bool) -> Application:
    """The application, whose every answer says that it is a sandbox's, and which loses those that are to be lost."""

    def saying_so(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        try:
            return application(environ, lambda status, headers: start_response(status, [*headers, HEADER]))
        except AnswerLost:
            if not is_behind_front:
                raise
            # nginx would answer for us if we hung up; so it is told to hang up itself.
            start_response("200 OK", [("Content-Length", "0"), ("X-Accel-Redirect", LOST_PATH), HEADER])
            return [b""]

    return saying_so


def _answer(gateway: Gateway, room: BoundedSemaphore, environ: Mapping[str, Any]) -> SignedAnswer:
    """AnswerLost when there shall be none."""
    has_room = False

    def may_be_slow() -> bool:
        nonlocal has_room
        has_room = room.acquire(blocking=False)
        return has_room

    contract = SandboxContract(may_be_slow)
    try:
        answer = exchange.answer(replace(gateway, contract=contract), environ)
        after = contract.aftermath
        if after.failed is not None:
            _remember(gateway, after.failed)
        if not answer.is_fault:
            time.sleep(after.late_s)
        if after.is_lost and not answer.is_fault:
            LOG.info("the answer is lost, as agreed for the number")
            raise AnswerLost
        return answer
    finally:
        if has_room:
            room.release()


def _remember(gateway: Gateway, failed: Try) -> None:
    """The fault undid everything, so its try is written down after it."""
    try:
        gateway.store.write(lambda connection: tries.record(connection, failed, gateway.clock()))
    except STORAGE_ERRORS as error:
        LOG.error("a try was not kept", extra={"failure": type(error).__name__, "where": where(error)})
