"""zeep (Python), with its own BinarySignature."""

import platform
import sys
from importlib.metadata import version
from itertools import count
from pathlib import Path

import pytest

from tests.contract import earlier
from tests.interop.promises import Promises, assert_it_works
from tests.interop.stacks import CLIENTS, Stack
from tests.running import RunningGateway

PYTHON = platform.python_version()


@pytest.fixture(scope="module")
def stack(gateway: RunningGateway) -> Stack:
    return Stack(
        name="ZEEP",
        command=(sys.executable, "-I", str(CLIENTS / "zeep" / "client.py")),
        value_key="_value_1",
        currency=lambda amount: amount["currency"],
        versions=", ".join([f"{name} {version(name)}" for name in ("zeep", "xmlsec")] + [f"Python {PYTHON}"]),
        gateway=gateway,
        numbers=count(1),
    )


@pytest.mark.parametrize("contract", earlier.contracts(), ids=lambda file: file.stem)
def test_a_client_of_an_earlier_contract_still_works(stack: Stack, contract: Path) -> None:
    assert_it_works(stack, contract)


class TestZeep(Promises):
    title = "zeep"
