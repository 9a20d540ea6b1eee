"""Admission: which terminal is this, and may it speak now? Looked up on every request, never remembered.

A kept-alive connection outlives a revocation list; this check does not.
"""

from datetime import datetime

from sqlalchemy import Connection

from bankapi.billing import terminals
from bankapi.billing.terminals import AccessStatus, Account, RegisteredCertificate, Terminal
from bankapi.gateway.tls import TLSIdentity
from bankapi.refusals import Refusal, Rule
from bankapi.wsse.verification import VerifiedEnvelope


def admit(connection: Connection, peer: TLSIdentity, verified: VerifiedEnvelope, now: datetime) -> Terminal:
    """The terminal whose certificate signed the message, sent by itself or by its dealer's channel.

    Refuses, in this order: an unregistered TLS or signing certificate, either outside its registered window or
    revoked, a TLS certificate that is neither the terminal's own nor a channel of its dealer, a blocked terminal
    or dealer (design section 4).
    """
    account = terminals.find_account(connection, peer.fingerprint, verified.fingerprint)
    sender, signer, terminal = account.sender, account.signer, account.terminal
    if sender is None:
        raise Refusal(Rule.TLS_CERTIFICATE_UNKNOWN)
    if signer is None or terminal is None:
        raise Refusal(Rule.ADMISSION_SIGNER_UNKNOWN)
    for certificate in (sender, signer):
        refuse_unusable(certificate, now)
    own = sender.terminal_id == signer.terminal_id
    channel = sender.terminal_id is None and sender.dealer_id == signer.dealer_id
    if not (own or channel):
        raise Refusal(Rule.ADMISSION_SIGNER_NOT_TLS_PEER)
    refuse_blocked(account)
    return terminal


def refuse_blocked(account: Account) -> None:
    """The terminal first, then its dealer."""
    if account.terminal_status is not AccessStatus.ACTIVE:
        raise Refusal(Rule.ADMISSION_TERMINAL_BLOCKED)
    if account.dealer_status is not AccessStatus.ACTIVE:
        raise Refusal(Rule.ADMISSION_DEALER_BLOCKED)


def refuse_unusable(certificate: RegisteredCertificate, now: datetime) -> None:
    """A certificate that was revoked, or is not registered for this time."""
    if certificate.revoked_at is not None and certificate.revoked_at <= now:
        raise Refusal(Rule.ADMISSION_CERTIFICATE_REVOKED)
    if not certificate.valid_from <= now <= certificate.valid_until:
        raise Refusal(Rule.ADMISSION_CERTIFICATE_WINDOW)
