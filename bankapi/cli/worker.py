"""`bankapi worker`: what runs beside the gateway: sealing the journal and signing its head."""

import logging
import os
import signal
import threading
import time
from datetime import timedelta
from typing import Final

import click

from bankapi import clock
from bankapi.cli.administration import require_installation
from bankapi.evidence import sealing
from bankapi.gateway import journal, keys
from bankapi.settings import Settings
from bankapi.storage.engine import Store

LOG: Final = logging.getLogger("bankapi.worker")
_REST_AFTER_FAILURE_S: Final = 5.0


@click.command()
@click.option("--parent", type=int, hidden=True, help="Stop when this process is no longer the parent.")
@click.option("--once", is_flag=True, help="Do what is to be done now, and stop.")
@click.pass_obj
def worker(settings: Settings, /, parent: int | None, once: bool) -> None:
    """Seal exchanges and sign checkpoints, until told to stop. Any number of workers may run at once."""
    require_installation(settings)
    journal.configure()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    store = Store(settings.database_url)
    work = _Sealing(settings, store)
    try:
        while not stop.is_set() and (parent is None or os.getppid() == parent):
            rest_s = _run(work)
            if once:
                break
            stop.wait(rest_s)
    finally:
        store.close()


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


def _run(work: _Sealing) -> float:
    try:
        return work()
    except Exception as error:
        # Whatever it is (the database is away, a disk is full), the journal waits for the next try.
        LOG.error("sealing failed", extra={"failure": type(error).__name__, "where": journal.where(error)})
        return _REST_AFTER_FAILURE_S
