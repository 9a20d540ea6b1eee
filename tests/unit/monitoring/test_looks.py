"""A look that hangs or fails holds nobody up, and is found out."""

import threading
import time
from types import SimpleNamespace

import pytest

from bankapi.monitoring import looks
from bankapi.monitoring.looks import Look


def test_who_asks_is_answered_in_time_and_the_look_that_hangs_is_not_begun_twice() -> None:
    go_on, begun = threading.Event(), []

    def hang() -> str:
        begun.append(time.monotonic())
        assert go_on.wait(10)
        return "found"

    look = Look("test", hang, life_s=60, wait_s=0.1)
    asked_at = time.monotonic()
    assert look.newest() is None
    assert look.newest() is None
    assert time.monotonic() - asked_at < 5
    go_on.set()
    while look.newest() is None:
        time.sleep(0.01)
    assert look.newest() == "found"
    assert len(begun) == 1


def test_what_was_found_lives_for_its_time_and_a_failure_is_nothing_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s, results = 100.0, iter([1, 2])
    monkeypatch.setattr(looks, "time", SimpleNamespace(monotonic=lambda: now_s))
    look = Look("test", lambda: next(results), life_s=0.2, wait_s=60)
    assert [look.newest(), look.newest()] == [1, 1]
    now_s += 0.25
    assert look.newest() == 2
    now_s += 0.25
    assert look.newest() is None, "StopIteration"
