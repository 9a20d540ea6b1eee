"""The commands that write in numbers or look up widely, on PostgreSQL."""

from pathlib import Path

from bankapi import settings
from bankapi.settings import Settings
from tests.postgres import Postgres
from tests.unit.cli.commands import assert_sound, done, new_request, refused, run
from tests.unit.cli.test_imports import GOOD, HEADING


def test_staff_administer_an_installation_on_postgresql(
    installation: Settings, postgres: Postgres, tmp_path: Path
) -> None:
    with postgres.database() as url:
        (installation.home / "bankapi.ini").write_text(f"[storage]\nurl = {url}\n")
        installation = settings.load(installation.home, {})
        done(installation, "dealer", "add", "SHOP", "--scheme", "debit", "--time-zone", "UTC")
        done(installation, "dealer", "top-up", "SHOP", "--amount", "7.50")
        assert done(installation, "dealer", "show", "SHOP")["deposit"] == [{"amount": "7.50", "currency": "RUB"}]
        request, _ = new_request(tmp_path, "till")
        files = ("--csr", request, "--out", tmp_path / "till.pem")
        done(installation, "terminal", "enrol", "TILL", "--dealer", "SHOP", *files)
        (revoked,) = done(installation, "terminal", "revoke", "TILL", "--all")
        assert revoked["state"] == "REVOKED"
        done(installation, "limit", "set", "--scope", "payer", "--day-count", "3")
        done(installation, "rate", "add", "KZT", "RUB", "0.17")
        file = tmp_path / "customers.csv"
        file.write_text(HEADING + GOOD)
        assert done(installation, "customer", "import", file) == {"imported": 3}
        assert run(installation, "customer", "import", file).exit_code == 1
        assert [each["customer"] for each in done(installation, "customer", "list")] == ["C-1", "C-2", "C-3"]
        assert done(installation, "payment", "list", "--dealer", "SHOP", "--from", "2026-01-01") == []
        assert "no such payment" in refused(installation, "payment", "show", "0" * 26)
        assert_sound(installation)
