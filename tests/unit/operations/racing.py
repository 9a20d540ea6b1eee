"""Operations that start at one instant in several threads of several processes, over one database."""

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ulid import ULID

from bankapi.billing import terminals
from bankapi.evidence import tables as _evidence  # noqa: F401
from bankapi.operations.call import Call
from bankapi.settings import StorageSettings
from bankapi.storage import engine
from bankapi.storage.engine import Store

PROCESSES = 3
THREADS = 6


@dataclass(frozen=True)
class Job:
    """One operation of one terminal."""

    operation: Callable[[Call, Any], Any]
    asked: Any
    now: datetime
    terminal: str = "ATM-1"


class Track:
    """The processes, started once; each race opens its stores anew."""

    def __init__(self, terms: StorageSettings | None = None) -> None:
        self.races_lost = 0
        """How often the database had somebody run again, over all races."""
        self._terms = terms
        self._pool = ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn"))

    def race(self, url: str, jobs: Sequence[Job]) -> list[Any]:
        """The answers, in the order of the jobs; an exception of any job comes out."""
        gate = time.time() + 0.3
        parts = [self._pool.submit(_run, url, self._terms, jobs[n::PROCESSES], gate) for n in range(PROCESSES)]
        answers: list[Any] = [None] * len(jobs)
        for n, part in enumerate(parts):
            answers[n::PROCESSES], races_lost = part.result(timeout=180)
            self.races_lost += races_lost
        return answers

    def close(self) -> None:
        self._pool.shutdown()


def _run(url: str, terms: StorageSettings | None, jobs: Sequence[Job], gate: float) -> tuple[list[Any], int]:
    engine.AGAIN_FOR_S, engine.ATTEMPTS_MAX = 60.0, 200  # a busy machine is no finding
    store = Store(url, terms)
    try:
        with store.read() as connection:
            known = {job.terminal: terminals.find_terminal(connection, job.terminal) for job in jobs}

        def perform(job: Job) -> Any:
            time.sleep(max(0.0, gate - time.time()))
            return store.write(
                lambda connection: job.operation(
                    Call(connection, known[job.terminal], job.now, "en", str(ULID())), job.asked
                )
            )

        with ThreadPoolExecutor(THREADS) as threads:
            return list(threads.map(perform, jobs)), store.races_lost
    finally:
        store.close()
