"""The table of stacks: nothing is a yes that did not run and pass, and README.md keeps what was seen."""

from tests.interop.matrix import NO, NOT_RUN, README, YES, Matrix, in_readme
from tests.interop.promises import rows


def test_a_cell_is_a_yes_only_when_everything_ran_and_passed() -> None:
    matrix = Matrix({"one": "One 1.0", "two": "Two 2.0"})
    for stack, outcomes in {
        "one": ["passed", "passed"],
        "two": ["passed", "skipped"],
        "three": ["failed", "passed"],
    }.items():
        for outcome in outcomes:
            matrix.add("Ping", stack, outcome)
    matrix.add("GetBalance", "one", "passed")
    matrix.reasons["three"] = "no tool"
    assert matrix.markdown() == (
        "| | one | two | three |\n|---|---|---|---|\n"
        f"| Ping | {YES} | {NOT_RUN} | {NO} |\n"
        f"| GetBalance | {YES} | {NOT_RUN} | {NOT_RUN} |\n\n"
        "Run with one: One 1.0; two: Two 2.0.\nthree was not run: no tool.\n"
    )


def test_readme_has_a_row_for_every_promise_and_no_broken_one() -> None:
    kept = in_readme(README.read_text())
    kept_rows = [line.split(" | ")[0].removeprefix("| ") for line in kept.splitlines()[2:] if line.startswith("| ")]
    assert kept_rows == rows()
    assert NO not in kept
