"""The contracts that banks have built clients from: every released one, and the draft that was shown before."""

from pathlib import Path
from typing import Final

from bankapi.contract import releases

ROOT: Final = Path(__file__).parents[2]
WSDL_FOLDER: Final = ROOT / "wsdl"
SCHEMAS_FOLDER: Final = ROOT / "schemas"
LOCK: Final = SCHEMAS_FOLDER / releases.LOCK_FILE
DRAFT: Final = ROOT / "tests" / "interop" / "earlier" / "1.0.0-draft.wsdl"
"""Seven operations, before reports and reconciliation."""


def contracts() -> list[Path]:
    return [DRAFT, *(releases.kept(WSDL_FOLDER, version) for version in releases.locked(LOCK.read_text()))]
