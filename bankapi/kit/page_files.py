"""What the page offers for download: the contract, certificates, samples, and a client per stack.

All of it may be known to anybody whom TLS lets in, as the WSDL always was: the contract, public keys and sample code.
Certificates are read when they are asked for, because keys are renewed while the gateway serves; archives are made
with the first request for them, so that a start costs nothing, and are the same bytes every time.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from bankapi.gateway.wsgi import SOAP_PATH, Door, DoorAnswer, Doors
from bankapi.kit import archive, contents
from bankapi.kit.contents import SIGNING, YOUR_KEY
from bankapi.sandbox import installation
from bankapi.settings import Settings

ZIP: Final = "application/zip"
PEM: Final = "application/x-pem-file"
_GATEWAY: Final = "gateway-"
"""Before the names of the gateway's files in the home, wherever they are given away."""


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
GUIDES: Final = Download(
    "/kit/guides.zip",
    "Guides",
    "BY-HAND.md, to sign and verify without a client of ours; CHECKER.md, to judge messages offline; CODES.md; and "
    "the samples that they use",
)
CA: Final = Download("/kit/ca.pem", "CA certificate", "of the gateway's TLS and of every terminal")
SIGNERS: Final = (
    Download("/kit/gateway-signing-cert.pem", "Signing certificate", "answers are signed by it"),
    Download(
        "/kit/gateway-next-signing-cert.pem", "Next signing certificate", "accept it now: answers will be signed by it"
    ),
    Download("/kit/gateway-last-signing-cert.pem", "Last signing certificate", "answers were signed by it"),
)


@cache
def clients() -> tuple[Download, ...]:
    """One archive for each stack, called as its guide is."""
    return tuple(Download(f"/kit/client-{name}.zip", _heading(name)) for name in archive.stacks())


def certificate_file(settings: Settings, download: Download) -> Path:
    """Where a certificate of `CA` and `SIGNERS` is in the home; it need not be there."""
    name = Path(download.path).name.removeprefix(_GATEWAY)
    return settings.ca_certificate if download is CA else settings.gateway_file(name)


def doors(settings: Settings) -> Doors:
    """A door for each path under /kit/ that is a file."""
    url, is_sandbox = settings.gateway.url, installation.is_sandbox(settings)

    def guides() -> dict[str, bytes]:
        return archive.guide_files(url, YOUR_KEY, is_sandbox=is_sandbox) | archive.sample_files()

    found = {("GET", each.path): _certificate(settings, each) for each in (CA, *SIGNERS)}
    found["GET", SAMPLES.path] = _archive("bankapi-samples", archive.sample_files)
    found["GET", GUIDES.path] = _archive("bankapi-guides", guides)
    for stack in archive.stacks():
        found["GET", f"/kit/client-{stack}.zip"] = _client(settings, stack, is_sandbox=is_sandbox)
    return found


def served(body: bytes, content_type: str, name: str = "") -> DoorAnswer:
    """A document that a browser takes for nothing else; with a name it is kept as a file."""
    headers = {"X-Content-Type-Options": "nosniff"}
    if name:
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return DoorAnswer("200 OK", body, headers, content_type)


def _certificate(settings: Settings, download: Download) -> Door:
    def door(_: Mapping[str, Any]) -> DoorAnswer:
        try:
            found = _pem(settings, download)
        except FileNotFoundError:  # there is a next or last signing certificate only while a key is being renewed
            return DoorAnswer("404 Not Found", b"", {})
        return served(found, PEM, Path(download.path).name)

    return door


def _pem(settings: Settings, download: Download) -> bytes:
    """Certificates are written anew: a private key that strayed into the file goes nowhere. FileNotFoundError."""
    found = x509.load_pem_x509_certificates(certificate_file(settings, download).read_bytes())
    return b"".join(each.public_bytes(Encoding.PEM) for each in found)


def _archive(name: str, files: Callable[[], Mapping[str, bytes]]) -> Door:
    made = cache(lambda: archive.zipped(name, files()))

    def door(_: Mapping[str, Any]) -> DoorAnswer:
        return served(made(), ZIP, f"{name}.zip")

    return door


def _client(settings: Settings, stack: str, *, is_sandbox: bool) -> Door:
    """A client with the certificates of now: it is packed again only when they are others."""
    name = f"bankapi-{stack}"

    @lru_cache(maxsize=1)
    def made(authorities: bytes, signer: bytes) -> bytes:
        certificates = {contents.CA: authorities, SIGNING: signer}
        files = archive.client_files(stack, settings.gateway.url, certificates, is_sandbox=is_sandbox)
        return archive.zipped(name, files)

    def door(_: Mapping[str, Any]) -> DoorAnswer:
        return served(made(_pem(settings, CA), _pem(settings, SIGNERS[0])), ZIP, f"{name}.zip")

    return door


def _heading(stack: str) -> str:
    """The first line of a client's guide; its folder's name while it has none."""
    guide = archive.clients().joinpath(stack, "README.md")
    return guide.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ") if guide.is_file() else stack
