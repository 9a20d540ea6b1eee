"""`bankapi notice`: what became of the SMS to subscribers, and who wants none."""

from datetime import datetime, timedelta
from typing import Any

import click

from bankapi import clock
from bankapi.cli.administration import read, write
from bankapi.cli.output import json_option, refused, show, show_all
from bankapi.cli.parameters import INSTANT, LANGUAGE, MSISDN
from bankapi.notices import preferences, queue
from bankapi.notices.outbox import Status
from bankapi.settings import Settings


@click.group()
def notice() -> None:
    """SMS to subscribers about their payments."""


@notice.command("list")
@click.option("--status", type=click.Choice([*Status], case_sensitive=False), help="Only those that came so far.")
@click.option("--since", type=INSTANT, help="Only those queued from this instant on.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many at most.")
@json_option
@click.pass_obj
def list_(settings: Settings, status: str | None, since: datetime | None, limit: int, as_json: bool) -> None:
    """List notices, newest first; numbers are masked."""
    wanted = None if status is None else Status(status.upper())
    rows = read(settings, lambda connection: queue.list_notices(connection, status=wanted, since=since, most=limit))
    show_all([_fields(row) for row in rows], as_json)


@notice.command("count")
@json_option
@click.pass_obj
def count_(settings: Settings, as_json: bool) -> None:
    """Count notices by status, and the SMS that may have been sent once too often."""
    counted = read(settings, queue.count)
    show({name.lower(): number for name, number in counted.items()}, as_json)


@notice.command("retry")
@click.argument("notice_id", metavar="[ID]", required=False)
@click.option("--failed", is_flag=True, help="All that failed or expired.")
@json_option
@click.pass_obj
def retry_(settings: Settings, notice_id: str | None, failed: bool, as_json: bool) -> None:
    """Send a notice again that failed or expired: the one with this ID, or all."""
    if (notice_id is None) == (not failed):
        raise click.UsageError("give an ID, or --failed")
    expiry = timedelta(hours=settings.sms.expiry_h)
    queued = write(settings, lambda connection: queue.retry(connection, clock.utc_now(), expiry, notice_id))
    if notice_id is not None and not queued:
        raise refused("there is no such notice that failed or expired")
    show({"queued": queued}, as_json)


@notice.command("opt-out")
@click.argument("msisdn", type=MSISDN)
@json_option
@click.pass_obj
def opt_out(settings: Settings, msisdn: str, as_json: bool) -> None:
    """Send no more notices to this number."""
    _prefer(settings, msisdn, lambda connection: preferences.opt_out(connection, msisdn, clock.utc_now()))
    show({"msisdn": msisdn, "notices": False}, as_json)


@notice.command("opt-in")
@click.argument("msisdn", type=MSISDN)
@json_option
@click.pass_obj
def opt_in(settings: Settings, msisdn: str, as_json: bool) -> None:
    """Send notices to this number again."""
    _prefer(settings, msisdn, lambda connection: preferences.opt_in(connection, msisdn))
    show({"msisdn": msisdn, "notices": True}, as_json)


@notice.command("language")
@click.argument("msisdn", type=MSISDN)
@click.argument("language", type=LANGUAGE, required=False)
@json_option
@click.pass_obj
def language_(settings: Settings, msisdn: str, language: str | None, as_json: bool) -> None:
    """Write to this number in LANGUAGE; without one, in the customer's."""
    _prefer(settings, msisdn, lambda connection: preferences.set_language(connection, msisdn, language))
    show({"msisdn": msisdn, "language": language}, as_json)


def _prefer(settings: Settings, msisdn: str, change: Any) -> None:
    def work(connection: Any) -> None:
        if not preferences.is_known(connection, msisdn):
            raise refused("there is no subscriber with this number")
        change(connection)

    write(settings, work)


def _fields(row: Any) -> dict[str, Any]:
    return {
        "notice_id": row.id,
        "event": row.event,
        "payment_id": row.payment_id,
        "msisdn": masked(row.msisdn),
        "language": row.language,
        "status": row.status,
        "result": row.result,
        "failures": row.failures,
        "possible_duplicates": row.possible_duplicates,
        "parts": row.parts,
        "created_at": row.created_at,
        "due_at": row.due_at,
        "expires_at": row.expires_at,
    }


def masked(msisdn: str) -> str:
    """A number as it may be shown: the operator's prefix and the last two digits."""
    return f"{msisdn[:4]}{'*' * max(0, len(msisdn) - 6)}{msisdn[-2:]}"
