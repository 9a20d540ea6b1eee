import pytest

from tests.interop.stacks import Run, Stack


@pytest.fixture(scope="module")
def tour(stack: Stack) -> Run:
    """Everything a stack's client does, once, in one run."""
    before_the_fault = ("ping", "validate", "register", "register", "conflict", "status")
    after_it = ("balance", "statement", "cancel", "cancel")
    return stack.run(*before_the_fault, "violate", *after_it, reference=stack.reference())
