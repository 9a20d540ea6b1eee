"""`make crash`: kills at random under load on SQLite and PostgreSQL; exit code 1 when a promise is broken."""

import argparse
import random
import sys
import tempfile
from pathlib import Path

import pytest

from tests.faults import crash
from tests.faults.services import on_postgresql, running


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--kills", type=int, default=200, help="per database")
    arguments.add_argument("--database", choices=("sqlite", "postgresql"), help="only this one")
    arguments.add_argument("--seed", type=int, default=random.randrange(10**6), help="of targets and moments")
    asked = arguments.parse_args()
    is_sound = True
    for name in ("sqlite", "postgresql"):
        if asked.database in (None, name):
            is_sound &= _run(name, asked.kills, asked.seed)
    sys.exit(not is_sound)


def _run(name: str, kills: int, seed: int) -> bool:
    with tempfile.TemporaryDirectory(prefix="bankapi-crash-") as folder:
        home = Path(folder)
        try:
            with running(home, None) if name == "sqlite" else on_postgresql(home) as services:
                found = crash.run(services, kills, seed, lambda done: _progress(name, done, kills))
        except pytest.skip.Exception as error:
            print(f"{name}: not run: {error}", flush=True)
            return False
    print("\n".join(crash.report(found)), flush=True)
    return found.is_sound


def _progress(name: str, done: int, kills: int) -> None:
    """A count when somebody is looking."""
    if sys.stderr.isatty():
        end = "\n" if done == kills else "\r"
        print(f"{name}: {done} of {kills} kills", end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
