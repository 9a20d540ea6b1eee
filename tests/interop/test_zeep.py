"""zeep (Python), with its own BinarySignature."""

import platform
import sys
from importlib.metadata import version
from itertools import count

import pytest

from tests.interop.promises import Promises
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


class TestZeep(Promises):
    title = "zeep"
