"""Certificates in and out. That the gateway obeys is in tests/exchange/test_administration.py."""

import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from bankapi.gateway.keys import load_certificate
from bankapi.settings import Settings
from tests.unit.cli.commands import RSA, done, new_request, refused, run


def _enrol(settings: Settings, name: str, folder: Path, *key: str) -> dict[str, str]:
    request, _ = new_request(folder, name, *key)
    enrolled: dict[str, str] = done(
        settings, "terminal", "enrol", name, "--dealer", "DEMO-BANK", "--csr", request, "--out", folder / f"{name}.pem"
    )
    return enrolled


def test_a_request_is_answered_with_a_certificate_of_our_ca_and_our_subject(
    installation: Settings, tmp_path: Path
) -> None:
    enrolled = _enrol(installation, "NEW-1", tmp_path, *RSA)
    certificate = tmp_path / "NEW-1.pem"
    verify = ["openssl", "verify", "-CAfile", installation.ca_certificate, certificate]
    assert subprocess.run(verify, check=False, capture_output=True).returncode == 0
    assert load_certificate(certificate).subject.rfc4514_string() == "CN=NEW-1,O=DEMO-BANK"
    (shown,) = done(installation, "terminal", "show", "NEW-1")["certificates"]
    assert (shown["fingerprint"], shown["state"]) == (enrolled["fingerprint"], "VALID")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (("-newkey", "rsa:1024"), "RSA of 2048 to 4096 bits, or P-256"),
        (("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"), "RSA of 2048 to 4096 bits, or P-256"),
        (("-newkey", "ed25519"), "RSA of 2048 to 4096 bits, or P-256"),
    ],
)
def test_a_weak_or_foreign_key_is_refused(
    installation: Settings, tmp_path: Path, key: tuple[str, ...], words: str
) -> None:
    request, _ = new_request(tmp_path, "weak", *key)
    _refuses(installation, tmp_path, request, words)


def test_a_request_with_a_broken_signature_is_refused(installation: Settings, tmp_path: Path) -> None:
    request, _ = new_request(tmp_path, "broken")
    subprocess.run(["openssl", "req", "-in", request, "-outform", "DER", "-out", tmp_path / "der"], check=True)
    content = bytearray((tmp_path / "der").read_bytes())
    content[content.index(b"whatever")] ^= 1
    (tmp_path / "der").write_bytes(content)
    _refuses(installation, tmp_path, tmp_path / "der", "signature does not verify")
    (tmp_path / "der").write_bytes(b"no request")
    _refuses(installation, tmp_path, tmp_path / "der", "not a certificate request")


def _refuses(settings: Settings, folder: Path, request: Path, words: str) -> None:
    """Neither a terminal nor a file is left."""
    out = folder / "out.pem"
    said = refused(settings, "terminal", "enrol", "NEW-1", "--dealer", "DEMO-BANK", "--csr", request, "--out", out)
    assert words in said
    assert not out.exists()
    assert "there is no terminal" in refused(settings, "terminal", "show", "NEW-1")


def test_a_key_is_registered_once_for_ever(installation: Settings, tmp_path: Path) -> None:
    """Not for another terminal, not for a channel, not as its own replacement, not after its revocation."""
    _enrol(installation, "NEW-1", tmp_path)
    again = ("--csr", tmp_path / "NEW-1.csr", "--out", tmp_path / "out.pem")
    for command in (
        ("terminal", "enrol", "NEW-2", "--dealer", "DEMO-BANK"),
        ("channel", "enrol", "DEMO-BANK"),
        ("terminal", "rotate", "NEW-1"),
    ):
        assert "make a new key" in refused(installation, *command, *again)
    done(installation, "terminal", "revoke", "NEW-1", "--all")
    assert "make a new key" in refused(installation, "terminal", "enrol", "NEW-1", "--dealer", "DEMO-BANK", *again)
    assert not (tmp_path / "out.pem").exists()
    assert [each["state"] for each in done(installation, "terminal", "show", "NEW-1")["certificates"]] == ["REVOKED"]


