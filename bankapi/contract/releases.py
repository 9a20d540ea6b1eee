"""Released versions of the contract: what banks have built clients from, kept for ever.

`schemas/releases.lock` has their digests, one `version file sha256` per line (`#` begins a comment), and
`wsdl/releases` the WSDL of each. A released version never changes: a change gets a new version, which must not break
the clients of any earlier one (`evolution`).
"""

import hashlib
from pathlib import Path
from typing import Final

from bankapi.contract import evolution, publication
from bankapi.contract.service import VERSION

LOCK_FILE: Final = "releases.lock"


class NotReleased(ValueError):
    """The contract cannot be released as it is; the message says why."""


def locked(lock: str) -> dict[str, dict[str, str]]:
    """Version → published file → its SHA-256 in hex, from the text of the lock."""
    found: dict[str, dict[str, str]] = {}
    for line in lock.splitlines():
        if fields := line.split("#")[0].split():
            version, name, digest = fields
            found.setdefault(version, {})[name] = digest
    return found


def changed(lock: str, version: str, published: dict[str, bytes]) -> list[str]:
    """The files that are not what was released as `version`; none when that version is not released yet."""
    digests = locked(lock).get(version, {})
    return [name for name, digest in digests.items() if _digest(published.get(name, b"")) != digest]


def kept(folder_wsdl: Path, version: str) -> Path:
    """The WSDL of a released version."""
    return folder_wsdl / "releases" / f"bankapi-{version}.wsdl"


def breaks(folder_wsdl: Path, folder_schemas: Path) -> list[str]:
    """Why the contract of the models would not serve clients of a released version; empty when it serves all."""
    versions = locked((folder_schemas / LOCK_FILE).read_text())
    found = {each: evolution.breaks(kept(folder_wsdl, each).read_bytes(), publication.wsdl()) for each in versions}
    return [f"{version}: {what}" for version, why in found.items() for what in why]


def release(folder_wsdl: Path, folder_schemas: Path) -> str:
    """Lock the published files under the version of the models, and keep the WSDL; gives the version.

    Raises NotReleased, and OSError.
    """
    lock = folder_schemas / LOCK_FILE
    if VERSION in locked(lock.read_text()):
        raise NotReleased(f"{VERSION} is released already: a change gets a new version")
    if publication.differences(folder_wsdl, folder_schemas):
        raise NotReleased("the published files are not what the models say: run `bankapi contract export`")
    if found := breaks(folder_wsdl, folder_schemas):
        raise NotReleased("clients of earlier versions would break: " + "; ".join(found))
    published = publication.documents()
    file = kept(folder_wsdl, VERSION)
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(published[publication.WSDL_FILE])
    lines = (f"{VERSION} {name} {_digest(content)}\n" for name, content in published.items())
    lock.write_text(lock.read_text() + "".join(lines))
    return VERSION


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
