"""One SQLite file under several processes: nobody starves, and the log shrinks again after somebody read for long."""

import multiprocessing
import os
import sqlite3
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from bankapi.storage import copies
from bankapi.storage.engine import Store

pytestmark = pytest.mark.slow
PROCESSES, THREADS = 4, 4
MEASURED_S = 4.0
MIB = 1024 * 1024


def test_no_writer_starves_over_processes_and_threads(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'counters.db'}"
    store = Store(url)
    store.write(lambda connection: connection.execute(text("CREATE TABLE facts (id INTEGER PRIMARY KEY, who TEXT)")))
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        PROCESSES, spawning, initializer=_start_with, initargs=[spawning.Barrier(PROCESSES * THREADS)]
    ) as pool:
        measured = [each for part in pool.map(_write_for, [url] * PROCESSES, [MEASURED_S] * PROCESSES) for each in part]
    worst, counts = max(waits for waits, _ in measured), [count for _, count in measured]
    print(f"{sum(counts)} commits by {len(counts)} writers ({min(counts)}-{max(counts)} each), longest {worst:.3f} s")
    assert min(counts) * 4 > max(counts), "without the queue of writers, 1 : 17 and 1 : 32 were measured"
    with store.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM facts")).scalar_one() == sum(counts)
    store.close()


_together: Any = None
"""Where all threads of all processes meet before they begin."""


def _start_with(barrier: Any) -> None:
    global _together
    _together = barrier


def _write_for(url: str, seconds: float) -> list[tuple[float, int]]:
    """The longest wait and the number of commits of every thread of one process."""
    store = Store(url)
    measured: list[tuple[float, int]] = []

    def write() -> None:
        worst, count = 0.0, 0
        if _together is not None:
            _together.wait(60)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            begun = time.monotonic()
            store.write(lambda connection: connection.execute(text("INSERT INTO facts (who) VALUES (:who)"), me))
            worst, count = max(worst, time.monotonic() - begun), count + 1
        measured.append((worst, count))

    me = {"who": str(os.getpid())}
    threads = [threading.Thread(target=write) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    return measured


def test_the_log_grows_under_a_long_reader_and_is_cut_afterwards(tmp_path: Path) -> None:
    """Nothing bounds it while one snapshot is read: an audit or a report holds back as much as is written meanwhile."""
    file = tmp_path / "bodies.db"
    log = file.with_name("bodies.db-wal")
    store = Store(f"sqlite:///{file}")
    store.write(lambda connection: connection.execute(text("CREATE TABLE bodies (id INTEGER PRIMARY KEY, body BLOB)")))
    with store.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM bodies")).scalar_one() == 0
        _write_mib(store, 100)
        grown = log.stat().st_size
        assert connection.execute(text("SELECT count(*) FROM bodies")).scalar_one() == 0
    _write_mib(store, 2)
    _write_mib(store, 2)
    cut = log.stat().st_size
    print(f"log: {grown / MIB:.0f} MiB under the reader, {cut / MIB:.0f} MiB after it")
    assert grown > 100 * MIB
    assert cut <= 64 * MIB
    _write_mib(store, 100)
    assert log.stat().st_size <= 64 * MIB, "without readers it is used again from its start"
    store.close()
    copies.check_sqlite(file)


def _write_mib(store: Store, mib: int) -> None:
    insert = text("INSERT INTO bodies (body) VALUES (zeroblob(262144))")

    def work(connection: Connection) -> None:
        for _ in range(4):
            connection.execute(insert)

    for _ in range(mib):
        store.write(work)


def test_a_process_that_is_killed_while_writing_leaves_a_sound_file_and_nobody_waiting(tmp_path: Path) -> None:
    file = tmp_path / "facts.db"
    store = Store(f"sqlite:///{file}")
    store.write(lambda connection: connection.execute(text("CREATE TABLE facts (id INTEGER PRIMARY KEY, who TEXT)")))
    for _ in range(5):
        process = multiprocessing.get_context("spawn").Process(target=_write_for, args=(f"sqlite:///{file}", 60.0))
        process.start()
        before = _count(file)
        deadline = time.monotonic() + 20
        while _count(file) < before + 50 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
        process.join()
        begun = time.monotonic()
        store.write(lambda connection: connection.execute(text("INSERT INTO facts (who) VALUES ('us')")))
        assert time.monotonic() - begun < 10.0, "SQLite itself would have waited for half a minute"
        copies.check_sqlite(file)
    assert _count(file) >= 255
    store.close()


def _count(file: Path) -> int:
    with closing(sqlite3.connect(file, timeout=10)) as database:
        return int(database.execute("SELECT count(*) FROM facts").fetchone()[0])
