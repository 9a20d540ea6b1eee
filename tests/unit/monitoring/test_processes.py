"""Processes that count together: nothing is lost when one is killed, and its files are taken over."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bankapi.monitoring import processes

COUNT = """
import sys
from bankapi.monitoring import metrics, processes
processes.take_turn()
own = metrics.ours()
own.workers.set(1)
for _ in range(int(sys.argv[1])):
    own.slow.labels("soap").inc()
    own.stage_s.labels("sign").observe(0.25)
print("counted", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def counting_process(count: int) -> Iterator["subprocess.Popen[str]"]:
    """A process that has counted so far, and lives until the block ends."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", COUNT, str(count)], text=True, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "counted\n"
        yield process
        process.kill()


def value(directory: Path, metric: str, sample: str) -> float:
    samples = processes.counted(directory)[metric].samples
    return sum(each.value for each in samples if each.name == sample)


def test_a_killed_process_loses_no_count_and_the_next_one_goes_on_with_it() -> None:
    with processes.counting() as directory, counting_process(3) as first, counting_process(4):
        assert value(directory, "bankapi_slow_requests", "bankapi_slow_requests_total") == 7
        assert value(directory, "bankapi_workers", "bankapi_workers") == 2
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert value(directory, "bankapi_slow_requests", "bankapi_slow_requests_total") == 7
        assert value(directory, "bankapi_workers", "bankapi_workers") == 1, "the dead do not live"
        files = sorted(file.name for file in directory.glob("counter_*.db"))
        with counting_process(5):
            assert value(directory, "bankapi_slow_requests", "bankapi_slow_requests_total") == 12
            assert value(directory, "bankapi_stage_duration_seconds", "bankapi_stage_duration_seconds_count") == 12
            assert value(directory, "bankapi_stage_duration_seconds", "bankapi_stage_duration_seconds_sum") == 3.0
            assert value(directory, "bankapi_workers", "bankapi_workers") == 2
            assert sorted(file.name for file in directory.glob("counter_*.db")) == files
    assert not directory.exists()


def test_a_directory_of_the_operators_is_emptied_and_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "counter_0.db").write_bytes(b"from the last start")
    (tmp_path / "notes.txt").write_text("not ours")
    monkeypatch.setenv(processes.DIRECTORY, str(tmp_path))
    with processes.counting() as directory:
        assert directory == tmp_path
        assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]
        assert processes.counted(directory) == {}
    assert (tmp_path / "notes.txt").exists()
    assert os.environ[processes.DIRECTORY] == str(tmp_path)
    assert not processes.is_ours(tmp_path)


BEGIN = """
import sys
from bankapi.monitoring import processes
with processes.counting() as directory:
    print(directory, flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_gateway_left_is_removed_by_the_next_one_and_nothing_that_is_in_use() -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with (
        subprocess.Popen([sys.executable, "-c", BEGIN], text=True, **pipes) as dead,
        subprocess.Popen([sys.executable, "-c", BEGIN], text=True, **pipes) as alive,
    ):
        assert dead.stdout is not None
        assert alive.stdout is not None
        left, used = Path(dead.stdout.readline().strip()), Path(alive.stdout.readline().strip())
        dead.kill()
        dead.wait()
        assert left.is_dir()
        with processes.counting() as directory:
            assert not left.exists()
            assert used.is_dir()
            assert directory.is_dir()
        alive.communicate("")
    assert not used.exists()
