"""Apache CXF (Java): wsdl2java, and WS-Security by the policy in the WSDL. Installs CXF with Maven."""

import re
import shutil
import subprocess
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from tests.interop.middle import Change, man_in_the_middle
from tests.interop.promises import WRAPPED, Promises
from tests.interop.stacks import WSDL_FILE, Stack
from tests.running import RunningGateway

pytestmark = pytest.mark.slow
FOLDER = Path(__file__).with_name("cxf")
NO_NETWORK = re.compile(r"Unknown host|Connection refused|timed out|Network is unreachable|in offline mode")
JAVA = ("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xlog:disable")
"""A run is over before a better compiler has paid for itself, and standard output is for answers alone."""


@pytest.fixture(scope="module")
def jar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client, with what wsdl2java makes of the published WSDL, as Maven builds it."""
    for program in ("java", "javac", "mvn"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: Apache CXF was not tried")
    folder = tmp_path_factory.mktemp("cxf")
    shutil.copy(FOLDER / "pom.xml", folder)
    shutil.copytree(FOLDER / "src", folder / "src")
    shutil.copy(WSDL_FILE, folder)
    done = subprocess.run(
        ["mvn", "-q", "-B", "package"], cwd=folder, capture_output=True, text=True, check=False, timeout=900
    )
    if done.returncode != 0 and (reason := NO_NETWORK.search(done.stdout)):
        pytest.skip(f"Maven cannot reach its repository ({reason[0]}): Apache CXF was not tried")
    assert done.returncode == 0, done.stdout
    return folder / "target" / "bankapi-cxf.jar"


@pytest.fixture(scope="module")
def stack(gateway: RunningGateway, jar: Path) -> Stack:
    stack = Stack(
        name="CXF",
        command=(*JAVA, "-jar", str(jar)),
        value_key="value",
        currency=lambda amount: amount["currency"],
        gateway=gateway,
        numbers=count(1),
    )
    # Loading CXF's classes is most of a run. The JVM archives them once; the other runs map them.
    archive = jar.with_suffix(".jsa")
    replace(stack, command=(*JAVA, f"-XX:ArchiveClassesAtExit={archive}", "-jar", str(jar))).run("ping", reference="-")
    return replace(stack, command=(*JAVA, f"-XX:SharedArchiveFile={archive}", "-jar", str(jar)))


class TestCxf(Promises):
    @pytest.mark.parametrize("forge", WRAPPED, ids=lambda forge: forge.__name__)
    def test_a_signed_body_that_was_moved_does_not_vouch_for_another(self, stack: Stack, forge: Change) -> None:
        """CXF takes the first Body it meets for the Body, and drops the other: what it reads is what was signed."""
        with man_in_the_middle(stack.gateway.settings, "ATM-0001", of_answer=forge) as middle:
            run = stack.run("status", reference=stack.reference(), url=middle.url)
        assert b">NEVER_SEEN<" in middle.answers[0]
        assert run[0]["answer"]["Status"] == "NEVER_SEEN"
