"""What holds for every stack. A stack's test module subclasses `Promises` and says how its client is started.

`promise` names the row of the matrix (`matrix.py`) that a test stands for.
"""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bankapi import clock
from bankapi.cli.authority import Authority, Purpose, certificate_pem, key_pem, new_rsa_key, subject_name
from tests.interop import answers
from tests.interop.middle import Change, man_in_the_middle
from tests.interop.stacks import Run, Stack, evidence, xmlsec1_accepts

ON_ANSWERS = (
    answers.changed,
    answers.without_signature,
    answers.without_security,
    answers.with_another_exchange,
)
BALANCE = ("Opening", "Registered", "Cancelled", "PaidIn", "Corrected", "Closing")
WRAPPED = (answers.wrapped, answers.wrapped_under_the_same_id, answers.moved_into_the_header)


promise = pytest.mark.promise
MOVED = "a Body put in the signed one's place: not believed"
FORGED = "a forged answer or fault: refused"


class Promises:
    title: str
    """The stack's name for people."""

    @promise("Ping")
    def test_it_pings(self, tour: Run) -> None:
        assert tour[0]["answer"]["Status"] == "AVAILABLE"

    @promise("ValidatePayment")
    def test_it_validates(self, tour: Run) -> None:
        answer = tour[1]["answer"]
        assert (answer["Result"]["Code"], answer["PayerName"]) == ("OK", "I*** P.")

    @promise("RegisterPayment")
    def test_it_registers_a_payment(self, tour: Run, stack: Stack) -> None:
        answer = tour[2]["answer"]
        assert (answer["Result"]["Code"], answer["Replayed"]) == ("OK", False)
        credited = answer["CreditedAmount"]
        assert (credited[stack.value_key], stack.currency(credited)) == ("100.00", "RUB")
        assert len(answer["ReceiptLine"]) > 1

    @promise("the same request again: the first answer, `Replayed`")
    def test_the_same_request_signed_anew_gets_the_first_answer_again(self, tour: Run) -> None:
        first, again = tour[2]["answer"], tour[3]["answer"]
        assert again == {**first, "Replayed": True}

    @promise("another amount: REFERENCE_CONFLICT")
    def test_another_amount_under_the_reference_is_a_conflict_and_no_fault(self, tour: Run) -> None:
        result = tour[4]["answer"]["Result"]
        assert (result["Code"], result["Retry"]) == ("REFERENCE_CONFLICT", "NO")

    @promise("GetPaymentStatus")
    def test_it_asks_what_became_of_the_payment(self, tour: Run, stack: Stack) -> None:
        answer = tour[5]["answer"]
        assert (answer["Status"], answer["PaymentId"]) == ("REGISTERED", tour[2]["answer"]["PaymentId"])
        assert answer["Amount"][stack.value_key] == "100.00"

    @promise("the typed fault")
    def test_a_schema_violation_raises_the_typed_fault(self, tour: Run) -> None:
        fault = tour[6]["fault"]
        assert (fault["Code"], fault["Retry"]) == ("SCHEMA_VIOLATION", "NO")
        assert fault["ExchangeId"] == tour[6]["exchange_id"]
        assert _first(fault["Violation"])["Path"].endswith("/Reference")
        assert tour.exit_code == 1

    @promise("GetBalance", "GetMiniStatement")
    def test_it_asks_for_the_balance_and_what_moved_it_last(self, tour: Run, stack: Stack) -> None:
        balance, statement = tour[7]["answer"], tour[8]["answer"]
        assert (balance["Result"]["Code"], statement["Result"]["Code"]) == ("OK", "OK")
        newest = _first(statement["Transaction"])
        assert (newest["Kind"], newest["Amount"][stack.value_key]) == ("PAYMENT", "100.00")
        assert newest["Balance"] == statement["Balance"] == balance["Balance"]
        assert stack.currency(balance["Balance"]) == "RUB"

    @promise("CancelPayment, and again")
    def test_it_cancels_the_payment_and_the_same_request_signed_anew_gets_that_answer_again(
        self, tour: Run, stack: Stack
    ) -> None:
        first, again = tour[9]["answer"], tour[10]["answer"]
        assert (first["Result"]["Code"], first["Status"], first["Replayed"]) == ("OK", "CANCELLED", False)
        assert first["PaymentId"] == tour[2]["answer"]["PaymentId"]
        assert first["Amount"][stack.value_key] == "100.00"
        assert again == {**first, "Replayed": True}

    @promise("GetTransactionReport")
    def test_it_finds_the_payment_in_the_report_of_its_day(self, tour: Run, stack: Stack) -> None:
        answer = tour[11]["answer"]
        assert answer["Result"]["Code"] == "OK"
        (ours,) = (each for each in _all(answer["Transaction"]) if each["PaymentId"] == tour[2]["answer"]["PaymentId"])
        assert (ours["Event"], ours["Terminal"]) == ("REGISTERED", "ATM-0001")
        assert (ours["Amount"][stack.value_key], stack.currency(ours["Amount"])) == ("100.00", "RUB")

    @promise("GetFinancialReport")
    def test_it_asks_what_the_day_came_to(self, tour: Run, stack: Stack) -> None:
        answer = tour[12]["answer"]
        (line,) = (each for each in _all(answer["Line"]) if each["Terminal"] == "ATM-0001")
        assert int(line["RegisteredCount"]) >= int(line["CancelledCount"]) >= 1
        found = _first(answer["DealerBalance"])
        money = {name: Decimal(found[name][stack.value_key]) for name in BALANCE}
        added = money["Opening"] + money["Cancelled"] + money["PaidIn"] + money["Corrected"]
        assert money["Closing"] == added - money["Registered"]
        assert found["Scheme"] == line["Scheme"]

    @promise("SubmitRegister")
    def test_its_register_is_compared_with_the_books(self, tour: Run) -> None:
        answer = tour[13]["answer"]
        assert (answer["Result"]["Code"], answer["Status"], answer["Replayed"]) == ("OK", "RECONCILED", False)
        found = answer["Reconciliation"]
        assert (int(found["StatusDiffers"]), int(found["Matched"])) == (1, 0), "it was cancelled after all"

    @promise("GetReconciliation")
    def test_it_reads_in_what_the_two_sides_differ(self, tour: Run, stack: Stack) -> None:
        answer = tour[14]["answer"]
        assert answer["Reconciliation"] == tour[13]["answer"]["Reconciliation"]
        (ours,) = (each for each in _all(answer["Difference"]) if each["Kind"] == "STATUS_DIFFERS")
        assert (ours["Yours"]["Status"], ours["Ours"]["Status"]) == ("REGISTERED", "CANCELLED")
        assert ours["Ours"]["Amount"][stack.value_key] == "100.00"

    @promise("request, answer and fault verified by xmlsec1 alone")
    def test_the_evidence_is_the_bytes_on_the_wire_and_xmlsec1_alone_verifies_them(
        self, stack: Stack, tmp_path: Path
    ) -> None:
        settings = stack.gateway.settings
        with man_in_the_middle(settings, "ATM-0001") as middle:
            run = stack.run("register", "violate", reference=stack.reference(), url=middle.url)
        request, answer = evidence(stack.gateway, run[0]["exchange_id"])
        assert (request, answer) == (middle.requests[0], middle.answers[0])
        if shutil.which("xmlsec1") is None:
            pytest.skip("xmlsec1 is not installed: nobody but us verified the bytes")
        terminal, gateway = settings.terminal_file("ATM-0001", "cert.pem"), settings.gateway_file("signing-cert.pem")
        assert xmlsec1_accepts(request, terminal, tmp_path)
        assert xmlsec1_accepts(answer, gateway, tmp_path)
        assert xmlsec1_accepts(middle.answers[1], gateway, tmp_path), "the fault"
        assert not xmlsec1_accepts(request, gateway, tmp_path)
        assert not xmlsec1_accepts(request.replace(b"100.00", b"900.00"), terminal, tmp_path)
        assert not xmlsec1_accepts(answer.replace(b">false<", b">true<"), gateway, tmp_path)

    @promise("a request changed after signing: SECURITY fault")
    def test_a_request_changed_after_signing_raises_the_security_fault_and_books_nothing(self, stack: Stack) -> None:
        run = stack.run("tamper", "status", reference=stack.reference())
        fault = run[0]["fault"]
        assert (fault["Code"], fault["Retry"]) == ("SECURITY", "NO")
        assert run[1]["answer"]["Status"] == "NEVER_SEEN"
        assert run.exit_code == 1

    @promise("another terminal's request: SECURITY fault")
    def test_a_request_signed_by_another_terminal_than_speaks_raises_the_security_fault(self, stack: Stack) -> None:
        with man_in_the_middle(stack.gateway.settings, "ATM-0002") as middle:
            run = stack.run("register", reference=stack.reference(), url=middle.url)
        assert run[0]["fault"]["Code"] == "SECURITY"

    @promise("equal requests of one second are no replay")
    def test_equal_requests_of_one_second_are_no_replay(self, stack: Stack) -> None:
        """RSA signatures are deterministic: what differs must be in what is signed."""
        with ThreadPoolExecutor(4) as threads:
            runs = list(threads.map(lambda _: stack.run("ping", "ping", reference="-"), range(4)))
        assert [run.exit_code for run in runs] == [0] * 4

    @promise(FORGED)
    def test_a_man_in_the_middle_who_changes_the_request_is_noticed_by_both_sides(self, stack: Stack) -> None:
        """The gateway's fault names the digest of what it received: to the client it is an answer to somebody else."""
        reference = stack.reference()
        with man_in_the_middle(stack.gateway.settings, "ATM-0001", of_request=_nine_hundred) as middle:
            run = stack.run("register", reference=reference, url=middle.url)
        assert b">SECURITY<" in middle.answers[0]
        assert "the answer is to another request" in run[0]["error"]
        assert run.exit_code == 3
        assert stack.run("status", reference=reference)[0]["answer"]["Status"] == "NEVER_SEEN"

    @promise(FORGED)
    @pytest.mark.parametrize("forge", ON_ANSWERS, ids=lambda forge: forge.__name__)
    def test_a_forged_answer_is_refused_by_the_client(self, stack: Stack, forge: Change) -> None:
        with man_in_the_middle(stack.gateway.settings, "ATM-0001", of_answer=forge) as middle:
            run = stack.run("status", reference=stack.reference(), url=middle.url)
        assert b">NEVER_SEEN<" in middle.answers[0]
        _assert_not_believed(run)

    @promise(MOVED)
    @pytest.mark.parametrize("forge", WRAPPED, ids=lambda forge: forge.__name__)
    def test_a_signed_body_that_was_moved_does_not_vouch_for_another(self, stack: Stack, forge: Change) -> None:
        with man_in_the_middle(stack.gateway.settings, "ATM-0001", of_answer=forge) as middle:
            run = stack.run("status", reference=stack.reference(), url=middle.url)
        assert b">NEVER_SEEN<" in middle.answers[0]
        _assert_not_believed(run)

    @promise(FORGED)
    def test_an_answer_signed_by_a_terminal_is_refused_by_the_client(self, stack: Stack) -> None:
        """The same CA issued the certificate, and the signature holds: it is not the gateway's."""
        settings = stack.gateway.settings
        forge = answers.signed_by_terminal(settings, "ATM-0002")
        with man_in_the_middle(settings, "ATM-0001", of_answer=forge) as middle:
            url, reference = middle.url, stack.reference()
            _assert_not_believed(stack.run("status", reference=reference, url=url))
            signer = settings.terminal_file("ATM-0002", "cert.pem")
            believed = stack.run("status", reference=reference, url=url, gateway_certificate=signer)
        assert believed[0]["answer"]["Status"] == "REGISTERED", "refused for the signer, and for nothing else"

    @promise(FORGED)
    def test_the_gateways_answer_to_another_request_is_refused_by_the_client(self, stack: Stack) -> None:
        kept: list[bytes] = []

        def always_the_first(answer: bytes) -> bytes:
            kept.append(answer)
            return kept[0]

        with man_in_the_middle(stack.gateway.settings, "ATM-0001", of_answer=always_the_first) as middle:
            run = stack.run("status", "status", reference=stack.reference(), url=middle.url)
        assert run[0]["answer"]["Status"] == "NEVER_SEEN"
        assert "the answer is to another request" in run[1]["error"]

    @promise(FORGED)
    def test_a_changed_fault_is_refused_by_the_client(self, stack: Stack) -> None:
        with man_in_the_middle(stack.gateway.settings, "ATM-0001", of_answer=_repeat_it_later) as middle:
            run = stack.run("violate", reference=stack.reference(), url=middle.url)
        assert b">SCHEMA_VIOLATION<" in middle.answers[0]
        _assert_not_believed(run)

    @promise(FORGED)
    def test_a_fault_without_its_signature_is_refused_by_the_client(self, stack: Stack) -> None:
        with man_in_the_middle(stack.gateway.settings, "ATM-0001", of_answer=answers.unsigned) as middle:
            run = stack.run("violate", reference=stack.reference(), url=middle.url)
        assert b">SCHEMA_VIOLATION<" in middle.answers[0]
        _assert_not_believed(run)

    @promise("a server of another name or another CA: nothing is sent")
    @pytest.mark.parametrize("wrong", ["name", "authority", None])
    def test_it_speaks_to_no_other_server(
        self, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str | None
    ) -> None:
        """Our CA, and the name in the address; what the system trusts beside them makes no difference."""
        settings, now = stack.gateway.settings, clock.utc_now()
        ours = Authority.load(settings.ca_certificate, settings.ca_key)
        authority = Authority.create("bankapi operator CA", now) if wrong == "authority" else ours
        (tmp_path / "system.pem").write_bytes(certificate_pem(authority.certificate))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "system.pem"))
        hosts = ("other.example",) if wrong == "name" else ("localhost",)
        key = new_rsa_key()
        issued = authority.issue(subject_name("server"), key.public_key(), Purpose.TLS_SERVER, now, hosts=hosts)
        shutil.copytree(settings.home, tmp_path / "home", ignore=shutil.ignore_patterns("bankapi.db*"))
        elsewhere = replace(settings, home=tmp_path / "home")
        elsewhere.gateway_file("cert.pem").write_bytes(certificate_pem(issued))
        elsewhere.gateway_file("key.pem").write_bytes(key_pem(key))
        with man_in_the_middle(elsewhere, "ATM-0001") as middle:
            run = stack.run("ping", reference="-", url=middle.url)
        assert (run.exit_code, len(middle.requests)) == ((0, 1) if wrong is None else (3, 0))

    @promise("a result code of a later contract: no OK")
    def test_a_code_of_a_later_contract_is_no_error_and_no_yes(self, stack: Stack) -> None:
        """Some stacks read a value that their enumeration does not have as nothing."""
        extend = answers.of_a_later_contract(stack.gateway.settings)

        def forge(answer: bytes) -> bytes:
            assert answer.count(b":Code>OK<") == 1
            return extend(answer.replace(b":Code>OK<", b":Code>ADDED_LATER<"))

        with man_in_the_middle(stack.gateway.settings, "ATM-0001", of_answer=forge) as middle:
            run = stack.run("status", reference=stack.reference(), url=middle.url)
        assert run[0]["answer"]["Result"].get("Code") in ("ADDED_LATER", None)
        assert run[0]["answer"]["Status"] == "NEVER_SEEN"

    @promise("an answer of a later contract: read")
    def test_an_answer_of_a_later_contract_is_read(self, stack: Stack) -> None:
        """Response elements may be added: what a client does not know it must not refuse."""
        forge = answers.of_a_later_contract(stack.gateway.settings)
        with man_in_the_middle(stack.gateway.settings, "ATM-0001", of_answer=forge) as middle:
            run = stack.run("status", reference=stack.reference(), url=middle.url)
        assert run[0]["answer"]["Status"] == "NEVER_SEEN"


