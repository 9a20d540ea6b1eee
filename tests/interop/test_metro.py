"""Metro (Java, JAX-WS RI with WSIT): wsimport, and WS-Security by the policy in the WSDL. Installs Metro with Maven."""

from copy import deepcopy
from itertools import count
from pathlib import Path

import pytest
from lxml import etree

from bankapi.wsse.names import BODY, WSU_ID
from tests.interop import maven
from tests.interop.middle import man_in_the_middle
from tests.interop.promises import MOVED, Promises, promise
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

    @promise(MOVED)
    def test_a_signed_body_inside_of_another_is_no_answer(self, stack: Stack) -> None:
        """WSIT takes its signature for the outer one's, and makes an answer of it that says nothing."""
        with man_in_the_middle(stack.gateway.settings, "ATM-0001", of_answer=_inside_of_another) as middle:
            run = stack.run("status", reference=stack.reference(), url=middle.url)
        assert "an unexpected Body" in run[0]["error"]
        assert run.exit_code == 3


def _inside_of_another(answer: bytes) -> bytes:
    envelope = etree.fromstring(answer)
    body = envelope.find(BODY)
    outer = deepcopy(body)
    outer.set(WSU_ID, "forged")
    envelope.replace(body, outer)
    outer.insert(0, body)
    return etree.tostring(envelope)
