"""`bankapi ca`: rolling the operator's CA over without a moment in which a terminal or the gateway is not believed.

`ca/ca.pem` holds every CA that is trusted; the first one issues. A rollover puts a second one behind it, lets it change
places with the first, and takes the old one out when nothing that is in use was issued by it. Old messages are audited
by their own CA for ever: `ca/retired.pem` keeps its certificate.
"""

from typing import Any, Final

import click
from cryptography import x509

from bankapi import clock
from bankapi.billing import directory
from bankapi.cli.administration import read, require_installation
from bankapi.cli.authority import Authority, certificate_pem, key_pem
from bankapi.cli.enrolment import publish_revocations
from bankapi.cli.home import write_public, write_secret
from bankapi.cli.output import json_option, refused, show_all
from bankapi.gateway import keys
from bankapi.sandbox import installation
from bankapi.settings import Settings
from bankapi.wsse.trust import fingerprint

_RELOAD: Final = "reload the gateway and nginx"


@click.group("ca")
def ca() -> None:
    """The operator's CA: prepare the next one, activate it, re-enrol, then retire the last one."""


@ca.command("list")
@json_option
@click.pass_obj
def list_authorities(settings: Settings, /, as_json: bool) -> None:
    """Show the CAs that are trusted; the first one issues."""
    require_installation(settings)
    in_use = _issued_in_use(settings)
    shown: list[dict[str, Any]] = []
    for number, authority in enumerate(_trusted(settings)):
        shown.append(
            {
                "authority": fingerprint(authority),
                "valid_until": authority.not_valid_after_utc,
                "issues": number == 0,
                "certificates_in_use": sum(1 for each in in_use if _issued(authority, each)),
            }
        )
    show_all(shown, as_json)


@ca.command()
@click.option("--name", help=f"How its common name begins; {installation.PRODUCTION_CA} by default.")
@click.pass_obj
def prepare(settings: Settings, /, name: str | None) -> None:
    """Make the next CA and trust it beside the present one. Give the banks ca.pem; nothing is issued by it yet."""
    require_installation(settings)
    if len(_trusted(settings)) > 1:
        raise refused("a rollover has begun already: activate the next CA, or retire the last one")
    now = clock.utc_now()
    made = Authority.create(f"{_name(settings, name)} {now:%Y-%m-%d}", now)
    write_secret(settings.ca_file("next-ca-key.pem"), key_pem(made.key))
    _trust(settings, [*_trusted(settings), made.certificate])
    click.echo(f"give the banks {settings.ca_certificate}, and {_RELOAD}")


@ca.command()
@click.pass_obj
def activate(settings: Settings, /) -> None:
    """Issue by the next CA from now on. Whatever the last one issued goes on being believed."""
    require_installation(settings)
    if not settings.ca_file("next-ca-key.pem").exists():
        raise refused("there is no next CA; prepare it first")
    present, following = _trusted(settings)
    # A command that issues between the moves finds a key that is not its certificate's, and issues nothing.
    settings.ca_key.replace(settings.ca_file("last-ca-key.pem"))
    settings.ca_file("next-ca-key.pem").replace(settings.ca_key)
    _trust(settings, [following, present])
    click.echo(f"re-enrol the terminals, renew the gateway's keys, and {_RELOAD}")


@ca.command()
@click.pass_obj
def retire(settings: Settings, /) -> None:
    """Trust the last CA no longer, and delete its key. Refused while anything it issued is in use."""
    require_installation(settings)
    last_key = settings.ca_file("last-ca-key.pem")
    if not last_key.exists():
        raise refused("there is no last CA; a rollover begins with prepare and activate")
    present, last = _trusted(settings)
    for name in ("cert.pem", "signing-cert.pem"):
        if _issued(last, keys.load_certificate(settings.gateway_file(name))):
            raise refused(f"{settings.gateway_file(name)} was issued by the last CA; renew it first")
    remaining = sum(1 for each in _issued_in_use(settings) if _issued(last, each))
    if remaining:
        raise refused(f"{remaining} certificates of terminals and channels were issued by the last CA and are in use")
    retired = settings.retired_ca_certificates
    before = retired.read_bytes() if retired.exists() else b""
    write_public(retired, before + certificate_pem(last))
    write_public(settings.ca_certificate, certificate_pem(present))
    last_key.unlink()
    publish_revocations(settings, clock.utc_now())
    click.echo(f"{_RELOAD}; the banks may take the last CA out of their trust, too")


def _name(settings: Settings, asked: str | None) -> str:
    """What was asked for, as long as a sandbox's CA is named as one, and no other CA is."""
    own = installation.authority_name(settings)
    name = asked or own
    if name.startswith(installation.SANDBOX_CA) != (own == installation.SANDBOX_CA):
        raise refused(f"the name of a sandbox's CA begins with {installation.SANDBOX_CA}, and no other's does")
    return name


def _trusted(settings: Settings) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(settings.ca_certificate.read_bytes())


def _trust(settings: Settings, authorities: list[x509.Certificate]) -> None:
    """Lists first: without its list nothing that a CA has issued is accepted."""
    staged = b"".join(map(certificate_pem, authorities))
    publish_revocations(settings, clock.utc_now(), authorities)
    write_public(settings.ca_certificate, staged)


def _issued_in_use(settings: Settings) -> list[x509.Certificate]:
    found = read(settings, lambda connection: directory.certificates_in_use(connection, clock.utc_now()))
    return [x509.load_der_x509_certificate(der) for der in found]


def _issued(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    """By the signature, not by the name: two CAs may have the same one."""
    try:
        certificate.verify_directly_issued_by(authority)
    except Exception:  # not one family of exceptions
        return False
    return True
