"""Running commands as staff do, and making certificate requests as banks do."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from bankapi.billing import ledger
from bankapi.cli.main import cli
from bankapi.settings import Settings
from bankapi.storage.engine import Store

P256 = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
RSA = ("-newkey", "rsa:2048")


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    exit_code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def run(settings: Settings, *arguments: object) -> Ended:
    """`bankapi ARGUMENTS` in this home."""
    environment = {"BANKAPI_HOME": str(settings.home)}
    result = CliRunner().invoke(cli, [str(each) for each in arguments], env=environment, prog_name="bankapi")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ended(result.exit_code, result.stdout, result.stderr)


def done(settings: Settings, *arguments: object) -> Any:
    """`bankapi ARGUMENTS --json`, which must succeed; what it printed."""
    ended = run(settings, *arguments, "--json")
    assert ended.exit_code == 0, ended.err
    return ended.json


def refused(settings: Settings, *arguments: object) -> str:
    """The sentence of a command that must be refused."""
    ended = run(settings, *arguments)
    assert ended.exit_code == 1, (ended.out, ended.err)
    assert ended.err.count("\n") == 1
    return ended.err


def new_request(folder: Path, name: str, *key: str) -> tuple[Path, Path]:
    """A key and a certificate request of it, made by openssl; returns the request's file and the key's."""
    request, key_file = folder / f"{name}.csr", folder / f"{name}-key.pem"
    command = ["openssl", "req", "-new", "-nodes", "-subj", "/CN=whatever the bank likes", *(key or P256)]
    subprocess.run([*command, "-keyout", key_file, "-out", request], check=True, capture_output=True)
    return request, key_file


def assert_sound(settings: Settings) -> None:
    """The ledger sums to zero and its kept balances are the sums of their postings."""
    store = Store(settings.database_url)
    with store.read() as connection:
        assert set(ledger.trial_balance(connection).values()) <= {0}
        assert ledger.balances_that_differ(connection) == []
    store.close()
