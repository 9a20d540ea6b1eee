"""The units are ones that systemd takes, and they confine what they run."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bankapi import clock, settings
from bankapi.cli import home as homes
from tests.deploy.units import UNITS, settings_of

EXPOSURE_MAX = 1.5
"""systemd's own scale: 0 is locked away, below 2 is its "OK" for a service that needs a network."""
SERVICES = ("bankapi-gateway@.service", "bankapi-worker.service")


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units with programs that are there; systemd asks for that."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here (Debian: apt-get install systemd)")
    for unit in UNITS.iterdir():
        text = unit.read_text()
        for program in ("/opt/bankapi/current/bin/bankapi", "/usr/sbin/nginx", "/usr/bin/systemctl"):
            text = text.replace(program, "/bin/true")
        (tmp_path / unit.name).write_text(text)
    return tmp_path


def test_systemd_takes_every_unit(installed: Path) -> None:
    names = ["bankapi-gateway@1.service" if "@" in unit.name else unit.name for unit in sorted(UNITS.iterdir())]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *[str(installed / name) for name in names]],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    ours = [line for line in done.stderr.splitlines() if "bankapi" in line]
    assert (done.returncode, ours) == (0, [])


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_confined(installed: Path, service: str) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(installed / service)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    found = re.search(r"Overall exposure level for .*: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= EXPOSURE_MAX


def test_the_gateway_is_in_no_user_namespace() -> None:
    """There the kernel would name every peer of the socket "nobody", nginx and others alike."""
    assert "PrivateUsers" not in settings_of("bankapi-gateway@.service")
    assert settings_of("bankapi-worker.service")["PrivateUsers"] == ["yes"]


def test_a_home_that_systemd_has_made_is_filled_without_a_place_beside_it(tmp_path: Path) -> None:
    """/var/lib is root's; of /var/lib/bankapi the service's user may make what he likes."""
    home = tmp_path / "bankapi"
    home.mkdir(mode=0o700)
    before = tmp_path.stat().st_mtime_ns
    homes.create(settings.load(home, {}), demo=False, now=clock.utc_now())
    assert tmp_path.stat().st_mtime_ns == before
    assert sorted(each.name for each in home.iterdir() if each.name.startswith(".")) == []
    assert (home / "ca" / "ca.pem").exists()
