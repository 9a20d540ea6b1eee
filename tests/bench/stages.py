"""Where the time of one request goes: every stage of `gateway/exchange` timed in one process, without HTTP."""

import io
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from bankapi.cli.authority import new_rsa_key
from bankapi.cli.client import TerminalClient
from bankapi.evidence import exchanges
from bankapi.gateway import admission, envelope, exchange, keys, tls, wsgi
from bankapi.settings import Settings
from bankapi.wsse import signing, verification
from bankapi.wsse.trust import fingerprint


def measure(settings: Settings, terminal: str, messages: Sequence[bytes], action: str) -> dict[str, float]:
    """Mean microseconds per stage; `commit and rest` is what no stage claims."""
    gateway = wsgi.create_gateway(settings)
    certificate = keys.load_certificate(settings.terminal_file(terminal, "cert.pem"))
    identity = tls.TLSIdentity(fingerprint(certificate), terminal, "TLSv1.3")
    spent: Counter[str] = Counter()
    stages: list[tuple[Any, str, str]] = [
        (envelope, "receive", "receive"),
        (envelope, "parse", "parse"),
        (type(gateway.conformity), "check", "check (XSD)"),
        (verification, "verify", "verify (signature)"),
        (admission, "admit", "admit"),
        (type(gateway.contract), "dispatch", "perform (Spyne and ledger)"),
        (signing, "sign_envelope", "sign"),
        (exchanges, "append", "append (evidence)"),
    ]
    originals = [(owner, name, getattr(owner, name)) for owner, name, _ in stages] + [(tls, "identify", tls.identify)]
    try:
        for owner, name, stage in stages:
            setattr(owner, name, _timed(getattr(owner, name), stage, spent))
        tls.identify = lambda _: identity  # there is no socket here
        begun = time.perf_counter()
        for message in messages:
            answer = exchange.answer(gateway, _environ(message, action))
            assert not answer.is_fault, answer.body
        total = time.perf_counter() - begun
    finally:
        for owner, name, original in originals:
            setattr(owner, name, original)
        gateway.store.close()
    costs = {stage: spent[stage] / len(messages) * 1e6 for _, _, stage in stages}
    return {**costs, "commit and rest": total / len(messages) * 1e6 - sum(costs.values())}


def rsa_signature_us() -> float:
    """What one private-key operation costs here and now: a yardstick that does not depend on the machine's speed."""
    key = new_rsa_key()
    begun = time.perf_counter()
    for _ in range(200):
        key.sign(b"", padding.PKCS1v15(), hashes.SHA256())
    return (time.perf_counter() - begun) / 200 * 1e6


def _timed(function: Callable[..., Any], stage: str, spent: Counter[str]) -> Callable[..., Any]:
    def timed(*arguments: Any, **named: Any) -> Any:
        begun = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            spent[stage] += time.perf_counter() - begun

    return timed


def _environ(message: bytes, action: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": "text/xml; charset=utf-8",
        "CONTENT_LENGTH": str(len(message)),
        "HTTP_SOAPACTION": f'"{action}"',
        "wsgi.input": io.BytesIO(message),
    }


def signed_payments(client: TerminalClient, prefix: str, count: int) -> list[bytes]:
    """So many different RegisterPayment requests over all payable demo customers."""
    from bankapi.cli.documents import Amount

    return [
        client.sign(
            "RegisterPayment",
            [
                ("Reference", f"{prefix}-{n}"),
                ("Payer", [("Msisdn", f"791600000{n % 17 + 1:02d}")]),
                ("Amount", Amount("10.00", "RUB")),
                ("PaidAt", "2026-01-01T12:00:00Z"),
            ],
        )
        for n in range(count)
    ]
