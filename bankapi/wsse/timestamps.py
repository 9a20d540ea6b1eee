"""wsu:Timestamp (WSS 1.0 section 10, BSP 1.1 section 9)."""

import re
from datetime import UTC, datetime, timedelta

from lxml import etree

from bankapi.refusals import Refusal, Rule
from bankapi.wsse import names
from bankapi.wsse.profile import SecurityProfile

_ATTRIBUTES = frozenset({names.WSU_ID, "Id"})
_UTC_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?Z", re.ASCII)


def read_timestamp(timestamp: etree._Element, profile: SecurityProfile) -> tuple[datetime, datetime]:
    """Created and Expires: each once, in this order, nothing else (BSP R3203, R3221, R3222, R3224)."""
    if [child.tag for child in timestamp] != [names.CREATED, names.EXPIRES]:
        raise Refusal(Rule.WSSE_TIMESTAMP_FORM)
    if not _ATTRIBUTES.issuperset(timestamp.keys()):
        raise Refusal(Rule.WSSE_TIMESTAMP_FORM, "an attribute that is not in the profile")
    created, expires = timestamp
    for element in (created, expires):
        if len(element) or element.keys() or (element.tail or "").strip() or (timestamp.text or "").strip():
            raise Refusal(Rule.WSSE_TIMESTAMP_FORM)
    return _utc_time(created.text or "", profile), _utc_time(expires.text or "", profile)


def check_timestamp(created_at: datetime, expires_at: datetime, profile: SecurityProfile, now: datetime) -> None:
    """Within its life at `now`, as far as the two clocks may differ."""
    skew = timedelta(seconds=profile.clock_skew_s_max)
    if not timedelta(0) < expires_at - created_at <= timedelta(seconds=profile.timestamp_life_s_max):
        raise Refusal(Rule.WSSE_TIMESTAMP_LIFE)
    if created_at - now > skew:
        raise Refusal(Rule.WSSE_TIMESTAMP_FUTURE)
    if now - expires_at > skew:
        raise Refusal(Rule.WSSE_TIMESTAMP_EXPIRED)


def _utc_time(text: str, profile: SecurityProfile) -> datetime:
    """An xs:dateTime in UTC, written with Z (BSP R3217, R3223)."""
    match = _UTC_TIME.fullmatch(text)
    if match is None or len(match[2] or "") > profile.timestamp_fraction_digits_max:
        raise Refusal(Rule.WSSE_TIMESTAMP_FORM)
    try:
        seconds = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    except ValueError as error:
        raise Refusal(Rule.WSSE_TIMESTAMP_FORM) from error
    return seconds + timedelta(microseconds=int((match[2] or "0").ljust(6, "0")))
