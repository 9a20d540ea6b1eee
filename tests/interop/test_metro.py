"""Metro (Java, JAX-WS RI with WSIT): wsimport, and WS-Security by the policy in the WSDL. Installs Metro with Maven."""

from itertools import count
from pathlib import Path

import pytest

from tests.interop import maven
from tests.interop.promises import Promises
from tests.interop.stacks import CLIENTS, Stack
from tests.running import RunningGateway

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def jar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return maven.build(CLIENTS / "metro", tmp_path_factory.mktemp("metro"), "Metro")


@pytest.fixture(scope="module")
def stack(jar: Path, gateway: RunningGateway) -> Stack:
    stack = Stack(
        name="METRO",
        command=(),
        value_key="value",
        currency=lambda amount: amount["currency"],
        versions=maven.versions(jar, Metro="webservices-rt"),
        gateway=gateway,
        numbers=count(1),
    )
    return maven.started_quickly(stack, jar)


class TestMetro(Promises):
    title = "Metro"
