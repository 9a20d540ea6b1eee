"""Admission of a message without a signature: the TLS peer vouches for the terminal that the message names.

Looked up on every request, never remembered, as for signed messages (`gateway/admission`).
"""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection

from bankapi.billing import terminals
from bankapi.billing.terminals import Terminal
from bankapi.gateway import admission
from bankapi.gateway.tls import TLSIdentity
from bankapi.refusals import Refusal, Rule


def admit(
    connection: Connection, peer: TLSIdentity, terminal: str, dealers: Collection[str], now: datetime
) -> Terminal:
    """The terminal of this name, for a channel of its dealer or for the terminal itself.

    Refuses, in this order: an unregistered TLS certificate, one outside its registered window or revoked, a terminal
    that is not there for this sender (another dealer's is not, nor another one than its own for a terminal), a
    dealer who has not agreed to messages without a signature, a blocked terminal or dealer.
    """
    account = terminals.find_forwarded(connection, peer.fingerprint, terminal)
    if account.sender is None:
        raise Refusal(Rule.TLS_CERTIFICATE_UNKNOWN)
    admission.refuse_unusable(account.sender, now)
    if account.terminal is None or account.sender.terminal_id not in (None, account.terminal.id):
        raise Refusal(Rule.ADMISSION_TERMINAL_UNKNOWN)
    if account.terminal.dealer_name not in dealers:
        raise Refusal(Rule.ADMISSION_SIGNATURE_REQUIRED)
    admission.refuse_blocked(account)
    return account.terminal
