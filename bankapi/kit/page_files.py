"""What the page offers for download: the contract, certificates, samples, and a client per stack.

All of it may be known to anybody whom TLS lets in, as the WSDL always was: the contract, public keys and sample code.
Certificates are read when they are asked for, because keys are renewed while the gateway serves; archives are made
with the first request for them, so that a start costs nothing, and are the same bytes every time.
"""

import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from bankapi.gateway.wsgi import SOAP_PATH, DoorAnswer, Doors
from bankapi.kit import archive, samples
from bankapi.settings import Settings

ZIP: Final = "application/zip"
PEM: Final = "application/x-pem-file"
_ZIP_TIME: Final = (2026, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Download:
    """One link of the page."""

    path: str
    title: str
    words: str = ""


CONTRACT: Final = (
    Download(f"{SOAP_PATH}?wsdl", "WSDL", "complete: with the schema, the policy and this address"),
    Download("/schemas/bankapi-v1.xsd", "XSD of the messages"),
    Download("/schemas/bankapi-register-v1.xsd", "XSD of a register file"),
)
SAMPLES: Final = Download(
    "/kit/samples.zip", "Signed samples", "every request and answer, byte for byte, with the certificates they hold by"
)
CA: Final = Download("/kit/ca.pem", "CA certificate", "of the gateway's TLS and of every terminal")
SIGNERS: Final = (
    Download("/kit/signing-cert.pem", "Signing certificate", "answers are signed by it"),
    Download("/kit/next-signing-cert.pem", "Next signing certificate", "accept it now: answers will be signed by it"),
    Download("/kit/last-signing-cert.pem", "Last signing certificate", "answers were signed by it"),
)


def clients() -> list[Download]:
    """One archive for each stack, called as its guide is."""
    return [Download(f"/kit/client-{name}.zip", _heading(name)) for name in archive.stacks()]


def certificate_file(settings: Settings, download: Download) -> Path:
    """Where a certificate of `CA` and `SIGNERS` is in the home; it need not be there."""
    return settings.ca_certificate if download is CA else settings.gateway_file(Path(download.path).name)


def doors(settings: Settings) -> Doors:
    """A door for each path under /kit/ that is a file."""
    found = {("GET", CA.path): _certificate(partial(certificate_file, settings, CA))}
    for signer in SIGNERS:
        found["GET", signer.path] = _certificate(partial(certificate_file, settings, signer))
    found["GET", SAMPLES.path] = _archive("samples", samples.files)
    for name in archive.stacks():
        found["GET", f"/kit/client-{name}.zip"] = _archive(f"client-{name}", partial(_sources, name))
    return found


def served(body: bytes, content_type: str, name: str = "") -> DoorAnswer:
    """A document that a browser takes for nothing else; with a name it is kept as a file."""
    headers = {"X-Content-Type-Options": "nosniff"}
    if name:
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return DoorAnswer("200 OK", body, headers, content_type)


def _certificate(find: Callable[[], Path]) -> Callable[[Mapping[str, Any]], DoorAnswer]:
    def door(_: Mapping[str, Any]) -> DoorAnswer:
        file = find()
        try:
            found = x509.load_pem_x509_certificates(file.read_bytes())
        except FileNotFoundError:  # there is a next or last signing certificate only while a key is being renewed
            return DoorAnswer("404 Not Found", b"", {})
        # Certificates are written anew: a private key that strayed into the file goes nowhere.
        return served(b"".join(each.public_bytes(Encoding.PEM) for each in found), PEM, file.name)

    return door


def _archive(name: str, files: Callable[[], Mapping[str, bytes]]) -> Callable[[Mapping[str, Any]], DoorAnswer]:
    made = cache(lambda: _zipped(name, files()))

    def door(_: Mapping[str, Any]) -> DoorAnswer:
        return served(made(), ZIP, f"{name}.zip")

    return door


def _zipped(folder: str, files: Mapping[str, bytes]) -> bytes:
    """The same files give the same bytes: names in order, and one time for all. ValueError for a private key."""
    archive.refuse_keys(files)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as written:
        for name in sorted(files):
            entry = zipfile.ZipInfo(f"{folder}/{name}", _ZIP_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            written.writestr(entry, files[name])
    return made.getvalue()


def _sources(stack: str) -> dict[str, bytes]:
    return dict(archive.walk(archive.clients().joinpath(stack)))


def _heading(stack: str) -> str:
    """The first line of a client's guide; its folder's name while it has none."""
    guide = archive.clients().joinpath(stack, "README.md")
    return guide.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ") if guide.is_file() else stack