def test_no_file_is_overwritten(installation: Settings, tmp_path: Path) -> None:
    request, key = new_request(tmp_path, "NEW-1")
    before = key.read_bytes()
    said = refused(installation, "terminal", "enrol", "NEW-1", "--dealer", "DEMO-BANK", "--csr", request, "--out", key)
    assert "exists already" in said
    assert key.read_bytes() == before


def test_enrol_is_for_terminals_without_a_certificate_and_rotate_for_the_others(
    installation: Settings, tmp_path: Path
) -> None:
    request, _ = new_request(tmp_path, "NEW-1")
    files = ("--csr", request, "--out", tmp_path / "out.pem")
    assert "bankapi terminal rotate" in refused(
        installation, "terminal", "enrol", "ATM-0001", "--dealer", "DEMO-BANK", *files
    )
    assert "another dealer" in refused(installation, "terminal", "enrol", "ATM-0001", "--dealer", "DEMO-SHOP", *files)
    done(installation, "terminal", "add", "NEW-1", "--dealer", "DEMO-BANK")
    assert "bankapi terminal enrol" in refused(installation, "terminal", "rotate", "NEW-1", *files)
    done(installation, "terminal", "enrol", "NEW-1", "--dealer", "DEMO-BANK", *files)


def test_a_revocation_is_in_the_list_and_can_be_repeated(installation: Settings, tmp_path: Path) -> None:
    enrolled = _enrol(installation, "NEW-1", tmp_path)
    colons = ":".join(enrolled["fingerprint"].upper()[n : n + 2] for n in range(0, 64, 2))
    (first,) = done(installation, "terminal", "revoke", "NEW-1", "--fingerprint", colons)
    installation.revocation_list.unlink()
    (again,) = done(installation, "terminal", "revoke", "NEW-1", "--fingerprint", colons)
    assert again["revoked_at"] == first["revoked_at"]
    revoked = x509.load_pem_x509_crl(installation.revocation_list.read_bytes())
    serial_number = load_certificate(tmp_path / "NEW-1.pem").serial_number
    assert [each.serial_number for each in revoked] == [serial_number]
    assert "no such certificate" in refused(installation, "terminal", "revoke", "ATM-0001", "--fingerprint", colons)
    for options in ((), ("--all", "--fingerprint", colons)):
        assert run(installation, "terminal", "revoke", "NEW-1", *options).exit_code == 2


def test_names_cannot_leave_the_home(installation: Settings) -> None:
    for name in ("../x", "a/b", "", ".hidden", "x" * 65, "a\nb"):
        assert run(installation, "terminal", "add", name, "--dealer", "DEMO-BANK", "--with-key").exit_code == 2


def test_a_key_made_here_is_the_owners_alone_and_is_not_printed(installation: Settings) -> None:
    made = run(installation, "terminal", "add", "NEW-1", "--dealer", "DEMO-BANK", "--with-key")
    key = installation.terminal_file("NEW-1", "key.pem")
    assert key.stat().st_mode & 0o777 == 0o600
    assert "PRIVATE" not in made.out + made.err
    before = key.read_bytes()
    assert "exists already" in refused(installation, "terminal", "add", "NEW-1", "--dealer", "DEMO-BANK", "--with-key")
    assert key.read_bytes() == before


def test_a_language_and_operations_are_set_and_taken_back(installation: Settings) -> None:
    operations = "RegisterPayment,GetPaymentStatus"
    changed = done(installation, "terminal", "set", "ATM-0001", "--language", "tr", "--operations", operations)
    assert (changed["language"], changed["operations"]) == ("tr", operations.split(","))
    changed = done(installation, "terminal", "set", "ATM-0001", "--dealer-language", "--operations", "all")
    assert (changed["language"], changed["operations"]) == (None, ["all"])
    for options in ((), ("--operations", "Steal"), ("--operations", "all,Ping"), ("--operations", "Ping,Ping")):
        assert run(installation, "terminal", "set", "ATM-0001", *options).exit_code == 2
