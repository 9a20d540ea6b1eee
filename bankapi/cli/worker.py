"""`bankapi worker`: what runs beside the gateway: sealing, closing days, comparing registers, sending SMS."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import click

from bankapi import clock
from bankapi.cli import reconciliations
from bankapi.cli.administration import require_fitting_database
from bankapi.evidence import sealing
from bankapi.gateway import journal, keys
from bankapi.monitoring import metrics, processes
from bankapi.notices.dispatcher import Dispatcher
from bankapi.reports import closing, reconciliation
from bankapi.sandbox import installation
from bankapi.settings import Settings
from bankapi.storage.engine import Store

LOG: Final = logging.getLogger("bankapi.worker")
_REST_AFTER_FAILURE_S: Final = 5.0
_LOOK_S: Final = 1.0
_RECONCILE_S: Final = 2.0
_LOOK_FOR_DAYS_S: Final = 60.0
_PATIENCE_S: Final = 20.0
"""How long a job may take to end; the process does not wait longer for one that hangs."""


@dataclass(frozen=True, slots=True)
class Job:
    """Something done again and again, in a thread of its own: no job waits for another one."""

    name: str
    do: Callable[[], float]
    """Does what is to be done now; returns the seconds to rest."""
    once: Callable[[], object]
    """Does all that is to be done now."""
    end: Callable[[], None] = lambda: None

    def repeat(self, stop: threading.Event) -> None:
        while not stop.is_set():
            stop.wait(self.run())
        self.end()

    def run(self) -> float:
        try:
            return self.do()
        except Exception as error:
            # Whatever it is (the database is away, a disk is full), the work waits for the next try.
            metrics.ours().task_failures.labels(self.name).inc()
            LOG.error("%s failed", self.name, extra={"failure": type(error).__name__, "where": journal.where(error)})
            return _REST_AFTER_FAILURE_S


@click.command()
@click.option("--parent", type=int, hidden=True, help="Stop when this process is no longer the parent.")
@click.option("--once", is_flag=True, help="Do what is to be done now, and stop.")
@click.pass_obj
def worker(settings: Settings, /, parent: int | None, once: bool) -> None:
    """Seal exchanges, sign checkpoints, close days, compare registers and send SMS, until told to stop.

    Any number of workers may run at once.
    """
    require_fitting_database(settings)
    journal.configure(is_sandbox=installation.is_sandbox(settings))
    processes.take_turn()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    store = Store(settings.database_url, settings.storage)
    work = _jobs(settings, store, stop)
    try:
        if once:
            for job in work:
                job.once()
                job.end()
        else:
            _run(work, stop, parent)
    finally:
        store.close()


def _jobs(settings: Settings, store: Store, stop: threading.Event) -> list[Job]:
    seal = _Sealing(settings, store)
    close = _Closing(settings, store)
    compare = _Reconciling(settings)
    jobs = [
        Job("sealing", seal, once=seal),
        Job("closing days", close, once=close),
        Job("reconciling registers", compare, once=compare, end=compare.close),
    ]
    if settings.sms.host:
        dispatcher = Dispatcher(settings, store, stop=stop)
        jobs.append(Job("sending notices", dispatcher, once=dispatcher.drain, end=dispatcher.close))
    return jobs


def _run(jobs: list[Job], stop: threading.Event, parent: int | None) -> None:
    threads = [threading.Thread(target=job.repeat, args=(stop,), name=job.name, daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    while not stop.is_set() and (parent is None or os.getppid() == parent):
        stop.wait(_LOOK_S)
    stop.set()
    deadline = time.monotonic() + _PATIENCE_S
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))


class _Closing:
    """Close the business days that have ended for long enough."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._after = timedelta(minutes=settings.reports.close_after_min)
        self._store = store

    def __call__(self) -> float:
        closing.close_ended(self._store, clock.utc_now(), self._after)
        return _LOOK_FOR_DAYS_S


class _Sealing:
    """Seal every `seal_s`, sign a checkpoint every `checkpoint_s` when the tree has grown."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._signed_at = clock.utc_now() - timedelta(days=1)

    def __call__(self) -> float:
        begun = time.monotonic()
        sealing.seal(self._store)
        now = clock.utc_now()
        if now - self._signed_at >= timedelta(seconds=self._settings.evidence.checkpoint_s):
            identity = keys.load_identity(
                self._settings.gateway_file("signing-cert.pem"), self._settings.gateway_file("signing-key.pem")
            )
            sealing.sign_checkpoint(self._store, self._settings.evidence.origin, identity, now)
            self._signed_at = now
        return max(0.0, self._settings.evidence.seal_s - (time.monotonic() - begun))


class _Reconciling:
    """Compare registers that were too large for the request they came with, and sign what all of them came to."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = Store(settings.database_url, settings.storage, is_patient=True)

    def __call__(self) -> float:
        reconciliation.reconcile_pending(self._store, clock.utc_now())
        reconciliations.sign(self._settings, self._store)
        return _RECONCILE_S

    def close(self) -> None:
        self._store.close()
