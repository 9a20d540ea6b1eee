"""Worked samples of requests, for the demo home and its configuration: what `bankapi way4 sample` prints.

They show each operation once, in the structure that public code shows; the identifiers in them are invented.
"""

import uuid
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from bankapi.way4.configuration import Operation
from bankapi.way4.reading import LOCAL_AT

DEMO_ZONE: Final = ZoneInfo("Europe/Moscow")
"""Of the demo's dealers, and so of the local times in its messages."""
_MESSAGE: Final = """<?xml version="1.0" encoding="UTF-8"?>
<UFXMsg scheme="WAY4Doc" msg_type="Doc" direction="Rq" version="2.0">
  <MsgId>{message_id}</MsgId>
  <Source app="DEMO-WAY4"/>
  <MsgData>
    <Doc>
      <TransType><TransCode><MsgCode>{code}</MsgCode></TransCode></TransType>
{content}    </Doc>
  </MsgData>
</UFXMsg>
"""
_REFERENCES: Final = """      <DocRefSet>
        <Parm><ParmCode>RRN</ParmCode><Value>{rrn}</Value></Parm>
      </DocRefSet>
      <LocalDt>{local_at}</LocalDt>
"""
_TERMINAL: Final = "      <Source><ContractNumber>{terminal}</ContractNumber></Source>\n"
_SUBSCRIBER: Final = """      <Destination>
        <Client><ClientInfo><ClientNumber>{msisdn}</ClientNumber></ClientInfo></Client>
      </Destination>
"""
_AMOUNT: Final = "      <Transaction><Currency>{currency}</Currency><Amount>{amount}</Amount></Transaction>\n"
_STATEMENT: Final = """      <ResultDtls>
        <Parm><ParmCode>StmtType</ParmCode><Value>Additional</Value></Parm>
        <Parm><ParmCode>StmtMaxRecords</ParmCode><Value>5</Value></Parm>
      </ResultDtls>
"""
_BALANCE: Final = """      <ResultDtls>
        <Parm><ParmCode>Balance</ParmCode><Value>AVAILABLE</Value></Parm>
      </ResultDtls>
"""
_SAMPLES: Final = {
    Operation.VALIDATE: ("02000V", _TERMINAL + _SUBSCRIBER + _AMOUNT),
    Operation.REGISTER: ("02000R", _REFERENCES + _TERMINAL + _SUBSCRIBER + _AMOUNT),
    Operation.CANCEL: ("02000R_rev", _REFERENCES + _TERMINAL + _SUBSCRIBER + _AMOUNT),
    Operation.STATUS: ("02000S", _REFERENCES + _TERMINAL),
    Operation.BALANCE: ("01000B", _TERMINAL + _SUBSCRIBER + _BALANCE),
    Operation.STATEMENT: ("01000UFX", _TERMINAL + _SUBSCRIBER + _STATEMENT),
}


def sample(
    operation: Operation,
    *,
    local_at: datetime,
    rrn: str,
    terminal: str = "ATM-0001",
    msisdn: str = "79160000001",
    amount: str = "100.00",
    currency: str = "RUB",
) -> str:
    """One request. `local_at` is a time by the terminal's clock, and `rrn` its 12 digits."""
    code, content = _SAMPLES[operation]
    values = {
        "message_id": str(uuid.uuid4()),
        "code": code,
        "rrn": rrn,
        "local_at": local_at.strftime(LOCAL_AT),
        "terminal": terminal,
        "msisdn": msisdn,
        "amount": amount,
        "currency": currency,
    }
    return _MESSAGE.format(content=content.format_map(values), **values)
