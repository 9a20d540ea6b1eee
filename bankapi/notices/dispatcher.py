"""The dispatcher: takes notices from the queue to an SMSC, and receipts from there to the queue.

One submission at a time and one commit for each: what was taken is written down before the next one leaves, so that
a crash leaves at most one notice of which nobody knows whether it was sent.
"""

import logging
import random
import threading
import time
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from smpplib import consts
from sqlalchemy import Connection
from ulid import ULID

from bankapi.clock import Clock, utc_now
from bankapi.notices import alphabet, queue, wording
from bankapi.notices.alphabet import ShortMessages
from bankapi.notices.queue import Attempt, Claimed, Verdict
from bankapi.notices.receipts import Receipt
from bankapi.notices.smsc import Link, LinkDown, ShortMessage, Uncertain
from bankapi.settings import Settings, SMSCSettings, SMSSettings
from bankapi.storage.engine import Store

LOG: Final = logging.getLogger("bankapi.notices")
POLL_S: Final = 1.0
"""How often an idle dispatcher looks for something to do."""
BATCH_MAX: Final = 50
"""Notices sent before receipts are settled and everything else is looked at again."""
_EXPIRE_EVERY: Final = timedelta(minutes=1)
_RECONNECT_LAST_S: Final = 60.0
_SLOWEST_S: Final = 30.0

_SLOW_DOWN: Final = frozenset({consts.SMPP_ESME_RTHROTTLED, consts.SMPP_ESME_RMSGQFUL})
_NEVER: Final = frozenset({consts.SMPP_ESME_RINVDSTADR, consts.SMPP_ESME_RINVMSGLEN, consts.SMPP_ESME_RX_R_APPN})
"""Statuses about this very message. All others may be gone tomorrow: the SMSC's trouble, or a wrong setting of ours."""


