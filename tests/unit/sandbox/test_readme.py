"""README.md has the sandbox's numbers as they are."""

import re
from pathlib import Path

from bankapi.sandbox import numbers

README = Path(__file__).parents[3] / "README.md"


def test_the_readme_has_the_table() -> None:
    found = re.search(r"<!-- sandbox-numbers -->\n(.*?)<!-- /sandbox-numbers -->", README.read_text(), re.DOTALL)
    assert found is not None
    assert found[1].strip() == numbers.markdown().strip(), (
        "put what bankapi.sandbox.numbers.markdown() says between the markers"
    )
