"""The WSGI application: three addresses, one of which is the service, and doors to what others serve (PEP 3333)."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from importlib import resources
from typing import Any, Final

from bankapi import clock
from bankapi.contract import publication
from bankapi.contract.application import Contract
from bankapi.evidence import sealing
from bankapi.evidence.sealing import NewestCheckpoint
from bankapi.gateway import exchange, faults, keys, sandbox
from bankapi.gateway.conformity import Conformity
from bankapi.gateway.exchange import Gateway
from bankapi.gateway.journal import where
from bankapi.monitoring.lateness import Lateness
from bankapi.monitoring.watch import Observer
from bankapi.notices import outbox
from bankapi.sandbox import installation
from bankapi.settings import TLS, Settings
from bankapi.storage.engine import STORAGE_ERRORS, Store
from bankapi.wsse.profile import PROFILE_V1
from bankapi.wsse.signing import SigningIdentity

LOG: Final = logging.getLogger("bankapi.gateway")

StartResponse = Callable[[str, list[tuple[str, str]]], Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]
XML: Final = "text/xml; charset=utf-8"


@dataclass(frozen=True, slots=True)
class DoorAnswer:
    """A document with its HTTP status, and header fields beside the usual ones."""

    status: str
    body: bytes
    headers: Mapping[str, str]
    content_type: str = XML


Door = Callable[[Mapping[str, Any]], DoorAnswer]
"""Answers the requests of one method at one address: those of another protocol, or of people."""
Doors = Mapping[tuple[str, str], Door]
"""(method, path) → door. Where there is one for GET, HEAD is answered too."""
OpenDoors = Callable[[Gateway], Doors]

SOAP_PATH: Final = "/soap/v1"
_PUBLISHED: Final = {
    "/schemas/bankapi-v1.xsd": ("bankapi.schemas", "bankapi-v1.xsd"),
    "/schemas/bankapi-register-v1.xsd": ("bankapi.schemas", "bankapi-register-v1.xsd"),
    "/wsdl/bankapi-v1.wsdl": ("bankapi.wsdl", "bankapi-v1.wsdl"),
}


def create_gateway(settings: Settings) -> Gateway:
    """Everything an exchange needs, from an installation's files. Call it after the fork.

    WrongInstallation when its home is a sandbox's and its database is not, or the other way round.
    """
    identity = keys.load_identity(settings.gateway_file("signing-cert.pem"), settings.gateway_file("signing-key.pem"))
    store = Store(settings.database_url, settings.storage)
    _remember_signer(settings, store, identity)
    return Gateway(
        contract=Contract(),
        conformity=Conformity(),
        profile=PROFILE_V1,
        trust=keys.load_trust(settings.ca_certificate),
        identity=identity,
        store=store,
        clock=clock.utc_now,
        checkpoints=NewestCheckpoint(store),
        outbox=None if installation.is_sandbox(settings) else outbox.of(settings),
        patience_s=settings.gateway.patience_s,
        observer=_observer(settings, store),
    )


def _remember_signer(settings: Settings, store: Store, identity: SigningIdentity) -> None:
    """Keep the signing certificate, now or, while there is no database, with the next checkpoint.

    A database that is not this installation's is not written to.

    A worker process that cannot start ends the whole gateway (gunicorn's arbiter halts), and with it those that go on
    answering; this one can say TEMPORARILY_UNAVAILABLE, too.
    """
    try:
        installation.require_agreement(settings, store)
        sealing.remember_signer(store, identity, clock.utc_now())
    except STORAGE_ERRORS as error:
        LOG.error("started without a database", extra={"failure": type(error).__name__, "where": where(error)})


def _observer(settings: Settings, store: Store) -> Observer:
    slow_s = settings.monitoring.slow_request_ms / 1000
    late = timedelta(seconds=settings.monitoring.late_s)
    lateness = Lateness(store, clock.utc_now, slow_s=slow_s, late=late, has_notices=bool(settings.sms.host))
    return Observer(store, lateness, slow_s=slow_s)


def create_application(settings: Settings, open_doors: OpenDoors = lambda gateway: {}) -> Application:
    """The application of one worker process. Doors are opened here, so that this package knows none of them."""
    gateway = create_gateway(settings)
    is_sandbox = installation.is_sandbox(settings)
    answered = sandbox.answering(gateway, settings.gateway.threads) if is_sandbox else partial(exchange.answer, gateway)
    doors = open_doors(gateway)
    published = {
        path: resources.files(package).joinpath(name).read_bytes() for path, (package, name) in _PUBLISHED.items()
    }
    wsdl = publication.served_wsdl(settings.gateway.url)

    def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if path == SOAP_PATH and method == "POST":
            answer = answered(environ)
            return _send(start_response, faults.HTTP_STATUS if answer.is_fault else "200 OK", answer.body)
        asked = "GET" if method == "HEAD" else method  # the server leaves the body out (RFC 9110, 9.3.2)
        if (asked, path) in doors:
            found = doors[asked, path](environ)
            return _send(start_response, found.status, found.body, found.headers, found.content_type)
        is_wsdl = path == SOAP_PATH and environ.get("QUERY_STRING", "").lower() == "wsdl"
        document = wsdl if is_wsdl else published.get(path)
        if document is not None and asked == "GET":
            return _send(start_response, "200 OK", document)
        allowed = {known for known, door in doors if door == path}
        allowed |= {"POST"} if path == SOAP_PATH else set()
        allowed |= set() if document is None else {"GET"}
        if not allowed:
            return _send(start_response, "404 Not Found", b"")
        return _send(start_response, "405 Method Not Allowed", b"", {"Allow": _allow(allowed)})

    if is_sandbox:
        return sandbox.marked(application, is_behind_front=settings.gateway.listen != TLS)
    return application


def _allow(methods: set[str]) -> str:
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


def _send(
    start_response: StartResponse,
    status: str,
    body: bytes,
    headers: Mapping[str, str] | None = None,
    content_type: str = XML,
) -> Iterable[bytes]:
    start_response(
        status,
        [
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            *(headers or {}).items(),
        ],
    )
    return [body]
