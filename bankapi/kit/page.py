"""The page for people at `GET /`: who may read it, and what else is served with it.

Whoever holds a registered certificate may read it, a terminal's or a channel's: it is looked up as on every request,
and whoever is blocked or revoked gets a 403 that says no more than that. The page names nobody but its reader, and
says of our state what Ping says. It is plain HTML with one style sheet: no script, no picture, nothing from elsewhere,
and its policy (CSP level 3) forbids them all.
"""

import logging
from collections.abc import Mapping
from datetime import datetime
from functools import cache, partial
from importlib import resources
from typing import Any, Final

from sqlalchemy import Connection

from bankapi.billing import holders
from bankapi.billing.holders import Holder
from bankapi.billing.terminals import AccessStatus
from bankapi.gateway import admission, deadlines, tls
from bankapi.gateway.exchange import Gateway
from bankapi.gateway.tls import TLSIdentity
from bankapi.gateway.wsgi import DoorAnswer, Doors
from bankapi.kit import page_content, page_files
from bankapi.kit.page_markup import STYLE_PATH
from bankapi.kit.page_reference import TYPES_PATH
from bankapi.monitoring import readiness
from bankapi.monitoring.looks import Look
from bankapi.operations.ping import ServiceState
from bankapi.refusals import Refusal, Rule
from bankapi.sandbox import installation
from bankapi.settings import Settings
from bankapi.storage.engine import STORAGE_ERRORS

journal: Final = logging.getLogger("bankapi.journal")

PATH: Final = "/"
HTML: Final = "text/html; charset=utf-8"
POLICY: Final = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def doors(settings: Settings, gateway: Gateway) -> Doors:
    """The page, and everything it links to that the gateway does not serve already."""
    is_sandbox = installation.is_sandbox(settings)
    ask = partial(gateway.store.write, readiness.may_write)
    may_write = Look("page", ask, life_s=readiness.LIFE_S, wait_s=readiness.WAIT_S)
    return {
        ("GET", PATH): partial(_page, settings, gateway, is_sandbox, may_write),
        ("GET", TYPES_PATH): lambda environ: _types(),
        ("GET", STYLE_PATH): lambda environ: page_files.served(_style(), "text/css; charset=utf-8"),
        **page_files.doors(settings),
    }


def _page(
    settings: Settings, gateway: Gateway, is_sandbox: bool, may_write: Look[bool], environ: Mapping[str, Any]
) -> DoorAnswer:
    if deadlines.waited_s(environ) > gateway.patience_s:  # payments come first
        return _not_now(gateway, ServiceState.DEGRADED)
    try:
        peer = tls.identify(environ)
        with gateway.store.read() as connection:
            holder = _admit(connection, peer, gateway.clock())
    except Refusal as refusal:
        return _forbidden(refusal, environ)
    except STORAGE_ERRORS:
        return _not_now(gateway, ServiceState.UNAVAILABLE)
    page = page_content.page(
        settings,
        holder,
        _state(gateway, may_write),
        now=gateway.clock(),
        contract_version=gateway.contract.version,
        is_sandbox=is_sandbox,
    )
    return _answer("200 OK", page)


def _admit(connection: Connection, peer: TLSIdentity, now: datetime) -> Holder:
    """Who reads the page. Refuses a certificate that could not send a request either (`gateway/admission`)."""
    holder = holders.find_holder(connection, peer.fingerprint)
    if holder is None:
        raise Refusal(Rule.TLS_CERTIFICATE_UNKNOWN)
    admission.refuse_unusable(holder.certificate, now)
    if holder.terminal_status not in (None, AccessStatus.ACTIVE):
        raise Refusal(Rule.ADMISSION_TERMINAL_BLOCKED)
    if holder.dealer_status is not AccessStatus.ACTIVE:
        raise Refusal(Rule.ADMISSION_DEALER_BLOCKED)
    return holder


def _state(gateway: Gateway, may_write: Look[bool]) -> ServiceState:
    """What Ping would say, without writing: the transaction has the turn of a payment, and commits nothing.

    A process asks once a second at most, and nobody waits long: however often the page is read, and while the database
    hangs, payments keep their turns and their threads.
    """
    if not may_write.newest():
        return ServiceState.UNAVAILABLE
    return ServiceState.DEGRADED if gateway.observer.lateness.is_late() else ServiceState.AVAILABLE


def _types() -> DoorAnswer:
    return _answer("200 OK", page_content.types())


def _forbidden(refusal: Refusal, environ: Mapping[str, Any]) -> DoorAnswer:
    """One answer for all reasons, as for messages: the operator finds the rule in the journal."""
    has_certificate = refusal.rule is not Rule.TLS_NO_CERTIFICATE
    fingerprint = tls.identify(environ).fingerprint.hex() if has_certificate else None
    journal.warning("page refused", extra={"rule": refusal.rule.journal_name, "tls_fingerprint": fingerprint})
    return _answer("403 Forbidden", page_content.forbidden(fingerprint))


def _not_now(gateway: Gateway, state: ServiceState) -> DoorAnswer:
    """Who asks was not looked up, so nothing else is said."""
    return _answer("503 Service Unavailable", page_content.not_now(state, gateway.clock()), {"Retry-After": "5"})


def _answer(status: str, page: bytes, headers: Mapping[str, str] | None = None) -> DoorAnswer:
    return DoorAnswer(status, page, _HEADERS | dict(headers or {}), HTML)


@cache
def _style() -> bytes:
    return resources.files("bankapi.kit").joinpath("page.css").read_bytes()
