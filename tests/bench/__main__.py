"""`make bench`: prints figures, ratios and shares; asserts nothing about absolute time."""

import argparse
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from bankapi import clock, settings
from bankapi.cli import home as homes
from bankapi.cli.payments import terminal_client
from bankapi.evidence import sealing
from bankapi.storage.engine import Store
from tests.bench import audits, growth, load, matrix, reports, sms, stages
from tests.conftest import copy_home
from tests.running import start_gateway

ACTION = "urn:bankapi:v1/RegisterPayment"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--payments", type=int, default=3000, help="per run")
    arguments.add_argument("--connections", type=int, default=16)
    arguments.add_argument("--seconds", type=float, default=4.0, help="of arrivals at each share of the ceiling")
    arguments.add_argument("--growth", action="store_true", help="cost at 10^4 and at 10^6 stored payments instead")
    arguments.add_argument("--audit", type=int, metavar="N", help="cost of an audit of up to N exchanges instead")
    arguments.add_argument("--sms", action="store_true", help="payments per second with an SMSC down and up instead")
    arguments.add_argument("--reports", action="store_true", help="reports of 10^5 and of 10^6 payments instead")
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.reports:
            reports.run(Path(folder))
            return
        if asked.audit:
            audits.run(Path(folder), [size for size in (1000, 10_000, 100_000) if size < asked.audit] + [asked.audit])
            return
        if asked.growth:
            _growth(Path(folder), asked.payments // 6)
            return
        pristine = Path(folder) / "pristine"
        homes.create(settings.load(pristine, {}), demo=True, now=clock.utc_now())
        if asked.sms:
            _sms(pristine, Path(folder), asked.payments // 5, asked.connections)
            return
        _stages(pristine, Path(folder) / "stages", asked.payments // 3)
        _throughput(pristine, Path(folder) / "load", asked.payments, asked.connections)
        _matrix(Path(folder) / "matrix", asked.payments // 5, asked.connections, asked.seconds)


def _stages(pristine: Path, folder: Path, count: int) -> None:
    own = copy_home(pristine, folder)
    messages = stages.signed_payments(terminal_client(own, "ATM-0001"), "S", count)
    costs = stages.measure(own, "ATM-0001", messages, ACTION)
    total = sum(costs.values())
    print(f"one RegisterPayment in process, {count} times, {len(messages[0])} bytes, SQLite synchronous=FULL")
    for stage, cost in costs.items():
        print(f"  {stage:<28}{cost:8.0f} µs {cost / total:6.1%}")
    signature = stages.rsa_signature_us()
    print(
        f"  {'together':<28}{total:8.0f} µs, or {total / signature:.1f} RSA-2048 signatures of {signature:.0f} µs each"
    )


def _growth(folder: Path, calls: int) -> None:
    sizes = (10**4, 10**6)
    costs = growth.measure(folder, sizes, calls)
    print(f"an operation in process, committed, {calls} times, SQLite synchronous=FULL, medians")
    print(f"  {'stored payments':<20}" + "".join(f"{size:>14,}" for size in sizes) + f"{'ratio':>9}")
    for name, (few, many) in costs.items():
        print(f"  {name:<20}{few:11.0f} µs{many:11.0f} µs{many / few:9.2f}")


def _sms(pristine: Path, folder: Path, count: int, connections: int) -> None:
    rates = sms.measure(pristine, folder, count, connections, ACTION)
    print("registered payments per second, against an installation without [sms]; medians of rounds in turn")
    for name, rate in rates.items():
        print(f"  {name:<16}{rate / rates['not configured']:5.2f}")


def _throughput(pristine: Path, folder: Path, count: int, connections: int) -> None:
    own = copy_home(pristine, folder)
    client = terminal_client(own, "ATM-0001")
    with start_gateway(own, BANKAPI_GATEWAY_WORKERS="2") as running:
        load.run(own, "ATM-0001", stages.signed_payments(client, "W", 200), ACTION, connections)
        messages = stages.signed_payments(client, "L", count)
        result = load.run(own, "ATM-0001", messages, ACTION, connections)
        assert running.process.poll() is None
        _wait_for_checkpoint(own, count)
    with sqlite3.connect(own.home / "bankapi.db") as database:
        stored = database.execute("SELECT count(*) FROM payments WHERE disposition = 'REGISTERED'").fetchone()[0]
        balance = database.execute("SELECT sum(amount_minor) FROM postings").fetchone()[0]
    sound = (result.faults, stored, balance) == (0, count + 200, 0)
    assert sound, f"not sound: {result.faults} faults, {stored} stored, {balance}: {running.log()[-2000:]}"
    print(f"mutual TLS, keep-alive, {connections} connections, 2 workers, load generator on the same machine")
    print(f"  {result.per_second:.0f} registered payments per second")
    for percent in (50, 95, 99):
        print(f"  p{percent} {result.percentile_ms(percent):.1f} ms")
    lags = _checkpoint_lags_s(own)
    print(f"  from answer to signed checkpoint: median {statistics.median(lags):.1f} s, at most {max(lags):.1f} s")


def _matrix(folder: Path, count: int, connections: int, seconds: float) -> None:
    print(
        f"ceilings over {connections} connections, {count} payments each: per second; an RSA-2048 signature meanwhile;"
    )
    print(
        "payments in the time of one signature, as a share of the first line's: what else the machine does counts less;"
    )
    print(
        f"then {seconds:g} s of arrivals at fixed times, at shares of each line's own ceiling: ms from when a request"
    )
    print("was due to its answer, and faults")
    shares = "".join(f"{f'at {share:.0%}: p50':>14}    p95    p99  f." for share in matrix.SHARES)
    print(f"  {'database':<11}{'workers':>7}  {'connections':<11}{'per s':>7}{'RSA':>9}{'share':>7}{shares}")
    first = None
    for case in matrix.measure(folder, count, connections, ACTION, seconds):
        first = first or case
        print(matrix.line(case, first), flush=True)


def _wait_for_checkpoint(own: settings.Settings, exchanges: int) -> None:
    store = Store(own.database_url)
    for _ in range(600):
        with store.read() as connection:
            newest = sealing.latest_checkpoint(connection)
        if newest is not None and newest.size > exchanges:
            break
        time.sleep(0.1)
    store.close()


def _checkpoint_lags_s(own: settings.Settings) -> list[float]:
    """How long each exchange waited until a checkpoint fixed it."""
    with sqlite3.connect(own.home / "bankapi.db") as database:
        return [
            row[0]
            for row in database.execute(
                "SELECT (julianday(c.signed_at) - julianday(e.answered_at)) * 86400 FROM exchanges e"
                " JOIN tree_leaves l ON l.exchange_row_id = e.id JOIN checkpoints c ON c.tree_size ="
                " (SELECT min(tree_size) FROM checkpoints WHERE tree_size > l.leaf_index)"
            )
        ]


if __name__ == "__main__":
    main()
