"""The connection that our own clients keep: mutual TLS, one request after another."""

import http.client
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

TIMEOUT_S: Final = 30
IDLE_MAX_S: Final = 30.0
"""After so long a connection is not used again: a gateway, or a front before it, may be just about to close it."""


@dataclass(frozen=True, slots=True)
class Response:
    """What came back, believed by nobody yet."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Caller:
    """One address. A connection is opened when it is needed, and anew after a failure."""

    def __init__(self, url: str, context: ssl.SSLContext) -> None:
        self._url = urlsplit(url)
        self._context = context
        self._connection: http.client.HTTPSConnection | None = None
        self._used_at = 0.0

    def post(self, body: bytes, headers: Mapping[str, str]) -> Response:
        """POST the bytes. ConnectionError, which names the address, when they, or the answer, may not have arrived."""
        if time.monotonic() - self._used_at > IDLE_MAX_S:
            self.close()
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(
                self._url.hostname or "", self._url.port or 443, timeout=TIMEOUT_S, context=self._context
            )
        try:
            self._connection.request("POST", self._url.path, body, dict(headers))
            response = self._connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            reason = getattr(error, "strerror", None) or error
            raise ConnectionError(f"no answer from {self._url.geturl()}: {reason}") from error
        self._used_at = time.monotonic()
        return Response(response.status, dict(response.getheaders()), answer)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
