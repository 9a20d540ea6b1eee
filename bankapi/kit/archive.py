"""The kit as one ZIP file: everything a bank's developer needs, and nothing that is secret.

The same installation makes the same bytes: order, times and modes are fixed. No private key gets in but one that was
made for a test and asked for; what is put in is looked through again for others.
"""

import hashlib
import io
import re
import zipfile
from collections.abc import Collection, Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding

from bankapi.contract import publication
from bankapi.kit import guides, samples
from bankapi.kit.contents import TEST_KEY, YOUR_KEY, Contents

MANIFEST: Final = "MANIFEST"
_MADE_AT: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time a ZIP file can say (APPNOTE 4.4.6)."""
_SCHEMAS: Final = ("bankapi-v1.xsd", "bankapi-register-v1.xsd")
_BUILT: Final = frozenset({"node_modules", "vendor", "target", "bin", "obj", "build"})
"""Folders that a stack's tools make; they are not ours to give."""
_PRIVATE_KEY: Final = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:(?:\s|\\[nr])+[A-Za-z0-9+/]|[\s\\nr\"'+,]*[A-Za-z0-9+/]{40})"
    rb"|^PuTTY-User-Key-File-",
    re.MULTILINE,
)
"""The beginning of a key, in a file of its own or in a program's text (RFC 7468 section 10); not of a program that
reads one."""
_KEY_STORES: Final = (".p12", ".pfx", ".jks", ".key", ".der")


def build(contents: Contents) -> bytes:
    """The ZIP file. ValueError when it would hold a private key that is not meant."""
    files = _files(contents)
    meant = {TEST_KEY} if contents.test_key is not None else set()
    files[MANIFEST] = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items()
    ).encode()
    return zipped(folder(contents.terminal), files, meant)


def zipped(folder: str, files: Mapping[str, bytes], meant: Collection[str] = ()) -> bytes:
    """Files under a folder as a ZIP file: the same bytes for the same files in the same order.

    ValueError when one that is not `meant` to holds a private key: nothing else here makes an archive.
    """
    refuse_keys(files, meant)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(f"{folder}/{name}", _MADE_AT)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, so that the mode is read
            entry.external_attr = (0o100600 if name == TEST_KEY else 0o100644) << 16
            archive.writestr(entry, content)
    return written.getvalue()


def folder(terminal: str) -> str:
    """The folder that everything is in."""
    return f"bankapi-kit-{terminal}"


def stacks() -> list[str]:
    """The stacks there is a client for."""
    return sorted(each.name for each in clients().iterdir() if each.is_dir())


def _files(contents: Contents) -> dict[str, bytes]:
    """Path in the kit → bytes, sorted."""
    files = {
        "START.md": guides.start(contents, stacks()).encode(),
        **guide_files(contents.url, contents.key, is_sandbox=contents.is_sandbox),
        publication.WSDL_FILE: publication.served_wsdl(contents.url),
        **{name: resources.files("bankapi.schemas").joinpath(name).read_bytes() for name in _SCHEMAS},
        **{
            name: b"".join(each.public_bytes(Encoding.PEM) for each in certificates)
            for name, certificates in contents.certificates().items()
        },
        **sample_files(),
    }
    for stack in stacks():
        files |= _sources(stack, contents.url, contents.key, is_sandbox=contents.is_sandbox)
    if contents.test_key is not None:
        files[TEST_KEY] = contents.test_key
    return dict(sorted(files.items()))


def guide_files(url: str, key: str, *, is_sandbox: bool) -> dict[str, bytes]:
    """The guides that are the same for every terminal; `key` is what they call the file of its key."""
    found = {
        "BY-HAND.md": guides.by_hand(url),
        "CHECKER.md": guides.checker(url, key),
        "CODES.md": guides.code_tables(),
    }
    if is_sandbox:
        found["SANDBOX.md"] = guides.sandbox_numbers()
    return {name: words.encode() for name, words in found.items()}


def sample_files() -> dict[str, bytes]:
    """The samples with their table and certificates."""
    found = {"README.md": guides.sample_table().encode(), **samples.files()}
    return {f"samples/{name}": content for name, content in found.items()}


def client_files(stack: str, url: str, certificates: Mapping[str, bytes], *, is_sandbox: bool) -> dict[str, bytes]:
    """One client as in a kit, with the contract and the PEM files that its guide names, but for the reader's own."""
    return {
        "README.md": guides.of_client(stack, url=url, key=YOUR_KEY).encode(),
        publication.WSDL_FILE: publication.served_wsdl(url),
        **certificates,
        **_sources(stack, url, YOUR_KEY, is_sandbox=is_sandbox),
    }


def _sources(stack: str, url: str, key: str, *, is_sandbox: bool) -> dict[str, bytes]:
    """A client's files as they are; only its guide speaks of other places here."""
    found = {f"clients/{stack}/{path}": content for path, content in walk(clients().joinpath(stack))}
    for path in (path for path in found if path.endswith("README.md")):
        found[path] = guides.client_guide(found[path].decode(), url=url, key=key, is_sandbox=is_sandbox).encode()
    return found


def clients() -> Traversable:
    """The folder with one client per stack."""
    return resources.files("bankapi.kit").joinpath("clients")


def walk(folder: Traversable, path: str = "") -> Iterator[tuple[str, bytes]]:
    """The files of a folder as they were written, without what tools have put beside them."""
    for each in folder.iterdir():
        if each.name.startswith((".", "__pycache__")) or (each.is_dir() and each.name in _BUILT):
            continue
        if each.is_dir():
            yield from walk(each, f"{path}{each.name}/")
        else:
            yield f"{path}{each.name}", each.read_bytes()


def refuse_keys(files: Mapping[str, bytes], meant: Collection[str] = ()) -> None:
    """ValueError when a file that is not `meant` to holds a private key, or may: what is given away is text.

    DER and key stores have many forms and any name; none of them is text.
    """
    for name, content in files.items():
        if name in meant:
            continue
        if _PRIVATE_KEY.search(content) or name.lower().endswith(_KEY_STORES):
            raise ValueError(f"{name} holds a private key, which no kit may")
        if not _is_text(content):
            raise ValueError(f"{name} is not text, so it may hold a private key, which no kit may")


def _is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode()
    except UnicodeDecodeError:
        return False
