"""zeep (Python), with its own BinarySignature."""

import sys
from itertools import count
from pathlib import Path

import pytest

from tests.interop.promises import Promises
from tests.interop.stacks import Stack
from tests.running import RunningGateway


@pytest.fixture(scope="module")
def stack(gateway: RunningGateway) -> Stack:
    return Stack(
        name="ZEEP",
        command=(sys.executable, "-I", str(Path(__file__).with_name("zeep_client.py"))),
        value_key="_value_1",
        currency=lambda amount: amount["currency"],
        gateway=gateway,
        numbers=count(1),
    )


class TestZeep(Promises):
    pass
