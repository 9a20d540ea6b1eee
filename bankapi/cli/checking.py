"""What is wrong with a message, stage by stage, as far as each can be judged without the others.

The gateway stops at the first rule that is broken and tells nobody; an integrator wants all of them. Nothing of the
message but names of elements is ever shown.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from lxml import etree

from bankapi.cli.advice import ADVICE
from bankapi.gateway import envelope as envelopes
from bankapi.gateway.conformity import Conformity
from bankapi.gateway.envelope import ParsedEnvelope, ReceivedMessage
from bankapi.refusals import Refusal, Rule, SchemaViolation
from bankapi.wsse import names, verification
from bankapi.wsse.frame import SecurityFrame, base64_value, inclusive_prefixes, read_frame
from bankapi.wsse.profile import SecurityProfile
from bankapi.wsse.signatures import signed_elements
from bankapi.wsse.timestamps import check_timestamp, read_timestamp
from bankapi.wsse.tokens import signing_certificate
from bankapi.wsse.trust import FindCertificate, TrustAnchors

DOCUMENT: Final = "document"
ENVELOPE: Final = "envelope"
SCHEMA: Final = "schema"
SECURITY_HEADER: Final = "security header"
CERTIFICATE: Final = "certificate"
SIGNATURE: Final = "signature"
TIMESTAMP: Final = "timestamp"
STAGES: Final = (DOCUMENT, ENVELOPE, SCHEMA, SECURITY_HEADER, CERTIFICATE, SIGNATURE, TIMESTAMP)


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage's verdict; `is_ok` is None when it could not be judged, and `detail` says why."""

    name: str
    is_ok: bool | None
    rule: Rule | None = None
    detail: str = ""
    violations: tuple[SchemaViolation, ...] = ()

    @property
    def advice(self) -> str | None:
        return None if self.rule is None else ADVICE[self.rule]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """By what a message is judged."""

    profile: SecurityProfile
    trust: TrustAnchors | None
    """None: nobody's certificate is asked for."""
    at: datetime
    find_certificate: FindCertificate


def check(message: bytes, judge: Judge) -> list[Stage]:
    """All stages of one request."""
    stages = list(_stages(message, judge))
    reached = {stage.name for stage in stages}
    missing = [Stage(name, None, detail="an earlier stage must hold first") for name in STAGES if name not in reached]
    return sorted([*stages, *missing], key=lambda stage: STAGES.index(stage.name))


def _stages(message: bytes, judge: Judge) -> Iterator[Stage]:
    stage, tree = _tried(DOCUMENT, lambda: envelopes.parse_envelope(message))
    yield stage
    if tree is None:
        return
    stage, parsed = _tried(ENVELOPE, lambda: envelopes.parse(ReceivedMessage(message, "text/xml", "", None)))
    yield stage
    if parsed is not None:
        yield _schema(parsed)
    stage, frame = _tried(SECURITY_HEADER, lambda: read_frame(tree, judge.profile))
    yield stage
    yield _timestamp(tree, frame, judge)
    if frame is not None:
        yield from _signer(tree, frame, judge)


def _schema(parsed: ParsedEnvelope) -> Stage:
    return _tried(SCHEMA, lambda: Conformity().check(parsed))[0]


def _timestamp(tree: etree._Element, frame: SecurityFrame | None, judge: Judge) -> Stage:
    """Also when the rest of the security header is wrong, if there is exactly one."""
    found = [frame.timestamp] if frame is not None else list(tree[0].iter(names.TIMESTAMP))
    if len(found) != 1:
        return Stage(TIMESTAMP, None, detail=f"there are {len(found)} in the header")

    def judged() -> None:
        created_at, expires_at = read_timestamp(found[0], judge.profile)
        check_timestamp(created_at, expires_at, judge.profile, judge.at)

    return _tried(TIMESTAMP, judged)[0]


def _signer(tree: etree._Element, frame: SecurityFrame, judge: Judge) -> Iterator[Stage]:
    stage, certificate = _tried(CERTIFICATE, lambda: signing_certificate(frame, judge.profile, judge.find_certificate))
    if certificate is None:
        yield stage
        return
    trust = judge.trust
    if trust is None:
        yield Stage(CERTIFICATE, None, detail="readable, but no CA was given to judge it by")
    else:
        yield _tried(CERTIFICATE, lambda: trust.check(certificate, profile=judge.profile, now=judge.at))[0]
    stage = _tried(SIGNATURE, lambda: _verified(frame, certificate, judge))[0]
    if stage.rule is Rule.WSSE_SIGNATURE_INVALID:
        changed = changed_parts(frame)
        what = f"changed after signing: {', '.join(changed)}" if changed else "not made by the key of this certificate"
        stage = Stage(SIGNATURE, False, stage.rule, what)
    yield stage


def _verified(frame: SecurityFrame, certificate: x509.Certificate, judge: Judge) -> None:
    is_ec = isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    if (frame.signature_algorithm == names.ECDSA_SHA256) != is_ec:
        raise Refusal(Rule.WSSE_SIGNATURE_ALGORITHM, "of another key type than the certificate's")
    # Whether the certificate is valid now is its own stage: here it is a time when it was.
    at = min(max(judge.at, certificate.not_valid_before_utc), certificate.not_valid_after_utc)
    signed_elements(frame, certificate, at)


def changed_parts(frame: SecurityFrame) -> list[str]:
    """Names of the parts whose digest is not the one that was signed."""
    changed = []
    for reference in frame.signature.iter(names.REFERENCE):
        target = frame.targets_by_uri[reference.get("URI", "")]
        prefixes = inclusive_prefixes(reference[0][-1])
        canonical = etree.tostring(
            target, method="c14n", exclusive=True, with_comments=False, with_tail=False, inclusive_ns_prefixes=prefixes
        )
        if sha256(canonical).digest() != base64_value(reference[2], Rule.WSSE_SIGNATURE_FORM, bytes_max=32):
            changed.append(etree.QName(target).localname)
    return changed


def agrees(message: bytes, judge: Judge) -> bool:
    """The gateway's own verdict on the security of a message that passed every stage."""
    assert judge.trust is not None
    try:
        verification.verify(
            envelopes.parse_envelope(message),
            profile=judge.profile,
            trust=judge.trust,
            now=judge.at,
            find_certificate=judge.find_certificate,
        )
    except Refusal:
        return False
    return True


def _tried(name: str, stage: Callable[[], Any]) -> tuple[Stage, Any]:
    try:
        return Stage(name, True), stage()
    except Refusal as refusal:
        return Stage(name, False, refusal.rule, refusal.detail, refusal.violations), None
