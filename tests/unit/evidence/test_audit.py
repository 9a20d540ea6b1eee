"""Whatever somebody changes in the database, the audit says what and where.

The journal is real and small. Every row of the evidence is deleted, doubled and swapped, every column of every row
changed, and every byte of what is hashed or signed flipped, one change at a time, with all triggers and keys gone.
The whole audit runs on each change of a row; flipped bytes go through the part of the audit that reads them.
"""

import itertools
import random
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bankapi.evidence import audit, payment_audit, reading
from bankapi.evidence.exchange_audit import BodyDamaged, Examiner, KeptExchange, kept_body
from bankapi.evidence.findings import Findings
from bankapi.evidence.journal_audit import JournalAudit, kept_certificates
from bankapi.evidence.tree_audit import TreeAudit, TreeState
from bankapi.storage.engine import Store
from tests.unit.evidence.conftest import EVIDENCE, Bench, Kept, filled, opened


def is_held(table: str, row: dict[str, Any], column: str, changed: object) -> bool:
    """Is this a change that must be found? The exceptions, each with its reason."""
    match table, column:
        case "exchanges", "request_bytes":
            # Of a request that was never verified only the digest is sealed, not the length.
            return row["signing_fingerprint"] is not None or not isinstance(changed, int)
        case "exchanges", "request" | "answer" if isinstance(changed, bytes):
            # Some bits of zlib's form mean nothing: then the message is what it was.
            return not is_same_message(changed, row[f"{column}_digest"])
        case "signing_certificates", "used_from":
            # Bounded by the certificate's validity, otherwise the operator's word.
            return False
        case "payments", "id" | "account_id":
            # No answer names the row of a decline or a voided reference, and none of them moved money.
            return row["disposition"] == "REGISTERED"
        case "payments", "business_on":
            # Of what moved no money the audit holds the day to the instant, whatever the zone was.
            is_near = payment_audit._is_near(reading.day(changed), reading.instant(row["decided_at"]))
            return row["disposition"] == "REGISTERED" or not is_near
        case "payments", "scheme":
            # A decline moved no money by any scheme.
            return row["disposition"] == "REGISTERED"
        case "payments", "counted":
            # Which limits it was counted for is kept for giving it back, and told to nobody.
            return row["disposition"] != "REGISTERED"
        case "cancellations", "id":
            return False  # an answer names the payment
        case _:
            return True


def is_same_message(packed: bytes, digest: bytes) -> bool:
    try:
        kept_body(packed, digest)
    except BodyDamaged:
        return False
    return True


def test_an_untouched_journal_is_sound(kept: Kept) -> None:
    store = Store(f"sqlite:///{kept.database}")
    try:
        report = audit.verify(store, replace(kept.terms, checkpoints=kept.checkpoints, is_strict=True))
    finally:
        store.close()
    assert report.is_sound, report.findings
    assert (report.exchanges, report.tree_size, report.examined, report.checkpoints) == (16, 16, 16, 4)
    assert (report.payments, report.cancellations, report.unsealed, report.archived) == (6, 1, 0, 0)


def test_the_processes_of_an_audit_find_the_same_in_the_same_order(kept: Kept, bench: Bench) -> None:
    with bench.changed("UPDATE exchanges SET outcome = 'OTHER' WHERE id % 3 = 0"):
        alone, together = bench.verify(processes=1), bench.verify(processes=2)
    assert alone == together
    assert len({finding.place for finding in alone.findings}) >= 5


def test_what_was_verified_before_is_not_read_again(bench: Bench) -> None:
    settled = bench.verify(from_size=7)
    assert (settled.is_sound, settled.examined, settled.exchanges) == (True, 9, 16)
    body = "UPDATE exchanges SET answer = x'00' WHERE id = 3"
    assert bench.findings(body, from_size=7) == []
    assert [kind for kind, _ in bench.findings(body, from_size=2)] == ["answer.bytes"]
    assert [kind for kind, _ in bench.findings("UPDATE exchanges SET outcome = 'OTHER' WHERE id = 3", from_size=7)] == [
        "leaf.hash",
        "payment.exchange",
    ]


# Rows


def rows(bench: Bench, table: str) -> list[tuple[int, dict[str, Any]]]:
    found = bench.run(f"SELECT rowid, * FROM {table} ORDER BY rowid").mappings()
    return [(row["rowid"], {name: value for name, value in row.items() if name != "rowid"}) for row in found]


