"""Which stack was seen to keep which promise: collected while the tests run, printed at their end, kept in README.md.

A cell says `yes` only when every test of the promise ran with that stack, and passed. `make interop` prints the table
and leaves it in `tests/artifacts`; after a whole run `python -m tests.interop.matrix` puts that into README.md.
"""

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
ARTIFACT: Final = ROOT / "tests" / "artifacts" / "interop-matrix.md"
README: Final = ROOT / "README.md"
BEGIN: Final = "<!-- interop-matrix -->\n"
END: Final = "<!-- /interop-matrix -->"
YES: Final = "yes"
NO: Final = "**NO**"
NOT_RUN: Final = "not run"


@dataclass
class Matrix:
    """Outcomes of tests by (promise, stack), in the order in which they came."""

    versions: dict[str, str] = field(default_factory=dict)
    """By the stack's name, what was run."""
    outcomes: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    """By the stack's name, why it was not run."""

    def add(self, promise: str, stack: str, outcome: str) -> None:
        self.outcomes.setdefault(promise, {}).setdefault(stack, []).append(outcome)

    def markdown(self) -> str:
        stacks = list(dict.fromkeys(stack for row in self.outcomes.values() for stack in row))
        lines = [f"| | {' | '.join(stacks)} |", "|---" * (len(stacks) + 1) + "|"]
        for promise, row in self.outcomes.items():
            lines.append(f"| {promise} | {' | '.join(_cell(row.get(stack, [])) for stack in stacks)} |")
        ran = "; ".join(f"{stack}: {self.versions[stack]}" for stack in stacks if stack in self.versions)
        lines += ["", f"Run with {ran or 'nothing'}."]
        lines += [f"{stack} was not run: {why}." for stack, why in self.reasons.items() if stack not in self.versions]
        return "\n".join(lines) + "\n"


def in_readme(text: str) -> str:
    """The table as README.md has it."""
    found = re.search(f"{BEGIN}(.*?){END}", text, re.DOTALL)
    assert found, "README.md has lost the markers of its matrix"
    return found[1]


def _cell(outcomes: list[str]) -> str:
    if "failed" in outcomes:
        return NO
    return YES if outcomes and set(outcomes) == {"passed"} else NOT_RUN


def main() -> None:
    text = README.read_text()
    README.write_text(text.replace(BEGIN + in_readme(text) + END, BEGIN + ARTIFACT.read_text() + END))


if __name__ == "__main__":
    sys.exit(main())
