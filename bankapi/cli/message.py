"""`bankapi message`: judge, sign and verify message files offline, for integrators and auditors.

Needs no database; a home only for the CA when --ca is not given. Of a message only names of elements are shown.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
from cryptography import x509
from lxml import etree

from bankapi import clock
from bankapi.cli import checking
from bankapi.cli.checking import Judge, Stage
from bankapi.cli.client import answered_digest
from bankapi.cli.output import REFUSED, CommandFailed, json_option, refused, show
from bankapi.evidence.exchanges import request_digest
from bankapi.gateway import envelope as envelopes
from bankapi.gateway import keys
from bankapi.refusals import Refusal
from bankapi.settings import Settings
from bankapi.wsse import frame as frames
from bankapi.wsse import names, signing, verification
from bankapi.wsse.profile import PROFILE_V1
from bankapi.wsse.timestamps import read_timestamp
from bankapi.wsse.trust import CertificateReference, TrustAnchors

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


class _Instant(click.ParamType[datetime]):
    """An ISO 8601 instant with its zone."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            self.fail("is not an instant like 2026-03-01T09:00:00Z", param, ctx)
        if instant.tzinfo is None:
            self.fail("has no zone; end it with Z", param, ctx)
        return instant.astimezone(UTC)


_ca_option = click.option("--ca", type=_FILE, help="The CA certificates, PEM; the home's by default.")
_certificate_option = click.option(
    "--certificate", type=_FILE, help="The signer's certificate, for a message that only names it."
)


@click.group()
def message() -> None:
    """Message files, offline: what is wrong with one, sign one, verify one."""


@message.command()
@click.argument("file", type=_FILE)
@click.option("--at", type=_Instant(), help="Judge it as of this instant; now by default.")
@_ca_option
@_certificate_option
@json_option
@click.pass_obj
def check(
    settings: Settings, file: Path, at: datetime | None, ca: Path | None, certificate: Path | None, as_json: bool
) -> None:
    """Say everything that is wrong with a request, stage by stage, and what to do about it."""
    judge = _judge(settings, at or clock.utc_now(), ca, certificate)
    content = file.read_bytes()
    stages = checking.check(content, judge)
    is_ok = all(stage.is_ok is not False for stage in stages) and any(stage.is_ok for stage in stages)
    if is_ok and judge.trust is not None and not checking.agrees(content, judge):
        raise CommandFailed("every stage holds, and the message does not: please report this")
    _show_stages(stages, is_ok, as_json)
    if not is_ok:
        click.get_current_context().exit(REFUSED)


