"""What leaves the house as evidence: proofs for third parties, checkpoints for witnesses, and the commands for them."""

import base64
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from sqlalchemy import Connection

from bankapi import clock, settings
from bankapi.cli import home as homes
from bankapi.cli.main import cli
from bankapi.contract.application import exchange_header
from bankapi.evidence import audit, checkpoints, exchanges, sealing, tree, witness
from bankapi.evidence.audit import Terms
from bankapi.evidence.exchanges import Exchange
from bankapi.evidence.witness import Attestation
from bankapi.gateway import keys
from bankapi.settings import Settings
from bankapi.storage.engine import Store
from bankapi.wsse import signing
from bankapi.wsse.profile import PROFILE_V1
from tests import journals, messages
from tests.journals import Journal, registration
from tests.messages import Draft, Signer
from tests.postgres import Postgres, postgres  # noqa: F401
from tests.programs import needs

# What README.txt says is needed, and nothing else.
TOOLS = (
    *("sh", "xmlsec1", "openssl", "base64", "cat", "cut", "dirname", "head"),
    *("mktemp", "od", "rm", "sha256sum", "tail", "tr"),
)
needs_tools = needs(*TOOLS)
STACKS: dict[str, Callable[..., Draft]] = {
    each.__name__: each for each in (messages.zeep, messages.node_soap, messages.gsoap, messages.wss4j, messages.php)
}


@pytest.fixture(scope="module")
def journal(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journal]:
    home = tmp_path_factory.mktemp("evidence") / "var"
    shutil.copytree(demo_home, home)
    with journals.opened(settings.load(home, {})) as journal:
        journals.fill(journal)
        for name, stack in STACKS.items():
            journal.send("ATM-0001", "RegisterPayment", messages.sign(_draft(stack, name), _signer(journal)))
        journal.seal()
        yield journal


