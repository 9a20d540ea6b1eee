"""Where the monitor may listen, and what it says when it cannot."""

import socket
from pathlib import Path

import pytest

from bankapi import settings
from bankapi.settings import Settings, SettingsError
from tests.unit.cli.commands import run


def load(home: Path, **values: object) -> Settings:
    return settings.load(home, {f"BANKAPI_MONITORING_{name}".upper(): str(value) for name, value in values.items()})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1"])
def test_a_loopback_address_is_taken(tmp_path: Path, host: str) -> None:
    assert load(tmp_path, host=host).monitoring.host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
def test_an_address_for_others_must_be_meant(tmp_path: Path, host: str) -> None:
    with pytest.raises(SettingsError, match="say reach = network"):
        load(tmp_path, host=host)
    assert load(tmp_path, host=host, reach="network").monitoring.host == host


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"host": "localhost"}, "must be an IP address"),
        ({"port": 65536}, "between 0 and 65535"),
        ({"port": -1}, "between 0 and 65535"),
        ({"reach": "everybody"}, "must be one of loopback, network"),
        ({"slow_request_ms": 0}, "must be positive"),
        ({"late_s": 10}, "must be more than seal_s and checkpoint_s"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, values: dict[str, object], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        load(tmp_path, **values)


def test_a_port_that_is_taken_ends_the_start_with_one_sentence(
    installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("BANKAPI_MONITORING_PORT", str(port))
        ended = run(installation, "serve")
    assert ended.exit_code == 3
    assert ended.err.strip().splitlines()[-1] == (
        f"bankapi: port {port} of 127.0.0.1 is for health and metrics and cannot be used (Address already in use); "
        "choose another port in [monitoring], or 0 for none"
    )
