"""What an answer shows of an account in `DataRs`, in the elements that public code shows."""

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

from lxml import etree

from bankapi.billing.money import Money
from bankapi.billing.payers import ServiceStatus
from bankapi.billing.statements import StatementLine
from bankapi.way4.reading import LOCAL_AT, StatementRange


def contract(
    currency: str,
    status: ServiceStatus,
    *,
    name: str | None = None,
    balances: Mapping[str, Money | None] | None = None,
) -> etree._Element:
    """`ContractRs`: whose account it is as far as it may be seen, whether its service runs, and what it has."""
    element = etree.Element("ContractRs")
    about = etree.SubElement(element, "Contract")
    _add(about, Currency=currency, ContractName=name)
    info = etree.SubElement(element, "Info")
    _add(etree.SubElement(info, "Status"), StatusClass=_STATUS_CLASSES[status], StatusCode=status)
    if balances:
        listed = etree.SubElement(info, "Balances")
        for kind, amount in balances.items():
            if amount is not None:
                _balance(etree.SubElement(listed, "Balance"), kind, amount)
    return element


def statement(balance: Money, lines: Sequence[StatementLine], wanted: StatementRange, zone: ZoneInfo) -> etree._Element:
    """`Stmt`: the last movements of the account, the oldest first, after the balance before them.

    Of the ten that we show at most, those of the wanted days (in the zone), and of these the newest.
    """
    chosen = [
        line
        for line in lines
        if (wanted.first is None or wanted.first <= line.occurred_at.astimezone(zone).date())
        and (wanted.last is None or line.occurred_at.astimezone(zone).date() <= wanted.last)
    ][: wanted.lines_max]
    begin = chosen[-1].balance - chosen[-1].amount if chosen else balance
    element = etree.Element("Stmt")
    additional = etree.SubElement(element, "AdditionalStmt")
    _balance(etree.SubElement(etree.SubElement(additional, "BeginBalance"), "Balance"), "BALANCE", begin)
    for line in reversed(chosen):
        item = etree.SubElement(additional, "StmtItem")
        posted = etree.SubElement(item, "PostingDetails")
        amount = etree.SubElement(posted, "AccountAmount")
        _add(amount, Type=line.kind, Currency=line.amount.currency, Amount=_written(line.amount))
        _add(posted, Status="Posted")
        _add(etree.SubElement(item, "DocData"), LocalDt=line.occurred_at.astimezone(zone).strftime(LOCAL_AT))
    return element


_STATUS_CLASSES = {
    ServiceStatus.ACTIVE: "Valid",
    ServiceStatus.SUSPENDED: "Valid",
    ServiceStatus.BLOCKED: "Blocked",
    ServiceStatus.TERMINATED: "Closed",
}
"""Whether payments are taken, in a word; these words are ours."""


def _balance(element: etree._Element, kind: str, amount: Money) -> None:
    _add(element, Name=kind, Type=kind, Amount=_written(amount), Currency=amount.currency)


def _written(amount: Money) -> str:
    return f"{amount.to_decimal():f}"


def _add(parent: etree._Element, **values: str | None) -> None:
    for name, value in values.items():
        if value is not None:
            etree.SubElement(parent, name).text = value
