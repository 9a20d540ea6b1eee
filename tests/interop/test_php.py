"""PHP's SoapClient, signing and verifying with xmlseclibs, which Debian has inside its simplesamlphp."""

import json
import shutil
import subprocess
from itertools import count
from pathlib import Path

import pytest

from tests.interop.middle import Change, man_in_the_middle
from tests.interop.promises import Promises
from tests.interop.stacks import CLIENTS, Stack
from tests.running import RunningGateway

pytestmark = pytest.mark.slow
PACKAGE = "simplesamlphp"
VENDOR = Path("usr/share/simplesamlphp/vendor")
LIBRARY = "robrichards/xmlseclibs"
AUTOLOAD = f"<?php require __DIR__ . '/{LIBRARY}/xmlseclibs.php';\n"
"""What `composer install` would write, for one package."""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the client and the library it asks composer for."""
    for program in ("php", "apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: PHP was not tried")
    extensions = subprocess.run(["php", "-m"], capture_output=True, text=True, check=True).stdout.split()
    for extension, package in (("soap", "php-soap"), ("dom", "php-xml")):
        if extension not in extensions:
            pytest.skip(f"{package} is not installed: PHP was not tried")
    folder = tmp_path_factory.mktemp("php")
    download = ["apt-get", "-q", "download", PACKAGE]
    done = subprocess.run(download, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        pytest.skip(f"apt cannot download {PACKAGE}, which has xmlseclibs: PHP was not tried")
    (archive,) = folder.glob(f"{PACKAGE}_*.deb")
    subprocess.run(["dpkg-deb", "-x", archive, folder / "debian"], check=True)
    shutil.copytree(folder / "debian" / VENDOR / LIBRARY, folder / "vendor" / LIBRARY)
    (folder / "vendor" / "autoload.php").write_text(AUTOLOAD)
    shutil.copy(CLIENTS / "php" / "client.php", folder)
    return folder


@pytest.fixture(scope="module")
def stack(gateway: RunningGateway, client: Path) -> Stack:
    return Stack(
        name="PHP",
        command=("php", str(client / "client.php")),
        value_key="_",
        currency=lambda amount: amount["currency"],
        gateway=gateway,
        numbers=count(1),
        versions=_versions(client),
    )


def _versions(client: Path) -> str:
    """Of PHP, of what it does cryptography with, and of the library."""
    say = "echo 'PHP ', PHP_VERSION, ', ', implode(' ', array_slice(explode(' ', OPENSSL_VERSION_TEXT), 0, 2));"
    php = subprocess.run(["php", "-r", say], capture_output=True, text=True, check=True).stdout
    installed = json.loads((client / "debian" / VENDOR / "composer" / "installed.json").read_text())
    (library,) = (package["version"] for package in installed if package["name"] == LIBRARY)
    return f"{php}, xmlseclibs {library}"


def _nothing(answer: bytes) -> bytes:
    return b""


def _with_a_doctype(answer: bytes) -> bytes:
    assert answer.count(b"<soap:Envelope") == 1
    return answer.replace(b"<soap:Envelope", b'<!DOCTYPE e [<!ENTITY e "e">]><soap:Envelope')


class TestPhp(Promises):
    title = "PHP SoapClient"

    @pytest.mark.parametrize("change", [_nothing, _with_a_doctype], ids=lambda change: change.__name__)
    def test_what_soapclient_would_take_for_an_answer_is_refused(self, stack: Stack, change: Change) -> None:
        """An empty body is no answer at all to SoapClient, without a fault; a DOCTYPE can name ids by entities."""
        with man_in_the_middle(stack.gateway.settings, "ATM-0001", of_answer=change) as middle:
            run = stack.run("status", "status", reference=stack.reference(), url=middle.url)
        assert [set(line) for line in run.lines] == [{"step", "error", "exchange_id"}] * 2
        assert [line["exchange_id"] for line in run.lines] == ["", ""]
        assert run.exit_code == 3