@message.command()
@click.argument("file", type=_FILE)
@click.option("--certificate", required=True, type=_FILE, help="The terminal's certificate, PEM.")
@click.option("--key", required=True, type=_FILE, help="Its private key, PEM without a password.")
@click.option("--at", type=_Instant(), help="Created of the Timestamp; now by default.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="A file; standard output by default.")
def sign(file: Path, certificate: Path, key: Path, at: datetime | None, output: Path | None) -> None:
    """Sign a request: a file with the element of the Body alone, or with a whole unsigned envelope."""
    try:
        identity = keys.load_identity(certificate, key)
    except ValueError as error:
        raise CommandFailed(str(error)) from error
    payload, headers = _unsigned(file)
    signed = signing.sign_envelope(payload, identity, now=at or clock.utc_now(), headers=headers)
    if output is None:
        click.echo(signed, nl=False)
    else:
        output.write_bytes(signed)


@message.command()
@click.argument("file", type=_FILE)
@click.option("--at", type=_Instant(), help="Judge it as of this instant; its own Created by default.")
@_ca_option
@_certificate_option
@click.option("--signer", type=_FILE, help="PEM: it must be signed by one of these, such as the gateway's you pinned.")
@click.option("--request", type=_FILE, help="The request as it was sent: an answer must be signed as the answer to it.")
@json_option
@click.pass_obj
def verify(
    settings: Settings,
    /,
    file: Path,
    at: datetime | None,
    ca: Path | None,
    certificate: Path | None,
    signer: Path | None,
    request: Path | None,
    as_json: bool,
) -> None:
    """Verify a signed request or answer: who signed it, when, which parts, and, with --request, as the answer to what.

    Without --signer any certificate of the CA will do, which is not enough to believe an answer.
    """
    try:
        tree = envelopes.parse_envelope(file.read_bytes())
        frame = frames.read_frame(tree, PROFILE_V1)
        judge = _judge(settings, at or read_timestamp(frame.timestamp, PROFILE_V1)[0], ca, certificate)
        if judge.trust is None:
            raise click.UsageError("give the CA certificates with --ca")
        found = verification.verify(
            tree, profile=PROFILE_V1, trust=judge.trust, now=judge.at, find_certificate=judge.find_certificate
        )
    except Refusal as refusal:
        stage = Stage("verification", False, refusal.rule, refusal.detail)
        show({"verified": False, **_stage_fields(stage)}, as_json)
        click.get_current_context().exit(REFUSED)
    doubt = None
    if signer is not None and found.certificate not in _certificates(signer):
        doubt = f"signed by another certificate than those of {signer}"
    elif request is not None and answered_digest(found.headers) != request_digest(request.read_bytes()):
        doubt = f"not the answer to {request}"
    if doubt is not None:
        show({"verified": False, "detail": doubt}, as_json)
        click.get_current_context().exit(REFUSED)
    kind = "fault" if found.body.tag == names.FAULT else "message"
    show(
        {
            "verified": True,
            **({"answers_request": True} if request else {}),
            "signer": found.certificate.subject.rfc4514_string(),
            "issuer": found.certificate.issuer.rfc4514_string(),
            "certificate_sha256": found.fingerprint,
            "created_at": found.created_at,
            "expires_at": found.expires_at,
            "judged_at": judge.at,
            kind: etree.QName(found.body).localname,
            "covered": [etree.QName(target).localname for target in frame.targets],
        },
        as_json,
    )


def _certificates(file: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(file.read_bytes())
    except ValueError as error:
        raise CommandFailed(f"a certificate file cannot be used: {error}") from error


def _judge(settings: Settings, at: datetime, ca: Path | None, certificate: Path | None) -> Judge:
    file = ca or (settings.ca_certificate if settings.ca_certificate.exists() else None)
    known = [] if certificate is None else _certificates(certificate)
    try:
        trust: TrustAnchors | None = None if file is None else keys.load_trust(file)
    except ValueError as error:
        raise CommandFailed(f"a certificate file cannot be used: {error}") from error

    def find(reference: CertificateReference) -> x509.Certificate | None:
        return next((each for each in known if reference.names(each)), None)

    return Judge(profile=PROFILE_V1, trust=trust, at=at, find_certificate=find)


def _unsigned(file: Path) -> tuple[etree._Element, list[etree._Element]]:
    """The Body's element and the headers to sign; an old security header is left behind."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(file.read_bytes(), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise refused(f"{file} is no well-formed XML") from error
    if root.tag != names.ENVELOPE:
        return root, []
    bodies = root.findall(names.BODY)
    if len(bodies) != 1 or len(bodies[0]) != 1:
        raise refused(f"{file} has no Body with exactly one element")
    return bodies[0][0], [block for header in root.findall(names.HEADER) for block in header if not _is_security(block)]


def _is_security(block: etree._Element) -> bool:
    return bool(block.tag == names.SECURITY)


def _show_stages(stages: list[Stage], is_ok: bool, as_json: bool) -> None:
    if as_json:
        show({"ok": is_ok, "stages": [_stage_fields(stage) for stage in stages]}, as_json)
        return
    width = max(len(stage.name) for stage in stages)
    for stage in stages:
        verdict = {True: "ok", False: "WRONG", None: "-"}[stage.is_ok]
        what = ": ".join(part for part in (stage.rule and stage.rule.journal_name, stage.detail) if part)
        click.echo(f"{stage.name:<{width}}  {verdict:<5}  {what}".rstrip())
        for violation in stage.violations:
            click.echo(f"{'':<{width}}         {violation.path}  {violation.rule}  {violation.reason}")
        if stage.advice:
            click.echo(f"{'':<{width}}         {stage.advice}")


def _stage_fields(stage: Stage) -> dict[str, Any]:
    return {
        "stage": stage.name,
        "ok": stage.is_ok,
        "rule": stage.rule and stage.rule.journal_name,
        "detail": stage.detail or None,
        "advice": stage.advice,
        "violations": [{"path": each.path, "rule": each.rule, "reason": each.reason} for each in stage.violations],
    }
