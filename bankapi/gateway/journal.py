"""Structured logs: one JSON object a line, only the fields named here, so that nothing personal can slip in.

Exceptions are named, never printed with their text or traceback: both may quote a message.
"""

import json
import logging
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

FIELDS: Final = (
    "exchange_id",
    "operation",
    "rule",
    "fault",
    "tls_fingerprint",
    "duration_ms",
    "stages_ms",
    "failure",
    "where",
)


class JSONLines(logging.Formatter):
    """Time in UTC, level, logger and message, then the known fields that are set; in a sandbox every line says so."""

    def __init__(self, *, is_sandbox: bool = False) -> None:
        super().__init__()
        self._marks = {"sandbox": True} if is_sandbox else {}

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **self._marks,
        }
        line |= {name: value for name in FIELDS if (value := getattr(record, name, None)) is not None}
        if record.exc_info and record.exc_info[0] is not None:
            line["failure"] = record.exc_info[0].__name__
            line["where"] = where(record.exc_info[1]) if record.exc_info[1] else ""
        return json.dumps(line, ensure_ascii=False)


def where(error: BaseException) -> str:
    """The innermost lines of code an exception came through: places only, no values and no message."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    return " > ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames)


def configure(level: int = logging.INFO, *, is_sandbox: bool = False) -> None:
    """Send every log of this process to standard error as JSON lines."""
    handler = logging.StreamHandler()
    handler.setFormatter(JSONLines(is_sandbox=is_sandbox))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in ("spyne", "signxml"):  # signxml's debug messages quote what was signed
        logging.getLogger(chatty).setLevel(max(level, logging.WARNING))
