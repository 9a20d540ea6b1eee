"""`bankapi monitor`: health, readiness and metrics, in a process that `bankapi serve` runs beside its own."""

import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from bankapi import clock
from bankapi.cli.output import CommandFailed
from bankapi.gateway import journal
from bankapi.monitoring import processes
from bankapi.sandbox import installation
from bankapi.settings import Settings

LOG: Final = logging.getLogger("bankapi.monitor")
_LOOK_S: Final = 1.0


@click.command(hidden=True)
@click.option("--listening", type=int, required=True, help="The descriptor of a socket that listens.")
@click.option("--directory", type=click.Path(path_type=Path), required=True, help="Where the gateway counts.")
@click.option("--parent", type=int, required=True, help="The gateway: stop when it is no longer the parent.")
@click.pass_obj
def monitor(settings: Settings, /, listening: int, directory: Path, parent: int) -> None:
    """Answer /health, /ready and /metrics, until told to stop or the gateway has ended."""
    from bankapi.monitoring import listener

    is_sandbox = installation.is_sandbox(settings)
    journal.configure(is_sandbox=is_sandbox)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    store = listener.store_for(settings)
    telling = listener.Monitor(settings, store, clock.utc_now, directory, is_sandbox=is_sandbox)
    answering = listener.Listener(socket.socket(fileno=listening), telling)
    threading.Thread(target=answering.serve_forever, name="monitor", daemon=True).start()
    LOG.info("health, readiness and metrics on port %d", answering.server_address[1])
    while not stop.is_set() and os.getppid() == parent:
        stop.wait(_LOOK_S)
    if not stop.is_set() and processes.is_ours(directory):
        shutil.rmtree(directory, ignore_errors=True)  # the gateway was killed, and could not do it


@contextmanager
def watching(settings: Settings) -> Iterator[None]:
    """While the block runs, gateway and worker count together, and the monitor tells what they count.

    CommandFailed when the address of the monitor is not to be had.
    """
    from bankapi.monitoring import listener

    host, port = settings.monitoring.host, settings.monitoring.port
    if port == 0:
        yield
        return
    try:
        listening = listener.listen(host, port)
    except OSError as error:
        raise CommandFailed(
            f"port {port} of {host} is for health and metrics and cannot be used ({os.strerror(error.errno or 0)}); "
            "choose another port in [monitoring], or 0 for none"
        ) from error
    with processes.counting() as directory:
        process = _start(settings, listening, directory)
        listening.close()
        try:
            yield
        finally:
            process.terminate()


def _start(settings: Settings, listening: socket.socket, directory: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "bankapi.cli.main", "monitor", "--parent", str(os.getpid())]
    command += ["--listening", str(listening.fileno()), "--directory", str(directory)]
    environment = {**os.environ, "BANKAPI_HOME": str(settings.home)}
    del environment[processes.DIRECTORY]  # it only reads there
    return subprocess.Popen(command, env=environment, pass_fds=(listening.fileno(),))  # noqa: S603  ourselves
