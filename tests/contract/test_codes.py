"""The words about result codes: total, true to what the operations can answer, and the same in README.md."""

import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

from bankapi import operations
from bankapi.contract import codes, publication
from bankapi.contract.application import Contract
from bankapi.contract.service import BankApi
from bankapi.refusals import FaultCode, ResultCode

README = Path(__file__).parents[2] / "README.md"
STORED = {"CancelPayment": {ResultCode.REFERENCE_VOIDED}}
"""Codes that an operation names without answering them: a tombstone waits for the registration."""


def test_every_code_has_its_line() -> None:
    lines = codes.result_codes()
    assert [line.code for line in lines] == list(ResultCode)
    for line in lines:
        assert line.meaning.endswith(".")
        assert line.advice.endswith(".")
        assert line.retry is line.code.retry
        assert line.operations


def test_every_operation_is_there_in_the_order_of_the_service(contract: Contract) -> None:
    assert list(codes.PRECEDENCE) == list(BankApi.public_methods)
    assert codes.PRECEDENCE.keys() == contract.operations


@pytest.mark.parametrize("operation", codes.PRECEDENCE)
def test_an_operation_answers_what_its_code_names(operation: str) -> None:
    told = {line.code for line in codes.result_codes() if operation in line.operations}
    everywhere = {ResultCode.OPERATION_NOT_ALLOWED, ResultCode.TEMPORARILY_UNAVAILABLE}
    assert everywhere <= told or operation == "Ping"
    module = getattr(operations, re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower())
    assert told - everywhere == named(module) - STORED.get(operation, set()) | {ResultCode.OK}


def named(module: ModuleType) -> set[ResultCode]:
    """The result codes in the source of an operation and of the operations it uses."""
    source = inspect.getsource(module)
    found = {ResultCode[name] for name in re.findall(r"\bResultCode\.([A-Z_]+)", source)}
    for name in ("checked_payer", "payable"):
        used = inspect.getmodule(vars(module).get(name))
        if used is not None and used is not module:
            found |= named(used)
    return found


@pytest.mark.parametrize("table", ["result_codes", "fault_codes"])
def test_the_readme_has_the_table(table: str) -> None:
    marker = table.replace("_", "-")
    found = re.search(rf"<!-- {marker} -->\n(.*?)<!-- /{marker} -->", README.read_text(), re.DOTALL)
    assert found is not None
    assert found[1].strip() == getattr(publication, f"{table}_markdown")().strip(), (
        f"put what bankapi.contract.publication.{table}_markdown() says between the markers"
    )


def test_every_fault_code_has_its_line() -> None:
    lines = publication.fault_codes_markdown().splitlines()[2:]
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines] == list(FaultCode)
    assert set(codes.FAULT_ADVICE) == set(FaultCode)
    assert all(line.endswith(f". | {code.retry} |") for line, code in zip(lines, FaultCode, strict=True))
