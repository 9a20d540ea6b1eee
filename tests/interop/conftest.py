import pytest

from tests.interop.stacks import Run, Stack


@pytest.fixture(scope="module")
def tour(stack: Stack) -> Run:
    """Everything a stack's client does, once, in one run."""
    return stack.run(
        "ping", "validate", "register", "register", "conflict", "status", "violate", reference=stack.reference()
    )
