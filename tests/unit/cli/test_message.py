"""The offline tools for integrators: every stage is judged, every rule has advice, and no value is shown."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bankapi import settings
from bankapi.cli.advice import ADVICE
from bankapi.cli.authority import new_rsa_key
from bankapi.cli.main import cli
from bankapi.gateway import keys
from bankapi.kit import samples
from bankapi.refusals import Rule
from bankapi.wsse.names import WSSE
from tests import messages
from tests.messages import PAYMENT, Signer, change, minimal, sign

SECRET = "SECRET-REFERENCE"
STYLES = (messages.minimal, messages.zeep, messages.node_soap, messages.gsoap, messages.wss4j, messages.php)


@pytest.fixture(scope="module")
def signer(demo_home: Path) -> Signer:
    own = settings.load(demo_home, {})
    key: Any = load_pem_private_key(own.terminal_file("ATM-0001", "key.pem").read_bytes(), None)
    return Signer(keys.load_certificate(own.terminal_file("ATM-0001", "cert.pem")), key)


@pytest.fixture
def ask(demo_home: Path, tmp_path: Path) -> Callable[..., Result]:
    def ask(command: str, content: bytes, *options: str, home: Path = demo_home) -> Result:
        file = tmp_path / "message.xml"
        file.write_bytes(content)
        return CliRunner().invoke(cli, ["message", command, str(file), *options], env={"BANKAPI_HOME": str(home)})

    return ask


def stages(result: Result) -> dict[str, tuple[bool | None, str | None]]:
    return {stage["stage"]: (stage["ok"], stage["rule"]) for stage in json.loads(result.output)["stages"]}


def wrong(result: Result) -> dict[str, str | None]:
    return {name: rule for name, (is_ok, rule) in stages(result).items() if is_ok is False}


def test_every_rule_has_its_advice() -> None:
    assert set(ADVICE) == set(Rule)
    assert len(set(ADVICE.values())) == len(ADVICE)
    assert all(advice.endswith(".") and len(advice) <= 100 for advice in ADVICE.values())


@pytest.mark.parametrize("style", STYLES)
def test_a_good_message_of_any_stack_passes_every_stage(
    ask: Callable[..., Result], signer: Signer, style: Callable[..., Any]
) -> None:
    checked = ask("check", sign(style(), signer), "--json")
    assert (checked.exit_code, wrong(checked)) == (0, {}), checked.output
    assert all(is_ok for is_ok, _ in stages(checked).values())


def test_everything_that_is_wrong_is_said_at_once_and_no_value_is(ask: Callable[..., Result], signer: Signer) -> None:
    """An old message with a payment that breaks the XSD, judged now and at its own time."""
    payload = PAYMENT.replace("20261123-000000042", SECRET).replace("150.00", "-150.00")
    draft = minimal(payload=payload, now=datetime(2026, 1, 1, tzinfo=UTC), declaration="")
    for options, expected in (
        ([], {"schema": "schema", "timestamp": "wsse.timestamp-expired"}),
        (["--at", "2026-01-01T00:01:00Z"], {"schema": "schema", "certificate": "wsse.certificate-validity"}),
    ):
        for shown in (["--json"], []):
            checked = ask("check", sign(draft, signer), *options, *shown)
            assert checked.exit_code == 1
            for value in (SECRET, "79160000001", "-150.00", "632812345678"):
                assert value not in checked.output
            if shown:
                assert wrong(checked) == expected
            else:
                assert "/soap:Envelope/soap:Body/RegisterPaymentRequest/Amount" in checked.output
                assert ADVICE[Rule.SCHEMA] in checked.output


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda raw: raw[:-5], {"document": "xml.not-well-formed"}),
        (lambda raw: raw.replace(b"<b:Reference>", b"<!-- --><b:Reference>"), {"document": "xml.comment"}),
        (lambda raw: raw.replace(b"150.00", b"151.00"), {"signature": "wsse.signature-invalid"}),
        (lambda raw: raw.replace(b"xmlenc#sha256", b"xmldsig#sha1x"), {"security header": "wsse.digest-algorithm"}),
        (
            lambda raw: change(raw, lambda envelope: envelope[0].remove(envelope[0].find(f"{{{WSSE}}}Security"))),
            {"security header": "wsse.header-missing"},
        ),
    ],
)
def test_a_damage_is_found_at_its_stage(
    ask: Callable[..., Result], signer: Signer, damage: Callable[[bytes], bytes], expected: dict[str, str]
) -> None:
    checked = ask("check", damage(sign(minimal(), signer)), "--json")
    assert (checked.exit_code, wrong(checked)) == (1, expected)


def test_a_changed_part_is_named(ask: Callable[..., Result], signer: Signer) -> None:
    checked = ask("check", sign(minimal(), signer).replace(b"150.00", b"151.00"))
    assert "changed after signing: Body" in checked.output
    other = ask("check", sign(minimal(), Signer(signer.certificate, new_rsa_key())))
    assert "not made by the key of this certificate" in other.output


def test_without_a_ca_the_certificate_is_left_open(ask: Callable[..., Result], signer: Signer, tmp_path: Path) -> None:
    checked = ask("check", sign(minimal(), signer), "--json", home=tmp_path / "none")
    assert (checked.exit_code, stages(checked)["certificate"]) == (0, (None, None))
    assert ask("verify", sign(minimal(), signer), home=tmp_path / "none").exit_code == 2
    assert ask("check", b"", "--at", "yesterday").exit_code == 2
    assert ask("check", b"", "--ca", str(tmp_path / "message.xml")).exit_code == 3


@pytest.mark.parametrize("envelope", [False, True])
def test_what_is_signed_here_is_good(
    ask: Callable[..., Result], demo_home: Path, tmp_path: Path, envelope: bool
) -> None:
    own, signed = settings.load(demo_home, {}), tmp_path / "signed.xml"
    body = PAYMENT.encode()
    if envelope:
        body = b'<s:Envelope xmlns:s="%s"><s:Header/><s:Body>%s</s:Body></s:Envelope>' % (messages.SOAP.encode(), body)
    certificate, key = (str(own.terminal_file("ATM-0001", name)) for name in ("cert.pem", "key.pem"))
    made = ask("sign", body, "--certificate", certificate, "--key", key, "--output", str(signed))
    assert made.exit_code == 0, made.output
    assert ask("check", signed.read_bytes()).exit_code == 0
    verified = ask("verify", signed.read_bytes(), "--json")
    told = json.loads(verified.output)
    assert (verified.exit_code, told["verified"], told["message"]) == (0, True, "RegisterPaymentRequest")
    assert (told["covered"], "ATM-0001" in told["signer"]) == (["Timestamp", "Body"], True)
    assert ask("sign", b"<a>", "--certificate", certificate, "--key", key).exit_code == 1
    other = str(own.terminal_file("ATM-0002", "key.pem"))
    assert ask("sign", body, "--certificate", certificate, "--key", other).exit_code == 3


def test_an_old_message_is_verified_at_its_own_time(ask: Callable[..., Result], signer: Signer) -> None:
    raw = sign(minimal(now=datetime.now(UTC) - timedelta(minutes=4), life_s=1), signer)
    assert ask("verify", raw).exit_code == 0
    late = ask("verify", raw, "--at", (datetime.now(UTC) + timedelta(hours=1)).isoformat(), "--json")
    assert (late.exit_code, json.loads(late.output)["rule"]) == (1, "wsse.timestamp-expired")


class TestVerifyingAnAnswer:
    @pytest.fixture
    def verify(self, demo_home: Path, tmp_path: Path) -> Callable[..., tuple[int, dict[str, Any]]]:
        """Verify a message of the kit's samples, with options whose values are samples or their certificates."""
        for name, content in samples.files().items():
            (tmp_path / name).write_bytes(content)

        def verify(name: str, **options: str) -> tuple[int, dict[str, Any]]:
            named = [text for option, file in options.items() for text in (f"--{option}", str(tmp_path / file))]
            asked = ["message", "verify", str(tmp_path / name), "--ca", str(tmp_path / samples.CA), *named, "--json"]
            done = CliRunner().invoke(cli, asked, env={"BANKAPI_HOME": str(demo_home)})
            return done.exit_code, json.loads(done.output)

        return verify

    @pytest.mark.parametrize("name", ["RegisterPayment", "GetPaymentStatus-fault"])
    def test_it_is_the_gateways_and_to_this_request(self, verify: Callable[..., Any], name: str) -> None:
        exit_code, told = verify(f"{name}-answer.xml", signer=samples.GATEWAY, request=f"{name}-request.xml")
        assert (exit_code, told["verified"], told["answers_request"]) == (0, True, True)

    def test_what_another_certificate_of_the_ca_signed_is_not_the_gateways(self, verify: Callable[..., Any]) -> None:
        assert verify("Ping-request.xml")[0] == 0
        exit_code, told = verify("Ping-request.xml", signer=samples.GATEWAY)
        assert (exit_code, told["verified"]) == (1, False)
        assert "another certificate" in told["detail"]

    @pytest.mark.parametrize("name", ["GetBalance-answer.xml", "Ping-request.xml"])
    def test_what_names_no_or_another_request_is_not_the_answer(self, verify: Callable[..., Any], name: str) -> None:
        exit_code, told = verify(name, request="Ping-request.xml")
        assert (exit_code, told["verified"]) == (1, False)
        assert "not the answer" in told["detail"]
