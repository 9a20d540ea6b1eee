"""The contracts that banks have built clients from: every released one, and the draft that was shown before."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
LOCK: Final = ROOT / "schemas" / "releases.lock"
DRAFT: Final = ROOT / "tests" / "interop" / "earlier" / "1.0.0-draft.wsdl"
"""Seven operations, before reports and reconciliation."""


def released(version: str) -> Path:
    return ROOT / "wsdl" / "releases" / f"bankapi-{version}.wsdl"


def locked() -> dict[str, dict[str, str]]:
    """Version → published file → its SHA-256 in hex, as the lock has them."""
    found: dict[str, dict[str, str]] = {}
    for line in LOCK.read_text().splitlines():
        if fields := line.split("#")[0].split():
            version, name, digest = fields
            found.setdefault(version, {})[name] = digest
    return found


def earlier() -> list[Path]:
    return [DRAFT, *(released(version) for version in locked())]
