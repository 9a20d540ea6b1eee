"""A folder that proves a reconciliation to anybody with openssl: the texts, and the note that signs their digest.

What was kept is written as text again and hashed on the way: what is not what was signed is not exported.
"""

import hashlib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection, select

from bankapi.evidence import notes
from bankapi.evidence.notes import NoteError
from bankapi.evidence.tables import signing_certificates
from bankapi.reports import reconciliation, register_csv, registers, render
from bankapi.reports.headings import Heading
from bankapi.reports.reconciliation import Reconciliation
from bankapi.reports.reconciliation_document import reconciliation_document
from bankapi.reports.reconciliation_notes import note_of

_TEMPLATES: Final = {"verify.sh": "reconciliation.sh", "README.txt": "reconciliation.txt"}


class ExportRefused(Exception):
    """This cannot be exported; the sentence says why."""


def export(connection: Connection, found: Reconciliation, heading: Heading, folder: Path) -> None:
    """Write the proof of one result into a new folder. ExportRefused when it is not signed, or not what was signed."""
    note = note_of(connection, found.id)
    if note is None:
        raise ExportRefused("it is not signed yet; bankapi worker signs it")
    certificate = _signer(connection, note)
    folder.mkdir(parents=True, mode=0o700)  # it names people's payments
    for name, digest, text in (
        ("register.txt", found.register_digest, registers.text(connection, found.register)),
        ("reconciliation.txt", found.digest, reconciliation.text(connection, found)),
    ):
        if _written(folder / name, text) != digest:
            raise ExportRefused(f"{name} is not what was signed: somebody has changed the database")
    with (folder / "register.csv").open("wb") as file:
        register_csv.write(file, registers.rows_of(connection, found.register.id))
    with (folder / "differences.csv").open("wb") as file:
        render.write(reconciliation_document(connection, heading, found), render.Format.CSV, file)
    (folder / "note.txt").write_text(note, encoding="utf-8", newline="")
    (folder / "signing-cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    for name, template in _TEMPLATES.items():
        (folder / name).write_bytes(resources.files("bankapi.reports").joinpath(template).read_bytes())
    (folder / "verify.sh").chmod(0o755)


def _written(file: Path, pieces: Iterable[str]) -> bytes:
    """Write a text; returns its SHA-256."""
    digest = hashlib.sha256()
    with file.open("wb") as out:
        for piece in pieces:
            octets = piece.encode()
            digest.update(octets)
            out.write(octets)
    return digest.digest()


def _signer(connection: Connection, note: str) -> x509.Certificate:
    """The certificate of the gateway's that the note verifies by."""
    for der in connection.execute(select(signing_certificates.c.der)).scalars():
        certificate = x509.load_der_x509_certificate(der)
        try:
            notes.verify(note, certificate)
        except NoteError:
            continue
        return certificate
    raise ExportRefused("its note is not signed by a certificate that the gateway has used")
