"""`bankapi init` and `bankapi serve`: making a home, and running the gateway in it."""

from typing import Final

import click

from bankapi import clock
from bankapi.cli import home
from bankapi.cli.administration import require_installation
from bankapi.cli.output import refused
from bankapi.settings import Settings


@click.command()
@click.option("--demo", is_flag=True, help="Add two dealers, three terminals with keys, and twenty customers.")
@click.pass_obj
def init(settings: Settings, demo: bool) -> None:
    """Make the home: the operator's CA, the gateway's keys and the database."""
    try:
        home.create(settings, demo=demo, now=clock.utc_now())
    except home.HomeExists as error:
        raise refused(f"{error} is an installation already") from error
    click.echo(f"made {settings.home}")


@click.command()
@click.pass_obj
def serve(settings: Settings) -> None:
    """Run the gateway: gunicorn with mutual TLS, until it is told to stop."""
    from bankapi.gateway import journal, server, wsgi

    require_installation(settings)
    journal.configure()
    gateway = settings.gateway
    server.serve(
        lambda: wsgi.create_application(settings),
        server.ServerOptions(
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
        ),
    )


COMMANDS: Final = (init, serve)