def rows() -> list[str]:
    """The rows of the matrix, in the order of the promises."""
    marks = (mark for each in vars(Promises).values() for mark in getattr(each, "pytestmark", []))
    return list(dict.fromkeys(row for mark in marks if mark.name == "promise" for row in mark.args))


def assert_it_works(stack: Stack, contract: Path) -> None:
    """A client that is made of this WSDL pays, asks, and cancels; what it may not know yet is left out."""
    steps = ("ping", "validate", "register", "register", "status", "balance", "statement", "cancel", "violate")
    run = stack.run(*steps, reference=stack.reference(), wsdl=contract)
    assert [line["answer"]["Result"]["Code"] for line in run.lines[1:-1]] == ["OK"] * 7
    assert (run[3]["answer"]["Replayed"], run[7]["answer"]["Status"]) == (True, "CANCELLED")
    assert run[8]["fault"]["Code"] == "SCHEMA_VIOLATION"


def _all(repeated: Any) -> list[dict[str, Any]]:
    """An element that may occur again; some stacks make an object of a single one, and a list of more."""
    return [repeated] if isinstance(repeated, dict) else repeated


def _first(repeated: Any) -> dict[str, Any]:
    return _all(repeated)[0]


def _nine_hundred(request: bytes) -> bytes:
    assert b">100.00<" in request
    return request.replace(b">100.00<", b">900.00<")


def _repeat_it_later(answer: bytes) -> bytes:
    assert b">NO<" in answer
    return answer.replace(b">NO<", b">LATER<")


def _assert_not_believed(run: Run) -> None:
    assert set(run[0]) == {"step", "error", "exchange_id"}
    assert run.exit_code == 3
