"""`bankapi audit`: verify the journal and the books, sign and compare checkpoints, export proofs."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
from cryptography import x509
from sqlalchemy import Connection

from bankapi import clock
from bankapi.cli.administration import opened, require_installation
from bankapi.cli.output import REFUSED, CommandFailed, json_option, refused, show
from bankapi.evidence import archive, checkpoints, export, sealing, witness
from bankapi.evidence import audit as auditing
from bankapi.evidence.audit import Progress, Terms
from bankapi.evidence.checkpoints import Checkpoint, CheckpointError
from bankapi.evidence.export import ExportRefused, Sources
from bankapi.evidence.findings import Report
from bankapi.evidence.witness import WitnessRefused
from bankapi.gateway import keys
from bankapi.settings import Settings
from bankapi.wsse.profile import PROFILE_V1

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_DAY: Final = click.DateTime(["%Y-%m-%d"])


@click.group()
def audit() -> None:
    """The evidence: verify it, sign its head, and hand out proofs."""


@audit.command()
@click.option("--from", "since", metavar="SIZE|FILE", help="Signatures of the exchanges before it were verified.")
@click.option("--checkpoint", "witnessed", multiple=True, type=_FILE, help="A checkpoint that a witness kept.")
@click.option("--certificate", "extra", multiple=True, type=_FILE, help="A signing certificate the journal lacks.")
@click.option("--strict", is_flag=True, help="What is not sealed yet, or in an archive, is a finding, too.")
@json_option
@click.pass_obj
def verify(
    settings: Settings,
    /,
    since: str | None,
    witnessed: tuple[Path, ...],
    extra: tuple[Path, ...],
    strict: bool,
    as_json: bool,
) -> None:
    """Verify everything that is kept: tree, checkpoints, signatures, payments and ledger.

    Exit code 0 when it is sound, 1 when there are findings. The books go on meanwhile.
    """
    require_installation(settings)
    given = _checkpoints(witnessed)
    older = _size_or_checkpoint(since)
    terms = Terms(
        authorities=_authorities(settings),
        profile=PROFILE_V1,
        now=clock.utc_now(),
        certificates=[certificate for file in extra for certificate in _certificates(file)],
        checkpoints=[*given, *([older] if isinstance(older, Checkpoint) else [])],
        from_size=older.size if isinstance(older, Checkpoint) else older or 0,
        is_strict=strict,
    )
    begun = time.monotonic()
    with opened(settings) as store, _progress("exchanges", as_json) as progress:
        report = auditing.verify(store, terms, progress)
    _show_report(report, time.monotonic() - begun, as_json)
    if not report.is_sound:
        click.get_current_context().exit(REFUSED)


@audit.command()
@click.option("--since", metavar="SIZE|FILE", help="Prove that it continues this older checkpoint.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write it to a file.")
@click.pass_obj
def checkpoint(settings: Settings, since: str | None, output: Path | None) -> None:
    """Print the newest checkpoint, with a proof that it continues an older one.

    The text is the signed note; with --since an empty line, `bankapi-consistency-v1 SIZE` and the hashes of the
    proof (RFC 9162 section 2.1.4.1), one per line in base64. `bankapi audit witness` reads it.
    """
    older = _size_or_checkpoint(since)
    old_size = older.size if isinstance(older, Checkpoint) else older
    with opened(settings) as store, store.read() as connection:
        newest = _newest(connection)
        try:
            text = witness.attest(connection, newest, old_size).text()
        except WitnessRefused as error:
            raise refused(str(error)) from error
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8", newline="")
        click.echo(f"wrote the checkpoint of size {newest.size} to {output}")


@audit.command()
@json_option
@click.pass_obj
def seal(settings: Settings, as_json: bool) -> None:
    """Seal what was committed and sign a checkpoint, now. `bankapi worker` does so all the time."""
    with opened(settings) as store:
        identity = keys.load_identity(
            settings.gateway_file("signing-cert.pem"), settings.gateway_file("signing-key.pem")
        )
        sealed = sealing.seal(store)
        signed = sealing.sign_checkpoint(store, settings.evidence.origin, identity, clock.utc_now())
    show({"sealed": sealed, **({} if signed is None else _fields(signed))}, as_json)


@audit.command("witness")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.argument("file", type=_FILE)
@click.option("--certificate", required=True, type=_FILE, help="The gateway's signing certificates, PEM.")
@json_option
def witness_(folder: Path, file: Path, certificate: Path, as_json: bool) -> None:
    """For a bank: verify a checkpoint and that it continues the last one kept in FOLDER, then keep it.

    Exit code 1 when it is refused: a fork, a rollback, a bad signature, or no proof that it continues the last one.
    Needs no database and no home.
    """
    try:
        attestation = witness.parse(file.read_bytes().decode("utf-8"))
        kept = witness.last_kept(folder)
        witness.accept(attestation, kept, _certificates(certificate))
    except (WitnessRefused, CheckpointError, UnicodeDecodeError) as error:
        what = error if isinstance(error, WitnessRefused) else "not a checkpoint"
        raise refused(f"{file}: {what}") from error
    stored = witness.keep(folder, attestation.checkpoint)
    show({**_fields(attestation.checkpoint), "continues": kept and kept.size, "file": stored}, as_json)


@audit.command("export")
@click.option("--payment", "payment_id", help="The gateway's payment id.")
@click.option("--reference", help="The caller's reference, with --dealer.")
@click.option("--dealer", help="Whose payments.")
@click.option("--from", "first", type=_DAY, help="First business day, with --to and --dealer.")
@click.option("--to", "last", type=_DAY, help="Last business day.")
@click.option("--archive", "archives", multiple=True, type=_FILE, help="A file that old messages were moved to.")
@click.option("--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="A folder.")
@json_option
@click.pass_obj
def export_(
    settings: Settings,
    /,
    archives: tuple[Path, ...],
    output: Path,
    as_json: bool,
    **asked: Any,
) -> None:
    """Write a folder per payment that anybody can verify with xmlsec1 and openssl alone."""
    require_installation(settings)
    which = _asked(**asked)
    sources = Sources(_authorities(settings), PROFILE_V1, archives)
    folders = []
    with opened(settings) as store, store.read() as connection:
        for payment in export.find(connection, **which):
            folder = output / payment.payment_id
            try:
                export.export(connection, payment, sources, folder)
            except ExportRefused as error:
                raise refused(f"payment {payment.payment_id}: {error}") from error
            except FileExistsError as error:
                raise refused(f"{folder} exists already") from error
            folders.append(str(folder))
    if not folders:
        raise refused("there is no such payment")
    show({"payments": len(folders), "folders": folders}, as_json)


def _asked(
    payment_id: str | None, reference: str | None, dealer: str | None, first: datetime | None, last: datetime | None
) -> dict[str, Any]:
    """Which payments: exactly one of the three ways to say it."""
    if payment_id is not None and not any((reference, dealer, first, last)):
        return {"payment_id": payment_id}
    if dealer is not None and payment_id is None:
        if reference is not None and not any((first, last)):
            return {"dealer": dealer, "reference": reference}
        if reference is None and first is not None and last is not None:
            return {"dealer": dealer, "days": (first.date(), last.date())}
    raise click.UsageError("give --payment, or --reference with --dealer, or --from and --to with --dealer")


def _show_report(report: Report, seconds: float, as_json: bool) -> None:
    per_exchange = seconds / max(report.exchanges, 1) * 1e6
    counts: dict[str, Any] = {
        name: getattr(report, name)
        for name in (
            *("exchanges", "examined", "unsealed", "archived", "tree_size", "checkpoints"),
            *("payments", "cancellations"),
        )
    }
    found = [{"kind": each.kind, "place": each.place, "what": each.what} for each in report.findings]
    total = sum(report.count_by_kind.values())
    fields = {"sound": report.is_sound, **counts, "findings_total": total, "findings": found}
    if as_json:
        show({**fields, "microseconds_per_exchange": round(per_exchange)}, as_json)
        return
    show(fields, as_json)
    click.echo(f"\n{report.exchanges} exchanges, {per_exchange:.0f} µs each")


@contextmanager
def _progress(label: str, as_json: bool) -> Iterator[Progress]:
    """A bar when somebody is looking."""
    if as_json or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    with click.progressbar(length=0, label=label, file=sys.stderr, update_min_steps=100) as bar:

        def progress(done: int, total: int) -> None:
            bar.length = total
            bar.update(1)

        yield progress


def _size_or_checkpoint(given: str | None) -> int | Checkpoint | None:
    """A size, or the file of a checkpoint."""
    if given is None:
        return None
    if given.isascii() and given.isdigit():
        return int(given)
    if not Path(given).is_file():
        raise click.UsageError(f"{given} is neither a size nor a file")
    (found,) = _checkpoints([Path(given)])
    return found


def _checkpoints(files: Sequence[Path]) -> list[Checkpoint]:
    try:
        return witness.read_all(files)
    except CheckpointError as error:
        raise refused(str(error)) from error


def _newest(connection: Connection) -> Checkpoint:
    try:
        newest = sealing.latest_checkpoint(connection)
    except checkpoints.CheckpointError as error:
        raise CommandFailed("the newest checkpoint in the journal is damaged: run bankapi audit verify") from error
    if newest is None:
        raise refused("there is no checkpoint yet; make one with: bankapi audit seal")
    return newest


def _authorities(settings: Settings) -> list[x509.Certificate]:
    """What old messages may have been issued by, CAs that are retired included."""
    retired = settings.retired_ca_certificates
    return [*_certificates(settings.ca_certificate), *(_certificates(retired) if retired.exists() else [])]


def _certificates(file: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(file.read_bytes())
    except ValueError as error:
        raise CommandFailed(f"{file} holds no PEM certificate") from error


def _fields(signed: Checkpoint) -> dict[str, Any]:
    return {"origin": signed.origin, "size": signed.size, "root": signed.root, "signed_at": signed.signed_at}


@audit.command("archive")
@click.option("--before", required=True, type=_DAY, help="The first day (UTC) whose messages stay here.")
@click.option("--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A new ZIP file.")
@click.pass_obj
def archive_bodies(settings: Settings, /, before: datetime, output: Path) -> None:
    """Move the messages of old, sealed exchanges to a file; digests, tree and proofs stay.

    Keep the file: `audit export --archive` takes the messages from it. The gateway goes on meanwhile.
    """
    require_installation(settings)
    with opened(settings) as store:
        try:
            archive.finish(store)
            moved = archive.archive(store, before.replace(tzinfo=UTC), output, clock.utc_now())
        except FileExistsError as error:
            raise refused(f"{output} exists already") from error
        except archive.ArchiveError as error:
            raise CommandFailed(str(error)) from error
    click.echo(f"moved the messages of {moved} exchanges to {output}" if moved else "nothing is that old")
