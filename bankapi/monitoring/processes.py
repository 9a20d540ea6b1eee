"""Processes that count together: each has files of its own in one directory, which outlive it.

This is the multiprocess mode of prometheus_client with one difference. There a process is known by its id, and every
restart leaves files that are read for ever after. Here it takes the first free turn, a number, and goes on with the
counts of whoever had it before: a process that is killed loses nothing, and there are never more files than there
were processes at once. A turn is a locked file: the kernel frees it however its holder ends.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Final

from prometheus_client import values
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

DIRECTORY: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The variable of prometheus_client; what an operator sets is used, and otherwise a directory is made."""
_PREFIX: Final = "bankapi-"
_OWNER: Final = "owner"
_MEMORY: Final = Path("/dev/shm")  # noqa: S108  a private directory is made in it


@contextmanager
def counting() -> Iterator[Path]:
    """A directory, emptied, in which this process and those it starts count until the block ends.

    It is in memory where that is possible: a process that counts in a mapped file of a full disk is killed.
    """
    given = os.environ.get(DIRECTORY)
    directory = Path(given) if given else _made_directory()
    directory.mkdir(parents=True, exist_ok=True)
    for file in (*directory.glob("*.db"), *directory.glob("*.turn")):
        file.unlink()
    os.environ[DIRECTORY] = str(directory)
    made_in = os.getpid()
    try:
        yield directory
    finally:
        if os.getpid() == made_in:  # a process that was forked leaves this block, too
            os.environ.pop(DIRECTORY)
            if given:
                os.environ[DIRECTORY] = given
            else:
                shutil.rmtree(directory, ignore_errors=True)


def _made_directory() -> Path:
    """A new directory that is known to be in use; those of gateways that were killed with their monitors are removed.

    The lock is one of the processes that count: it is free when the last of them has ended, however that was.
    """
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_memory()))
    for owner in directory.parent.glob(f"{_PREFIX}*/{_OWNER}"):
        with suppress(OSError), owner.open("rb") as file:  # another user's, or removed just now
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(owner.parent, ignore_errors=True)
    building = directory / f".{_OWNER}"
    fcntl.flock(os.open(building, os.O_CREAT | os.O_RDWR, 0o600), fcntl.LOCK_EX)  # it stays open as long as we live
    building.rename(directory / _OWNER)  # so that nobody finds it unlocked
    return directory


def is_ours(directory: Path) -> bool:
    """Whether `counting` has made it, so that it may be removed with all that is in it."""
    return directory.name.startswith(_PREFIX) and directory.parent in (_MEMORY, Path(tempfile.gettempdir()))


def take_turn() -> None:
    """From now on this process counts in the directory; without one it counts for itself.

    To be called after a fork and before the first metric is made.
    """
    directory = os.environ.get(DIRECTORY)
    if directory is None:
        values.ValueClass = values.MutexValue
        return
    turn = _free_turn(Path(directory))
    values.ValueClass = values.MultiProcessValue(process_identifier=lambda: turn)  # type: ignore[no-untyped-call]


def _free_turn(directory: Path) -> str:
    for turn in map(str, count()):
        file = os.open(directory / f"{turn}.turn", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
        else:
            return turn  # the file stays open: the lock lives as long as the process
    raise AssertionError("unreachable")


def counted(directory: Path) -> dict[str, Metric]:
    """What all processes have counted in the directory, by the metric's name."""
    _forget_dead(directory)
    collector = MultiProcessCollector(None, str(directory))  # type: ignore[no-untyped-call]
    return {family.name: family for family in collector.collect()}  # type: ignore[no-untyped-call]


def _forget_dead(directory: Path) -> None:
    """Drop what only a living process can say, of every process that is dead."""
    for file in directory.glob("*.turn"):
        with suppress(FileNotFoundError), file.open("rb") as turn:
            try:
                fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            mark_process_dead(file.stem, str(directory))  # type: ignore[no-untyped-call]


def _memory() -> Path | None:
    return _MEMORY if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK | os.X_OK) else None
