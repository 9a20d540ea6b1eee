"""`bankapi init` and `bankapi serve`: making a home, and running the gateway in it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Final

import click

from bankapi import clock
from bankapi.cli import home
from bankapi.cli.administration import require_fitting_database
from bankapi.cli.output import refused
from bankapi.settings import Settings, SettingsError
from bankapi.storage.schema import SchemaError


@click.command()
@click.option("--demo", is_flag=True, help="Add two dealers, three terminals with keys, and twenty customers.")
@click.pass_obj
def init(settings: Settings, demo: bool) -> None:
    """Make the home: the operator's CA, the gateway's keys and the database."""
    try:
        home.create(settings, demo=demo, now=clock.utc_now())
    except home.HomeExists as error:
        raise refused(f"{error} is an installation already") from error
    except SchemaError as error:
        raise refused(str(error)) from error
    click.echo(f"made {settings.home}")


@click.command()
@click.option("--no-worker", is_flag=True, help="Leave the background work to `bankapi worker`, run elsewhere.")
@click.pass_obj
def serve(settings: Settings, /, no_worker: bool) -> None:
    """Run the gateway: gunicorn with mutual TLS and the background worker, until it is told to stop."""
    from bankapi.gateway import journal, server, wsgi
    from bankapi.way4 import configuration, door

    require_fitting_database(settings)
    try:
        configuration.load(settings.way4_configuration)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
    journal.configure()
    gateway = settings.gateway
    options = server.ServerOptions(
        bind=f"{gateway.host}:{gateway.port}",
        workers=gateway.workers,
        threads=gateway.threads,
        certificate=settings.gateway_file("cert.pem"),
        key=settings.gateway_file("key.pem"),
        client_ca=settings.ca_certificate,
        crl=settings.revocation_list,
        keepalive_s=gateway.keepalive_s,
        handshake_deadline_s=gateway.handshake_deadline_s,
        request_deadline_s=gateway.request_deadline_s,
        graceful_timeout_s=gateway.graceful_stop_s,
    )
    with nullcontext() if no_worker else _worker(settings):
        server.serve(lambda: wsgi.create_application(settings, partial(door.doors, settings)), options)


@contextmanager
def _worker(settings: Settings) -> Iterator[None]:
    """`bankapi worker` in a process of its own, which ends with this one however this one ends."""
    command = [sys.executable, "-m", "bankapi.cli.main", "worker", "--parent", str(os.getpid())]
    process = subprocess.Popen(command, env={**os.environ, "BANKAPI_HOME": str(settings.home)})  # noqa: S603  ourselves
    try:
        yield
    finally:
        process.terminate()


COMMANDS: Final = (init, serve)
