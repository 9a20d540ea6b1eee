"""`bankapi init` and `bankapi serve`: making a home, and running the gateway in it."""

import grp
import logging
import os
import pwd
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Final

import click

from bankapi import clock
from bankapi.cli import home, monitor
from bankapi.cli.administration import require_fitting_database
from bankapi.cli.output import CommandFailed, refused
from bankapi.sandbox import installation
from bankapi.settings import TLS, Settings, SettingsError
from bankapi.storage.schema import SchemaError

if TYPE_CHECKING:
    from bankapi.gateway.exchange import Gateway
    from bankapi.gateway.server import ServerOptions
    from bankapi.gateway.wsgi import Doors

LOG: Final = logging.getLogger("bankapi.sandbox")


@click.command()
@click.option("--demo", is_flag=True, help="Add two dealers, three terminals with keys, and twenty customers.")
@click.option(
    "--sandbox", is_flag=True, help="Make a sandbox for integrators, with the demo's terminals. It stays one for ever."
)
@click.pass_obj
def init(settings: Settings, /, demo: bool, sandbox: bool) -> None:
    """Make the home: the operator's CA, the gateway's keys and the database."""
    if demo and sandbox:
        raise click.UsageError("a sandbox has the demo's dealers and terminals already, and customers of its own")
    try:
        home.create(settings, demo=demo, sandbox=sandbox, now=clock.utc_now())
    except (home.HomeExists, SchemaError) as error:
        raise refused(str(error)) from error
    click.echo(f"made {settings.home}")


@click.command()
@click.option("--no-worker", is_flag=True, help="Leave the background work to `bankapi worker`, run elsewhere.")
@click.option("--check", "is_check", is_flag=True, help="Make all that serving needs, once, and stop.")
@click.pass_obj
def serve(settings: Settings, /, no_worker: bool, is_check: bool) -> None:
    """Run the gateway: gunicorn with mutual TLS, or behind nginx, and the background worker, until it is told to stop.

    SIGHUP replaces the workers by new ones, which read keys, CA and way4.ini anew. What cannot work stops a gateway
    that is reloaded, so ask before: --check.
    """
    from bankapi.gateway import journal, server, tuning, wsgi
    from bankapi.way4 import configuration

    require_fitting_database(settings)
    try:
        configuration.load(settings.way4_configuration)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
    is_sandbox = installation.is_sandbox(settings)
    journal.configure(is_sandbox=is_sandbox)
    if is_sandbox:
        LOG.warning("this is a SANDBOX: no payment is real, and some numbers fail on purpose")
    make_application = partial(wsgi.create_application, settings, partial(_doors, settings))
    try:
        options = _options(settings)
        if is_check:
            tuning.load(options.tuning_file)
            options.terms()
            make_application()
            return
        with monitor.watching(settings), nullcontext() if no_worker else _worker(settings):
            server.serve(make_application, options)
    except ValueError as error:
        raise CommandFailed(str(error)) from error


def _doors(settings: Settings, gateway: "Gateway") -> "Doors":
    """What is served beside SOAP: the Way4 adapter, if it is configured, and the page for people."""
    from bankapi.kit import page
    from bankapi.way4 import door

    return {**door.doors(settings, gateway), **page.doors(settings, gateway)}


def _options(settings: Settings) -> "ServerOptions":
    """How to serve; ValueError when the settings name a user or a group that does not exist."""
    from bankapi.gateway.server import ServerOptions

    gateway = settings.gateway
    is_tls = gateway.listen == TLS
    return ServerOptions(
        bind=f"{gateway.host}:{gateway.port}" if is_tls else gateway.listen,
        workers=gateway.workers,
        threads=gateway.threads,
        certificate=settings.gateway_file("cert.pem") if is_tls else None,
        key=settings.gateway_file("key.pem") if is_tls else None,
        client_ca=settings.ca_certificate if is_tls else None,
        crl=settings.revocation_list if is_tls else None,
        front_uid=None if is_tls else _number("user", gateway.front_user, lambda name: pwd.getpwnam(name).pw_uid),
        front_gid=None
        if is_tls or not gateway.front_group
        else _number("group", gateway.front_group, lambda name: grp.getgrnam(name).gr_gid),
        tuning_file=settings.gunicorn_configuration,
        keepalive_s=gateway.keepalive_s,
        handshake_deadline_s=gateway.handshake_deadline_s,
        request_deadline_s=gateway.request_deadline_s,
        graceful_timeout_s=gateway.graceful_stop_s,
    )


def _number(kind: str, name: str, number_of: Callable[[str], int]) -> int:
    try:
        return number_of(name)
    except KeyError as error:
        raise ValueError(f"front_{kind} in [gateway]: there is no {kind} {name}") from error


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