@pytest.fixture(scope="module")
def proofs(journal: Journal, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proof per payment, by reference."""
    folder = tmp_path_factory.mktemp("proofs")
    options = ["--dealer", "DEMO-BANK", "--from", "2026-01-01", "--to", "2099-12-31"]
    exported = run(journal.settings, "export", *options, "--output", str(folder / "all"), "--json")
    assert exported.exit_code == 0, exported.output
    with Store(journal.settings.database_url).read() as connection:
        rows = connection.exec_driver_sql("SELECT id, reference FROM payments").all()
    for payment_id, reference in rows:
        if (folder / "all" / payment_id).exists():
            (folder / "all" / payment_id).rename(folder / reference)
    return folder


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PATH of nothing else."""
    folder = tmp_path_factory.mktemp("tools")
    for tool in TOOLS:
        (folder / tool).symlink_to(str(shutil.which("dash") if tool == "sh" else shutil.which(tool)))
    return folder


def run(own: Settings, *arguments: str, group: str = "audit") -> Result:
    return CliRunner().invoke(cli, [group, *arguments], env={"BANKAPI_HOME": str(own.home)})


def _signer(journal: Journal, terminal: str = "ATM-0001") -> Signer:
    certificate, key = (journal.settings.terminal_file(terminal, name) for name in ("cert.pem", "key.pem"))
    private_key: Any = load_pem_private_key(key.read_bytes(), None)
    return Signer(keys.load_certificate(certificate), private_key)


def _draft(stack: Callable[..., Draft], reference: str) -> Draft:
    draft = stack()
    return replace(draft, payload=draft.payload.replace("20261123-000000042", reference).replace(">ru<", ">en<"))


# Proofs


def prove(folder: Path, tools: Path, *arguments: str) -> tuple[bool, list[str]]:
    """What verify.sh says, and which steps failed."""
    done = subprocess.run(
        ["sh", str(folder / "verify.sh"), *arguments],
        env={"PATH": str(tools)},
        capture_output=True,
        check=False,
    )
    lines = done.stdout.decode().splitlines()
    assert (done.returncode == 0) == (lines[-1:] == ["PROVED"]), done
    return done.returncode == 0, [line.removeprefix("FAILED  ") for line in lines if line.startswith("FAILED")]


@needs_tools
@pytest.mark.parametrize("reference", ["J-1", "J-2", "J-3", "J-5", "J-NEVER", *STACKS])
def test_a_proof_needs_nothing_but_xmlsec1_and_openssl(
    journal: Journal, proofs: Path, tools: Path, reference: str
) -> None:
    assert prove(proofs / reference, tools) == (True, [])
    assert prove(proofs / reference, tools, str(journal.settings.ca_certificate)) == (True, [])
    assert (proofs / reference / "cancellation").exists() == (reference == "J-1")


def test_a_proof_holds_the_very_bytes(journal: Journal, proofs: Path) -> None:
    (registered,) = [
        each for each in journal.answers if b"<Reference>J-1<" in each.request and b"PaidAt" in each.request
    ]
    assert (proofs / "J-1" / "request.xml").read_bytes() == registered.request
    assert (proofs / "J-1" / "answer.xml").read_bytes() == registered.answer


@needs_tools
def test_another_ca_proves_nothing(proofs: Path, tools: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    shutil.copy(proofs / "J-2" / "gateway-cert.pem", other)
    is_proved, failed = prove(proofs / "J-2", tools, str(other))
    assert not is_proved
    assert len(failed) == 3


@needs_tools
def test_any_changed_byte_of_any_file_ends_the_proof(proofs: Path, tools: Path, tmp_path: Path) -> None:
    """Sampled: the first, the last and some between. verify.sh itself is taken from somebody who is trusted."""
    chance = random.Random(6)
    for name in sorted(file.name for file in (proofs / "J-2").iterdir() if file.name != "verify.sh"):
        content = (proofs / "J-2" / name).read_bytes()
        for at in {0, len(content) - 1, *(chance.randrange(len(content)) for _ in range(2))}:
            folder = _changed(proofs / "J-2", tmp_path, name, _flipped(content, at, chance))
            assert not prove(folder, tools)[0], (name, at)


@needs_tools
def test_nor_does_it_help_to_adapt_the_sums(proofs: Path, tools: Path, tmp_path: Path) -> None:
    chance = random.Random(7)
    for name in ("request.xml", "answer.xml", "leaf.txt", "proof.txt", "checkpoint.txt"):
        content = (proofs / "J-2" / name).read_bytes()
        for at in {0, len(content) - 1, len(content) - 2, *(chance.randrange(len(content)) for _ in range(4))}:
            folder = _changed(proofs / "J-2", tmp_path, name, _flipped(content, at, chance))
            _adapt_sums(folder)
            is_proved, failed = prove(folder, tools)
            assert not is_proved, (name, at)
            assert "every file is as it was exported" not in failed
    path = (proofs / "J-2" / "proof.txt").read_bytes()
    for changed in (path.replace(b" ", b"\t", 1), path[:-1], path[:-1] + b"\t", path[:-1] + b"\0", path + b"\n"):
        folder = _changed(proofs / "J-2", tmp_path, "proof.txt", changed)
        _adapt_sums(folder)
        assert prove(folder, tools) == (False, ["proof.txt leads from leaf.txt to its root"]), changed
    note = (proofs / "J-2" / "checkpoint.txt").read_bytes()
    assert note.endswith(b"=\n")
    folder = _changed(proofs / "J-2", tmp_path, "checkpoint.txt", note[:-2] + b"7\n")  # a byte after the signature
    _adapt_sums(folder)
    assert prove(folder, tools) == (False, ["the key of checkpoint-cert.pem has signed it"])
    for name in ("terminal-cert.pem", "gateway-cert.pem", "checkpoint-cert.pem"):
        der = x509.load_pem_x509_certificate((proofs / "J-2" / name).read_bytes()).public_bytes(Encoding.DER)
        for at in (20, len(der) // 2, len(der) - 1):
            changed = base64.encodebytes(_flipped(der, at, chance)).decode()
            pem = f"-----BEGIN CERTIFICATE-----\n{changed}-----END CERTIFICATE-----\n".encode()
            folder = _changed(proofs / "J-2", tmp_path, name, pem)
            _adapt_sums(folder)
            assert not prove(folder, tools)[0], (name, at)


@needs_tools
def test_the_operator_with_all_its_keys_cannot_change_what_a_bank_signed(
    journal: Journal, proofs: Path, tools: Path, tmp_path: Path
) -> None:
    """Another amount in the request, and all that is the operator's made anew to match: the bank's part is missing."""
    folder = _changed(proofs / "J-2", tmp_path, "README.txt", b"")
    request = (folder / "request.xml").read_bytes().replace(b">15.50<", b">95.50<")
    _make_anew(journal, folder, request)
    assert prove(folder, tools) == (False, ["the key of terminal-cert.pem has signed the Body of request.xml"])


@needs_tools
def test_a_signed_body_somewhere_else_in_the_message_proves_nothing(
    journal: Journal, proofs: Path, tools: Path, tmp_path: Path
) -> None:
    """Signature wrapping: the bank's own Body is carried along and verifies, and another one is in its place."""
    folder = _changed(proofs / "J-2", tmp_path, "README.txt", b"")
    request = (folder / "request.xml").read_bytes()
    begin, end = request.index(b"<soap:Body"), request.index(b"</soap:Envelope>")
    body = request[begin:end]
    forged = body.replace(b">15.50<", b">95.50<").replace(b'wsu:Id="B-', b'wsu:Id="C-')
    header_end = request.index(b"</soap:Header>")
    wrapped = request[:header_end] + b"<w>" + body + b"</w>" + request[header_end:begin] + forged + request[end:]
    _make_anew(journal, folder, wrapped)
    assert prove(folder, tools) == (False, ["the key of terminal-cert.pem has signed the Body of request.xml"])


def test_what_is_not_sealed_is_not_exported(journal: Journal, tmp_path: Path) -> None:
    journal.ask("ATM-0001", "RegisterPayment", registration("LATE-1"))
    asked = ("export", "--dealer", "DEMO-BANK", "--reference", "LATE-1", "--output", str(tmp_path / "late"))
    refused = run(journal.settings, *asked)
    assert (refused.exit_code, "bankapi audit seal" in refused.output) == (1, True)
    assert not list(tmp_path.glob("late/*"))
    assert run(journal.settings, "seal").exit_code == 0
    assert run(journal.settings, *asked).exit_code == 0
    unknown = run(journal.settings, "export", "--payment", "NONE", "--output", str(tmp_path / "none"))
    assert (unknown.exit_code, unknown.output) == (1, "bankapi: there is no such payment\n")
    assert run(journal.settings, "export", "--dealer", "X", "--output", str(tmp_path / "x")).exit_code == 2


def _flipped(content: bytes, at: int, chance: random.Random) -> bytes:
    return content[:at] + bytes([content[at] ^ chance.randrange(1, 256)]) + content[at + 1 :]


def _changed(proof: Path, parent: Path, name: str, content: bytes) -> Path:
    folder = parent / "changed"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(proof, folder)
    (folder / name).write_bytes(content)
    return folder


def _adapt_sums(folder: Path) -> None:
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != "SHA256SUMS")
    sums = (f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(folder)}\n" for file in files)
    (folder / "SHA256SUMS").write_text("".join(sums))


def _make_anew(journal: Journal, folder: Path, request: bytes) -> None:
    """Everything the operator can make: the answer, the record, a tree with its checkpoint, the sums."""
    identity, now = journal.gateway.identity, clock.utc_now()
    lines = (folder / "leaf.txt").read_text().splitlines()
    header = exchange_header(lines[1], hashlib.sha256(request).digest())
    payload = messages.etree.fromstring(f'<b:Nothing xmlns:b="{journals.NAMESPACE}"/>')
    answer = signing.sign_envelope(payload, identity, now=now, headers=(header,))
    lines[10:] = [hashlib.sha256(request).hexdigest(), hashlib.sha256(answer).hexdigest()]
    leaf = "".join(f"{line}\n" for line in lines).encode()
    checkpoint = checkpoints.sign("bankapi/journal", 1, tree.leaf_hash(leaf), identity, now)
    made = {"request.xml": request, "answer.xml": answer, "leaf.txt": leaf, "proof.txt": b""}
    for name, content in {**made, "checkpoint.txt": checkpoint.note.encode()}.items():
        (folder / name).write_bytes(content)
    _adapt_sums(folder)


# Witnesses


def test_a_witness_keeps_what_continues_and_refuses_everything_else(journal: Journal, tmp_path: Path) -> None:
    own, certificate = journal.settings, str(journal.settings.gateway_file("signing-cert.pem"))
    sizes = [each.size for each in journal.checkpoints]
    folder, file = tmp_path / "witness", tmp_path / "checkpoint.txt"

    def offer(attestation: Attestation) -> Result:
        file.write_text(attestation.text(), newline="")
        return run(own, "witness", str(folder), str(file), "--certificate", certificate)

    def proved(index: int, old_size: int | None) -> Attestation:
        with journal.gateway.store.read() as connection:
            return witness.attest(connection, journal.checkpoints[index], old_size)

    assert offer(proved(0, None)).exit_code == 0
    assert offer(proved(0, None)).exit_code == 0  # the same again
    assert offer(proved(1, sizes[0])).exit_code == 0
    assert offer(proved(3, sizes[1])).exit_code == 0
    kept = sorted(folder.iterdir())
    assert [checkpoints.parse(each.read_text()).size for each in kept] == [sizes[0], sizes[1], sizes[3]]

    good = proved(4, sizes[3])
    identity, now = journal.gateway.identity, clock.utc_now()
    other_root = checkpoints.sign("bankapi/journal", sizes[3], bytes(32), identity, now)
    forked = checkpoints.sign("bankapi/journal", sizes[4], bytes(32), identity, now)
    elsewhere = checkpoints.sign("other/journal", sizes[4], good.checkpoint.root, identity, now)
    stranger = keys.load_identity(own.terminal_file("ATM-0001", "cert.pem"), own.terminal_file("ATM-0001", "key.pem"))
    unsigned = checkpoints.sign("bankapi/journal", sizes[4], good.checkpoint.root, stranger, now)
    for attestation, reason in (
        (proved(1, None), "rollback"),
        (Attestation(other_root), "fork"),
        (replace(good, checkpoint=forked), "fork"),
        (replace(good, proof=good.proof[:-1]), "fork"),
        (replace(good, proof=(*good.proof[:-1], bytes(32))), "fork"),
        (replace(good, checkpoint=elsewhere), "another journal"),
        (replace(good, checkpoint=unsigned), "bad signature"),
        (proved(4, sizes[1]), f"--since {sizes[3]}"),
        (proved(4, None), f"--since {sizes[3]}"),
    ):
        refused = offer(attestation)
        assert (refused.exit_code, reason in refused.output) == (1, True), (reason, refused.output)
    assert sorted(folder.iterdir()) == kept
    file.write_bytes(b"\xff not a checkpoint")
    assert run(own, "witness", str(folder), str(file), "--certificate", certificate).exit_code == 1
    assert offer(good).exit_code == 0


def test_checkpoints_are_printed_with_the_proof_a_witness_asks_for(journal: Journal, tmp_path: Path) -> None:
    first = journal.checkpoints[0]
    kept = tmp_path / "kept.txt"
    kept.write_text(first.note, newline="")
    for since in (str(first.size), str(kept)):
        attestation = witness.parse(run(journal.settings, "checkpoint", "--since", since).output)
        witness.accept(attestation, first, [journal.gateway.identity.certificate])
    text = run(journal.settings, "checkpoint", "--since", str(first.size)).output
    for at in range(len(text)):
        changed = text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]
        with pytest.raises((witness.WitnessRefused, checkpoints.CheckpointError)):
            witness.accept(witness.parse(changed), first, [journal.gateway.identity.certificate])
    refused = run(journal.settings, "checkpoint", "--since", "1000000")
    assert (refused.exit_code, "the newest checkpoint is of size" in refused.output) == (1, True)
    assert run(journal.settings, "checkpoint", "--since", "nothing").exit_code == 2


# The command


def test_the_audit_ends_with_0_1_2_or_3(journal: Journal, tmp_path: Path) -> None:
    copy = tmp_path / "var"
    shutil.copytree(journal.settings.home, copy)
    own = settings.load(copy, {})
    sound = run(own, "verify", "--json")
    assert (sound.exit_code, json.loads(sound.output)["sound"]) == (0, True)
    told = run(own, "verify", "--from", "4")
    assert (told.exit_code, "µs each" in told.output) == (0, True)
    old = tmp_path / "old.txt"
    old.write_text(checkpoints.sign("bankapi/journal", 3, bytes(32), journal.gateway.identity, clock.utc_now()).note)
    witnessed = run(own, "verify", "--checkpoint", str(old), "--json")
    assert witnessed.exit_code == 1
    (finding,) = json.loads(witnessed.output)["findings"]
    assert (finding["kind"], finding["place"]) == ("checkpoint.root", "given checkpoint 3")
    assert run(own, "verify", "--from", str(old)).exit_code == 1
    assert run(own, "verify", "--from", "nothing").exit_code == 2
    assert run(settings.load(tmp_path / "nowhere", {}), "verify").exit_code == 3


def test_the_audit_says_the_same_on_postgresql(postgres: Postgres, tmp_path: Path) -> None:  # noqa: F811
    with postgres.database("template1") as url:
        own = settings.load(tmp_path / "var", {"BANKAPI_STORAGE_URL": url})
        homes.create(own, demo=True, now=clock.utc_now())
        with journals.opened(own) as journal:
            journals.fill(journal)
            store, terms = journal.gateway.store, _terms(own)
            sound = audit.verify(store, replace(terms, checkpoints=journal.checkpoints))
            assert sound.is_sound, sound.findings
            assert (sound.examined, sound.tree_size, sound.payments, sound.cancellations) == (16, 16, 6, 1)
            for statement, kinds in (
                ("UPDATE payments SET amount_minor = 1 WHERE reference = 'J-1'", {"payment.differs", "ledger.payment"}),
                ("UPDATE exchanges SET outcome = 'OK' WHERE outcome = 'SECURITY'", {"leaf.hash", "exchange.differs"}),
                ("UPDATE tree_nodes SET hash = '\\x00' WHERE level = 2 AND position = 1", {"node"}),
                (
                    "UPDATE postings SET amount_minor = amount_minor + 1 WHERE id = 1",
                    {"ledger.unbalanced", "ledger.balance"},
                ),
                ("DELETE FROM tree_leaves WHERE leaf_index = 15", {"checkpoint.ahead", "node"}),
            ):
                with store.engine.begin() as connection:
                    connection.exec_driver_sql("SET session_replication_role = replica")  # no triggers
                    connection.exec_driver_sql(statement)
                    view: Any = _OpenTransaction(connection)
                    assert {str(each.kind) for each in audit.verify(view, terms).findings} == kinds, statement
                    connection.rollback()


@dataclass
class _OpenTransaction:
    """Stands in for a store: what this connection has changed and not committed."""

    connection: Connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        yield self.connection


def _terms(own: Settings, **changes: Any) -> Terms:
    authority = keys.load_certificate(own.ca_certificate)
    return replace(Terms(authorities=(authority,), profile=PROFILE_V1, now=clock.utc_now()), **changes)


# Stopping at any moment

_SEAL = """
import sys
from bankapi.evidence import sealing
from bankapi.storage.engine import Store
sealing.BATCH_MAX = 3
store = Store(sys.argv[1])
print("ready", flush=True)
sealing.seal(store)
"""


def test_a_sealer_killed_at_any_moment_leaves_a_tree_that_goes_on(installation: Settings) -> None:
    _kill_sealers(installation, times=4)


@pytest.mark.slow
def test_a_sealer_killed_many_times_leaves_a_tree_that_goes_on(installation: Settings) -> None:
    _kill_sealers(installation, times=30)


def _kill_sealers(own: Settings, times: int) -> None:
    store, chance = Store(own.database_url), random.Random(8)
    identity = keys.load_identity(own.gateway_file("signing-cert.pem"), own.gateway_file("signing-key.pem"))
    total = at_work = 0
    for _ in range(times):
        more = [_unverified(number) for number in range(total, total + 300)]
        store.write(lambda connection, more=more: [exchanges.append(connection, each) for each in more])  # type: ignore[misc]
        total += len(more)
        sealer = subprocess.Popen([sys.executable, "-c", _SEAL, own.database_url], stdout=subprocess.PIPE)
        assert sealer.stdout is not None
        sealer.stdout.readline()
        time.sleep(chance.random() * 0.1)
        os.kill(sealer.pid, signal.SIGKILL)
        sealer.communicate()
        with store.read() as connection:
            at_work += sealing.tree_size(connection) < total
        sealing.sign_checkpoint(store, "bankapi/journal", identity, clock.utc_now())
    assert at_work, "none was killed at work"
    sealing.seal(store)
    sealing.sign_checkpoint(store, "bankapi/journal", identity, clock.utc_now())
    report = audit.verify(store, _terms(own, from_size=total))
    assert (report.is_sound, report.tree_size, report.unsealed) == (True, total, 0), report.findings[:3]
    store.close()


def _unverified(number: int) -> Exchange:
    now = clock.utc_now()
    return Exchange(
        exchange_id=f"{number:026d}",
        received_at=now,
        answered_at=now,
        operation=None,
        outcome="SECURITY",
        rule="wsse.header-missing",
        terminal_id=None,
        tls_fingerprint=None,
        signed=None,
        request=b"",
        answer=b"",
    )
