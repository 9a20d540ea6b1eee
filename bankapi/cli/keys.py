"""`bankapi key`: renewing the gateway's keys without a moment in which banks refuse it or its answers."""

import os
from typing import Any, Final

import click
from cryptography import x509

from bankapi import clock
from bankapi.cli.administration import require_installation
from bankapi.cli.authority import Authority, Purpose, certificate_pem, key_pem, new_rsa_key, subject_name
from bankapi.cli.home import write_public, write_secret
from bankapi.cli.output import json_option, refused, show
from bankapi.gateway import keys
from bankapi.settings import Settings
from bankapi.wsse.trust import fingerprint

_NEXT: Final = "next-signing-{}.pem"
_NOW: Final = "signing-{}.pem"
_LAST: Final = "last-signing-{}.pem"


@click.group()
def key() -> None:
    """The gateway's keys. For signing: prepare the next one, publish its certificate, activate it. For TLS: tls."""


@key.command("list")
@json_option
@click.pass_obj
def list_keys(settings: Settings, /, as_json: bool) -> None:
    """Show the certificates answers are, will be and were signed by."""
    require_installation(settings)
    shown: dict[str, Any] = {}
    for name, pattern in (("next", _NEXT), ("present", _NOW), ("last", _LAST)):
        file = settings.gateway_file(pattern.format("cert"))
        if file.exists():
            certificate = keys.load_certificate(file)
            shown[name] = f"{fingerprint(certificate).hex()} until {certificate.not_valid_after_utc:%Y-%m-%d}"
    show(shown, as_json)


@key.command()
@click.pass_obj
def prepare(settings: Settings, /) -> None:
    """Make the next signing key. Give its certificate to the banks; nothing is signed with it yet."""
    require_installation(settings)
    if settings.gateway_file(_NEXT.format("cert")).exists():
        raise refused("the next signing key is prepared already; activate it first")
    now = clock.utc_now()
    authority = Authority.load(settings.ca_certificate, settings.ca_key)
    private_key = new_rsa_key()
    name = subject_name("bankapi gateway signing")
    certificate = authority.issue(name, private_key.public_key(), Purpose.ANSWER_SIGNING, now)
    write_secret(settings.gateway_file(_NEXT.format("key")), key_pem(private_key))
    write_public(settings.gateway_file(_NEXT.format("cert")), certificate_pem(certificate))
    click.echo(f"give the banks {settings.gateway_file(_NEXT.format('cert'))}")


@key.command()
@click.pass_obj
def activate(settings: Settings, /) -> None:
    """Sign with the next key from the gateway's next reload (SIGHUP) on. Old answers stay verifiable."""
    require_installation(settings)
    if not settings.gateway_file(_NEXT.format("cert")).exists():
        raise refused("there is no next signing key; prepare it first")
    # A process that starts between the two moves finds a key that is not its certificate's, and does not start.
    for kind in ("key", "cert"):
        os.replace(settings.gateway_file(_NOW.format(kind)), settings.gateway_file(_LAST.format(kind)))
        os.replace(settings.gateway_file(_NEXT.format(kind)), settings.gateway_file(_NOW.format(kind)))
    click.echo("reload the gateway (SIGHUP); the worker follows by itself")


@key.command()
@click.option("--host", "hosts", multiple=True, help="DNS name or IP address; those of the present one by default.")
@click.pass_obj
def tls(settings: Settings, /, hosts: tuple[str, ...]) -> None:
    """Make a new TLS key and certificate. A gateway with TLS of its own uses them at once, nginx after a reload."""
    require_installation(settings)
    now = clock.utc_now()
    authority = Authority.load(settings.ca_certificate, settings.ca_key)
    private_key = new_rsa_key()
    certificate = authority.issue(
        subject_name("bankapi gateway TLS"),
        private_key.public_key(),
        Purpose.TLS_SERVER,
        now,
        hosts=hosts or _hosts(keys.load_certificate(settings.gateway_file("cert.pem"))),
    )
    # The certificate last: until it fits its key, servers go on with the pair they have.
    write_secret(settings.gateway_file("key.pem"), key_pem(private_key))
    write_public(settings.gateway_file("cert.pem"), certificate_pem(certificate))
    click.echo(f"valid until {certificate.not_valid_after_utc:%Y-%m-%d}")


def _hosts(certificate: x509.Certificate) -> tuple[str, ...]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = names.get_values_for_type(x509.IPAddress)
    return (*names.get_values_for_type(x509.DNSName), *map(str, addresses))