class Dispatcher:
    """One per process; its `step` belongs to one thread, which nothing else waits for."""

    def __init__(
        self, settings: Settings, store: Store, *, clock: Clock = utc_now, stop: threading.Event | None = None
    ) -> None:
        self._sms = settings.sms
        self._smscs = [("first", settings.sms)] + (
            [("second", settings.sms_fallback)] if settings.sms_fallback.host else []
        )
        self._store = store
        self._clock = clock
        self._stop = stop or threading.Event()
        self._link: Link | None = None
        self._smsc_used: str | None = None
        self._unrecorded: Attempt | None = None  # until the database has it: it may be away when the answer comes
        self._disappointed = 0  # tries to bind and lost connections since a submission was answered
        self._bind_at = self._return_at = self._expire_at = clock()
        self._pace = _Pace(settings.sms.per_second)
        # A notice is ours for as long as its parts may take, twice over.
        self._lease = timedelta(seconds=2 * (alphabet.PARTS_MAX + 1) * (settings.sms.response_timeout_s + _SLOWEST_S))

    def __call__(self) -> float:
        """Do what is to be done, then listen for a while: the worker's job."""
        if not self.step():
            self._listen(POLL_S)
        return 0.0

    def step(self) -> bool:
        """Settle, connect and send; False when nothing was to be done, or nothing can be."""
        now = self._clock()
        self._record()
        self._settle(now)
        if now >= self._bind_at and (self._link is None or self._prefers_first(now)):
            self._connect(now)
        if self._link is None or is_quiet(self._sms, now):
            return False
        for sent in range(BATCH_MAX):
            claimed = None if self._stop.is_set() else self._exchange()
            if claimed is None:
                self._record()
                return sent > 0
            attempt = self._unrecorded = self._send(claimed)
            if self._link is None or attempt.verdict is Verdict.THROTTLED:
                break
        self._record()
        return self._link is not None

    def drain(self) -> None:
        """Send what is due, without waiting for what is not."""
        while self.step():
            pass

    def close(self) -> None:
        """Unbind; what is not written down by now is uncertain to whoever comes next."""
        self._drop()
        self._record()

    def _listen(self, wait_s: float) -> None:
        try:
            if self._link is None:
                self._stop.wait(wait_s)
            else:
                self._link.listen(wait_s)
        except LinkDown as error:
            self._lost(error)

    # The queue.

    def _settle(self, now: datetime) -> None:
        """Readers first: a writer is queued for only when there is something to write."""
        with self._store.read() as connection:
            waiting = queue.receipts_wait(connection, now)
        if waiting:
            self._store.write(lambda connection: queue.settle(connection, now))
        if now >= self._expire_at:
            self._expire_at = now + _EXPIRE_EVERY
            self._store.write(lambda connection: queue.expire(connection, now))

    def _exchange(self) -> Claimed | None:
        """Record the last attempt and claim the next notice, in one transaction."""
        now, attempt = self._clock(), self._unrecorded
        if attempt is None:
            with self._store.read() as connection:
                if not queue.is_due(connection, now):
                    return None

        def work(connection: Connection) -> Claimed | None:
            if attempt is not None:
                queue.record(connection, attempt, now, self._sms.uncertain_max)
            return queue.claim(connection, now, self._lease, self._sms.uncertain_max)

        claimed = self._store.write(work)
        self._unrecorded = None
        return claimed

    def _record(self) -> None:
        attempt = self._unrecorded
        if attempt is not None:
            now = self._clock()
            self._store.write(lambda connection: queue.record(connection, attempt, now, self._sms.uncertain_max))
            self._unrecorded = None

    # The way of one notice.

    def _send(self, claimed: Claimed) -> Attempt:
        text = claimed.text or wording.text(
            claimed.event,
            claimed.language,
            amount=claimed.amount,
            dealer=claimed.dealer,
            payment_id=claimed.payment_id,
        )
        try:
            messages = alphabet.split(text, _reference(claimed.id))
        except alphabet.TextTooLong:
            return Attempt(claimed, Verdict.REJECTED, "TEXT_TOO_LONG")
        taken: list[tuple[int, str]] = []
        verdict, result = self._submit_all(claimed, messages, taken)
        if verdict is not Verdict.ACCEPTED:
            LOG.warning("notice %s: %s", claimed.id, verdict.lower(), extra={"failure": result})
        return Attempt(
            claimed,
            verdict,
            result,
            self._smsc_used,
            text,
            len(messages.payloads),
            tuple(taken),
            self._retry_after(claimed, verdict),
        )

    def _submit_all(
        self, claimed: Claimed, messages: ShortMessages, taken: list[tuple[int, str]]
    ) -> tuple[Verdict, str]:
        """Submit the parts that no SMSC has taken yet, in order, and stop at the first that is not taken now."""
        for part, payload in enumerate(messages.payloads, start=1):
            if part in claimed.parts_taken:
                continue
            self._pace.wait(self._stop)
            if self._clock() + timedelta(seconds=2 * self._sms.response_timeout_s) > claimed.until:
                return Verdict.RELEASED, "CLAIM_LAPSING"
            link = self._link
            assert link is not None
            message = ShortMessage(
                self._sms.sender, claimed.msisdn, messages.data_coding, payload, len(messages.payloads) > 1
            )
            try:
                answer = link.submit(message)
            except LinkDown as error:
                self._lost(error)
                return Verdict.RELEASED, "LINK_DOWN"
            except Uncertain as error:
                self._lost(error)
                return Verdict.UNCERTAIN, "NO_ANSWER"
            self._disappointed = 0
            if answer.status != consts.SMPP_ESME_ROK:
                return self._not_taken(answer.status), f"0x{answer.status:08X}"
            self._pace.taken()
            taken.append((part, answer.message_id))
        return Verdict.ACCEPTED, "ESME_ROK"

    def _not_taken(self, status: int) -> Verdict:
        if status in _SLOW_DOWN:
            self._pace.throttled()
            return Verdict.THROTTLED
        return Verdict.REJECTED if status in _NEVER else Verdict.REFUSED

    def _retry_after(self, claimed: Claimed, verdict: Verdict) -> timedelta:
        if verdict is Verdict.RELEASED:
            return timedelta()
        if verdict is Verdict.THROTTLED:
            return timedelta(seconds=self._pace.between_s)
        return _backed_off(self._sms.retry_first_s, self._sms.retry_last_s, claimed.failures)

    # The connection.

    def _prefers_first(self, now: datetime) -> bool:
        return self._link is not None and self._link.name != "first" and now >= self._return_at

    def _connect(self, now: datetime) -> None:
        """Bind to the first SMSC that lets us; on the second one, only the first is better."""
        self._return_at = now + timedelta(seconds=self._sms.fallback_return_s)
        for name, smsc in self._smscs:
            if self._link is not None and name == self._link.name:
                return
            link = self._new_link(name, smsc)
            try:
                link.open()
            except LinkDown as error:
                LOG.warning("the %s SMSC cannot be used", name, extra={"failure": str(error)})
                continue
            self._drop()
            self._link, self._smsc_used = link, name
            LOG.info("bound to the %s SMSC", name)
            return
        self._bind_at = now + _backed_off(1.0, _RECONNECT_LAST_S, self._disappointed)
        self._disappointed += 1

    def _new_link(self, name: str, smsc: SMSCSettings) -> Link:
        def keep(receipt: Receipt) -> None:
            now = self._clock()
            self._store.write(lambda connection: queue.keep_receipt(connection, name, receipt, now))

        sms = self._sms
        return Link(name, smsc, timeout_s=sms.response_timeout_s, keep_alive_s=sms.enquire_link_s, on_receipt=keep)

    def _lost(self, error: Exception) -> None:
        LOG.warning("the connection to the SMSC is lost", extra={"failure": str(error)})
        self._drop()
        self._bind_at = self._clock() + _backed_off(1.0, _RECONNECT_LAST_S, self._disappointed)
        self._disappointed += 1

    def _drop(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None


class _Pace:
    """The time between submissions: longer when the SMSC is throttling, and slowly back again."""

    def __init__(self, per_second: float) -> None:
        self._least_s = 1 / per_second
        self.between_s = self._least_s
        self._next_at = 0.0

    def wait(self, stop: threading.Event) -> None:
        stop.wait(max(0.0, self._next_at - time.monotonic()))
        self._next_at = time.monotonic() + self.between_s

    def throttled(self) -> None:
        self.between_s = min(_SLOWEST_S, max(2 * self.between_s, 0.5))

    def taken(self) -> None:
        self.between_s = max(self._least_s, 0.9 * self.between_s)


def is_quiet(sms: SMSSettings, now: datetime) -> bool:
    """Whether people are asleep (in the operator's time zone)."""
    if not sms.quiet_from:
        return False
    local = now.astimezone(ZoneInfo(sms.time_zone)).strftime("%H:%M")
    if sms.quiet_from <= sms.quiet_until:
        return sms.quiet_from <= local < sms.quiet_until
    return local >= sms.quiet_from or local < sms.quiet_until


def _backed_off(first_s: float, last_s: float, failures: int) -> timedelta:
    """Exponential, with jitter, so that many that failed together do not come back together."""
    longest = min(last_s, first_s * 2 ** min(failures, 30))
    return timedelta(seconds=longest * random.uniform(0.5, 1.0))  # noqa: S311  not a secret


def _reference(notice_id: str) -> int:
    """What ties the parts of a message together: the same for each retry of a notice."""
    return int(ULID.from_str(notice_id)) & 0xFF  # of its random bits
