from collections.abc import Iterator
from typing import Any

import pytest

from tests.interop.matrix import ARTIFACT, Matrix
from tests.interop.promises import Promises, rows
from tests.interop.stacks import Run, Stack

MATRIX = pytest.StashKey[Matrix]()


@pytest.fixture(scope="module")
def tour(stack: Stack) -> Run:
    """Everything a stack's client does, once, in one run."""
    before_the_fault = ("ping", "validate", "register", "register", "conflict", "status")
    after_it = ("balance", "statement", "cancel", "cancel", "transactions", "totals", "submit", "reconciliation")
    return stack.run(*before_the_fault, "violate", *after_it, reference=stack.reference())


@pytest.fixture(autouse=True)
def _say_what_runs(request: pytest.FixtureRequest) -> None:
    if isinstance(request.instance, Promises):
        stack: Stack = request.getfixturevalue("stack")
        request.config.stash[MATRIX].versions[request.instance.title] = stack.versions


def pytest_configure(config: pytest.Config) -> None:
    config.stash[MATRIX] = Matrix(outcomes={row: {} for row in rows()})


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[Any]:
    """Note what became of a promise. Yields, and gives back, pytest's own report."""
    report = yield
    promise, instance = item.get_closest_marker("promise"), getattr(item, "instance", None)
    if promise and isinstance(instance, Promises) and (report.when == "call" or not report.passed):
        matrix = item.config.stash[MATRIX]
        for row in promise.args:
            matrix.add(row, instance.title, report.outcome)
        if report.skipped:
            matrix.reasons.setdefault(instance.title, str(report.longrepr[2]).removeprefix("Skipped: "))
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    matrix = config.stash[MATRIX]
    if matrix.versions and not hasattr(config, "workerinput"):
        terminalreporter.section("which stack was seen to do what")
        terminalreporter.write(matrix.markdown())
        ARTIFACT.parent.mkdir(exist_ok=True)
        ARTIFACT.write_text(matrix.markdown())
