"""Apache CXF (Java): wsdl2java, and WS-Security by the policy in the WSDL. Installs CXF with Maven."""

from itertools import count
from pathlib import Path

import pytest

from tests.interop import maven
from tests.interop.middle import Change, man_in_the_middle
from tests.interop.promises import MOVED, WRAPPED, Promises, promise
from tests.interop.stacks import CLIENTS, Stack
from tests.running import RunningGateway

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def jar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return maven.build(CLIENTS / "cxf", tmp_path_factory.mktemp("cxf"), "Apache CXF")


@pytest.fixture(scope="module")
def stack(jar: Path, gateway: RunningGateway) -> Stack:
    stack = Stack(
        name="CXF",
        command=(),
        value_key="value",
        currency=lambda amount: amount["currency"],
        versions=maven.versions(jar, CXF="cxf-core", WSS4J="wss4j-ws-security-dom"),
        gateway=gateway,
        numbers=count(1),
    )
    return maven.started_quickly(stack, jar)


class TestCxf(Promises):
    title = "CXF"

    @promise(MOVED)
    @pytest.mark.parametrize("forge", WRAPPED, ids=lambda forge: forge.__name__)
    def test_a_signed_body_that_was_moved_does_not_vouch_for_another(self, stack: Stack, forge: Change) -> None:
        """CXF takes the first Body it meets for the Body, and drops the other: what it reads is what was signed."""
        with man_in_the_middle(stack.gateway.settings, "ATM-0001", of_answer=forge) as middle:
            run = stack.run("status", reference=stack.reference(), url=middle.url)
        assert b">NEVER_SEEN<" in middle.answers[0]
        assert run[0]["answer"]["Status"] == "NEVER_SEEN"
