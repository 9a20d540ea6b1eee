"""Programs that are not Python's: a machine that has only what `make test` asks for runs the tests without them."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

_NO_NETWORK: Final = re.compile(
    "ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ERR_SOCKET_TIMEOUT|ENETUNREACH|ENOTCACHED|"
    "Unknown host|Connection refused|Connection reset|timed out|Network is unreachable|in offline mode"
)
"""How npm and Maven say that they cannot reach their registries."""


def needs(*programs: str) -> pytest.MarkDecorator:
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs {' and '.join(missing)}, which this machine lacks")


def npm_ci(folder: Path, consequence: str) -> None:
    """Install exactly the packages of the folder's lock file; see `install`."""
    install(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder, consequence, "node")


def install(command: list[str], folder: Path, consequence: str, *besides: str) -> None:
    """Run a program that asks a registry for packages, and once more if that fails: it keeps what it got.

    Skips the test, and says why and what follows, when it or a program `besides` is missing, or no registry answers.
    """
    for program in (command[0], *besides):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: {consequence}")
    said = ""
    for _ in range(2):
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=600)
        except subprocess.TimeoutExpired:
            said = "timed out"
            continue
        if done.returncode == 0:
            return
        said = done.stdout + done.stderr
    if reason := _NO_NETWORK.search(said):
        pytest.skip(f"{command[0]} cannot reach its registry ({reason[0]}): {consequence}")
    raise AssertionError(said)
