"""`gunicorn.conf.py` in the home: what an installation may tune of gunicorn, and nothing else.

Most of gunicorn's settings would switch a check of ours off, so the file may name only those that cannot. It is read
at the start and again at every reload (SIGHUP).
"""

import runpy
from pathlib import Path
from types import ModuleType
from typing import Final

TUNABLE: Final[dict[str, type[int] | type[str]]] = {
    "backlog": int,
    "timeout": int,
    "max_requests": int,
    "max_requests_jitter": int,
    "worker_tmp_dir": str,
}


def load(file: Path | None) -> dict[str, object]:
    """The settings of the file, none when there is no file. ValueError when it holds anything else, or is no Python."""
    if file is None or not file.exists():
        return {}
    try:
        names = runpy.run_path(str(file))
    except Exception as error:
        raise ValueError(f"{file}: {type(error).__name__}: {error}") from error
    given = {
        name: value for name, value in names.items() if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    for name, value in given.items():
        if name not in TUNABLE:
            raise ValueError(f"{file}: {name} is not one of {', '.join(TUNABLE)}")
        if type(value) is not TUNABLE[name] or (isinstance(value, int) and value < 0):
            raise ValueError(f"{file}: {name} must be {'a path' if TUNABLE[name] is str else 'a number from 0 on'}")
    if "worker_tmp_dir" in given and not Path(str(given["worker_tmp_dir"])).is_dir():
        raise ValueError(f"{file}: worker_tmp_dir is no directory")
    return given