def other(value: object, column: str, chance: random.Random) -> object:
    """Another value of the same kind. Times that an answer gave are held to its milliseconds: beyond a minute."""
    match value:
        case bytes():
            at = chance.randrange(len(value))
            return value[:at] + bytes([value[at] ^ chance.randrange(1, 256)]) + value[at + 1 :]
        case str() if value:
            at = chance.randrange(16 if column in ("decided_at", "cancelled_at") else len(value))
            return value[:at] + chance.choice([each for each in "019AZaz:-" if each != value[at]]) + value[at + 1 :]
        case int():
            return value + chance.choice([1, -1])
        case _:
            return "X"


@pytest.mark.parametrize("table", [*EVIDENCE, "payments", "cancellations"])
def test_every_column_of_every_row_is_held(bench: Bench, table: str) -> None:
    chance = random.Random(1)
    for rowid, row in rows(bench, table):
        for column, value in row.items():
            changes = [other(value, column, chance), None if value is not None else b"X"]
            changes += ["", 7.5] if rowid % 8 == 1 else []
            for changed in (each for each in changes if each != value):
                found = bench.findings(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", changed, rowid)
                assert found or not is_held(table, row, column, changed), (table, column, value, changed)


@pytest.mark.parametrize("table", [*EVIDENCE, "payments", "cancellations", "billing_transactions", "postings"])
def test_every_row_is_missed(bench: Bench, kept: Kept, table: str) -> None:
    for rowid, row in rows(bench, table):
        # An old checkpoint is in no later one: only who was given it can miss it.
        found = bench.findings(f"DELETE FROM {table} WHERE rowid = ?", rowid, checkpoints=kept.checkpoints)
        assert found, (table, row)


@pytest.mark.parametrize("table", [*EVIDENCE, "payments", "cancellations", "postings"])
def test_no_row_is_taken_twice(bench: Bench, table: str) -> None:
    for rowid, row in rows(bench, table):
        assert bench.findings(f"INSERT INTO {table} SELECT * FROM {table} WHERE rowid = ?", rowid), (table, row)


@pytest.mark.parametrize(
    ("table", "keys"),
    [
        ("exchanges", ("id",)),
        ("tree_leaves", ("leaf_index",)),
        ("tree_leaves", ("exchange_row_id",)),
        ("tree_nodes", ("level", "position")),
        ("checkpoints", ("tree_size",)),
        ("payments", ("exchange_id",)),
        ("payments", ("reference",)),
    ],
)
def test_no_two_rows_change_places(bench: Bench, table: str, keys: tuple[str, ...]) -> None:
    found = rows(bench, table)
    for (first, one), (second, two) in itertools.combinations(found, 2):
        columns = ", ".join(f"{key} = CASE rowid WHEN ? THEN ? ELSE ? END" for key in keys)
        values = [value for key in keys for value in (first, two[key], one[key])]
        statement = f"UPDATE {table} SET {columns} WHERE rowid IN (?, ?)"
        assert bench.findings(statement, *values, first, second), (table, keys, one, two)


@pytest.mark.slow
def test_no_sampled_change_of_a_larger_journal_is_missed(demo_home: Path, tmp_path: Path, examined_once: None) -> None:
    kept, chance = filled(demo_home, tmp_path / "var", rounds=20), random.Random(9)
    with opened(kept, tmp_path / "bench.db") as bench:
        assert bench.verify(checkpoints=kept.checkpoints, is_strict=True).is_sound
        for table in [*EVIDENCE, "payments", "cancellations"]:
            for rowid, row in chance.choices(rows(bench, table), k=60):
                column = chance.choice(list(row))
                changed = other(row[column], column, chance)
                found = bench.findings(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", changed, rowid)
                assert found or not is_held(table, row, column, changed), (table, column, row[column], changed)
                gone = bench.findings(f"DELETE FROM {table} WHERE rowid = ?", rowid, checkpoints=kept.checkpoints)
                assert gone, (table, row)


# Bytes


def test_every_byte_of_every_kept_message_is_held(bench: Bench) -> None:
    """As it is stored, and unpacked, changed and packed again. Some bits of zlib's form mean nothing: then the
    message is what it was."""
    chance = random.Random(2)
    flipped = 0
    for exchange, _ in _exchanges(bench):
        for name in ("request", "answer"):
            packed, digest = getattr(exchange, name), getattr(exchange.content, f"{name}_digest")
            if packed is None:
                continue
            message = kept_body(packed, digest)
            for changed in _flips(packed, chance):
                flipped += 1
                with suppress(BodyDamaged):
                    assert kept_body(changed, digest) == message
            for changed in _flips(message, chance):
                flipped += 1
                with pytest.raises(BodyDamaged):
                    kept_body(zlib.compress(changed, 0), digest)
    assert flipped > 100_000


def test_every_byte_of_what_identifies_an_exchange_is_held(bench: Bench) -> None:
    chance = random.Random(3)
    for exchange, examiner in _exchanges(bench):
        sealed = exchange.content.hash()
        for name in ("request_digest", "answer_digest", "signing_fingerprint", "tls_fingerprint"):
            for changed in _flips(getattr(exchange.content, name) or b"", chance):
                assert replace(exchange.content, **{name: changed}).hash() != sealed
        for changed in _flips(exchange.replay_key or b"", chance):
            assert _breaks(examiner, replace(exchange, replay_key=changed))


@pytest.mark.parametrize(
    ("table", "column"),
    [("tree_leaves", "hash"), ("tree_nodes", "hash"), ("checkpoints", "root"), ("checkpoints", "note")],
)
def test_every_byte_of_the_tree_is_held(bench: Bench, table: str, column: str) -> None:
    chance = random.Random(4)
    for rowid, row in rows(bench, table) if column != "note" else rows(bench, table)[-2:]:
        value = row[column]
        for changed in _flips(value if isinstance(value, bytes) else value.encode(), chance):
            stored = changed if isinstance(value, bytes) else changed.decode("utf-8", "replace")
            with bench.changed(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", stored, rowid):
                assert _tree_findings(bench), (table, row, changed)


def test_every_byte_of_a_signing_certificate_is_held(bench: Bench) -> None:
    chance = random.Random(5)
    ((rowid, row),) = rows(bench, "signing_certificates")
    for column in ("der", "fingerprint"):
        for changed in _flips(row[column], chance):
            with bench.changed(f"UPDATE signing_certificates SET {column} = ? WHERE rowid = ?", changed, rowid):
                findings = Findings()
                kept_certificates(bench.connection, findings, bench.terms.authorities, bench.terms.profile)
                assert findings.kept, changed


def _flips(octets: bytes, chance: random.Random) -> Iterator[bytes]:
    for at, octet in enumerate(octets):
        yield octets[:at] + bytes([octet ^ chance.randrange(1, 256)]) + octets[at + 1 :]


def _exchanges(bench: Bench) -> Iterator[tuple[KeptExchange, Examiner]]:
    findings, terms = Findings(), bench.terms
    signers = kept_certificates(bench.connection, findings, terms.authorities, terms.profile)
    examiner = Examiner(audit.Examination(audit._der(terms.authorities), audit._der(signers.values()), terms.profile))
    journal = JournalAudit(bench.connection, findings, TreeState(), from_size=0, is_strict=False, now=terms.now)
    for exchange in list(journal.rows()):
        assert not _breaks(examiner, exchange)
        yield exchange, examiner


def _breaks(examiner: Examiner, exchange: KeptExchange) -> bool:
    return bool(Examiner.examine.__wrapped__(examiner, exchange).findings)  # type: ignore[attr-defined]


def _tree_findings(bench: Bench) -> list[Any]:
    findings, terms = Findings(), bench.terms
    signers = kept_certificates(bench.connection, findings, terms.authorities, terms.profile)
    TreeAudit(bench.connection, findings, signers, {}, ()).run()
    return findings.kept


# Stories


STORIES = [
    (
        "an amount is raised in the books",
        "UPDATE payments SET amount_minor = 1000000 WHERE reference = 'J-1'",
        {"payment.differs", "ledger.payment"},
    ),
    (
        "a payment is given to another payer, ledger and all",
        "UPDATE payments SET payer_value = '79160000009' WHERE reference = 'J-1'",
        {"payment.differs"},
    ),
    (
        "a payment is invented for an exchange that only asked",
        "INSERT INTO payments SELECT 'INVENTED', dealer_id, terminal_id, scheme, 'J-X', disposition, result,"
        " decided_at, business_on, (SELECT exchange_id FROM exchanges WHERE operation = 'Ping'), fingerprint,"
        " payer_kind, payer_value, account_id, amount_minor, currency, credited_minor, credited_currency,"
        " rate, fee_minor, fee_currency, paid_at, validation_id, card_bin, card_last_four, rrn,"
        " authorization_code, counted"
        " FROM payments WHERE reference = 'J-2'",
        {"payment.exchange", "ledger.payment"},
    ),
    (
        "a payment is forgotten",
        "DELETE FROM payments WHERE reference = 'J-2'",
        {"payment.missing", "ledger.payment"},
    ),
    (
        "a refusal is turned into an acceptance",
        "UPDATE exchanges SET outcome = 'OK' WHERE outcome = 'PAYER_BLOCKED'",
        {"leaf.hash", "exchange.differs", "payment.exchange"},
    ),
    (
        "a balance is raised",
        "UPDATE balances SET balance_minor = balance_minor + 1 WHERE ledger_account_id = 7",
        {"ledger.balance"},
    ),
    (
        "a posting is doubled on both sides",
        "UPDATE postings SET amount_minor = amount_minor * 2 WHERE billing_transaction_id ="
        " (SELECT id FROM billing_transactions WHERE kind = 'PAYMENT' LIMIT 1)",
        {"ledger.payment", "ledger.cancellation", "ledger.balance"},
    ),
    (
        "a cancellation is undone in the ledger",
        "DELETE FROM postings WHERE billing_transaction_id ="
        " (SELECT id FROM billing_transactions WHERE kind = 'CANCELLATION')",
        {"ledger.incomplete", "ledger.cancellation", "ledger.balance"},
    ),
]


@pytest.mark.parametrize(("statement", "kinds"), [story[1:] for story in STORIES], ids=[story[0] for story in STORIES])
def test_what_a_thief_might_do_is_named(bench: Bench, statement: str, kinds: set[str]) -> None:
    assert {kind for kind, _ in bench.findings(statement)} == kinds


def test_a_journal_cut_off_is_found_by_its_own_checkpoint_and_if_that_is_gone_by_a_bank_s(
    bench: Bench, kept: Kept
) -> None:
    bench.run("SAVEPOINT cut")
    bench.run("DELETE FROM cancellations")
    for table, where in (
        ("postings", "billing_transaction_id IN (SELECT id FROM billing_transactions WHERE payment_id IS NOT NULL)"),
        ("billing_transactions", "payment_id IS NOT NULL"),
        ("payments", "1"),
        ("exchanges", "id > 2"),
        ("tree_leaves", "leaf_index >= 2"),
        ("tree_nodes", "(position + 1) << level > 2"),
    ):
        bench.run(f"DELETE FROM {table} WHERE {where}")
    bench.run(
        "UPDATE balances SET balance_minor = (SELECT coalesce(sum(amount_minor), 0) FROM postings p"
        " WHERE p.ledger_account_id = balances.ledger_account_id)"
    )
    ahead = [(finding.kind, finding.place) for finding in bench.verify().findings]
    assert ahead == [("checkpoint.ahead", f"checkpoint {each.size}") for each in kept.checkpoints]
    bench.run("DELETE FROM checkpoints")
    assert bench.verify().is_sound  # nothing here remembers what was cut off
    given = [(finding.kind, finding.place) for finding in bench.verify(checkpoints=kept.checkpoints[:1]).findings]
    assert given == [("checkpoint.ahead", "given checkpoint 3")]
    bench.run("ROLLBACK TO cut")


def test_an_answer_remembers_the_checkpoint_it_carried(bench: Bench, kept: Kept) -> None:
    carried = [each.size for each in kept.checkpoints[1:3]]
    for size in carried:
        assert {kind for kind, _ in bench.findings("DELETE FROM checkpoints WHERE tree_size = ?", size)} == {
            "checkpoint.not-kept"
        }


def test_exchanges_may_wait_to_be_sealed_but_not_for_long(bench: Bench) -> None:
    """The last leaf is gone, and all that covers it: its exchange is one that was not sealed yet."""
    bench.run("SAVEPOINT waiting")
    bench.run("DELETE FROM checkpoints WHERE tree_size = 16")
    bench.run("DELETE FROM tree_leaves WHERE leaf_index = 15")
    bench.run("DELETE FROM tree_nodes WHERE (position + 1) << level = 16")
    waiting = bench.verify()
    assert (waiting.is_sound, waiting.unsealed, waiting.tree_size) == (True, 1, 15)
    later = bench.verify(now=bench.terms.now + timedelta(hours=1))
    assert [finding.kind for finding in later.findings] == ["checkpoint.overdue"]
    assert [finding.kind for finding in bench.verify(is_strict=True).findings] == ["exchange.unsealed"]
    bench.run("ROLLBACK TO waiting")


def test_a_body_in_an_archive_is_counted_and_any_other_is_missed(bench: Bench) -> None:
    with bench.changed("UPDATE exchanges SET request = NULL, answer = NULL WHERE id <= 5"):
        assert {(str(each.kind), each.what) for each in bench.verify().findings} == {
            ("body.missing", "a body is gone that was never archived")
        }
        bench.run("INSERT INTO archives VALUES (5, 1, '2026-01-01 00:00:00.000000', x'00')")
        archived = bench.verify()
        assert (archived.is_sound, archived.archived) == (True, 10)
        assert {each.kind for each in bench.verify(is_strict=True).findings} == {"body.missing"}
