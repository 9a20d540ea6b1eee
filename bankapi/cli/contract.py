"""`bankapi contract`: publish the contract from the models, with samples, or show where the published files differ."""

from pathlib import Path
from typing import Final

import click

from bankapi.cli.output import REFUSED, refused
from bankapi.contract import publication, releases

_FOLDERS: Final = (Path("wsdl"), Path("schemas"))
_SAMPLES: Final = Path("bankapi", "kit", "samples")


@click.group()
def contract() -> None:
    """The published WSDL and XSD, and signed samples of every operation."""


@contract.command()
def export() -> None:
    """Write wsdl/bankapi-v1.wsdl and schemas/bankapi-v1.xsd from the models, here."""
    publication.export(*_FOLDERS)


@contract.command()
def diff() -> None:
    """Show how the published files here differ from the models, and what would break clients of a release.

    Exit code 1 when there is anything to show.
    """
    differences, broken = publication.differences(*_FOLDERS), releases.breaks(*_FOLDERS)
    click.echo(differences + "".join(f"{each}\n" for each in broken), nl=False)
    if differences or broken:
        click.get_current_context().exit(REFUSED)


@contract.command()
def release() -> None:
    """Lock the published files here under their version, for ever, and keep the WSDL in wsdl/releases."""
    try:
        click.echo(f"released {releases.release(*_FOLDERS)}")
    except releases.NotReleased as error:
        raise refused(str(error)) from error


@contract.command("samples")
def samples_() -> None:
    """Make bankapi/kit/samples anew, here: a throw-away installation answers each. Its keys are thrown away, too."""
    from bankapi.cli import samples as making
    from bankapi.kit import samples

    made = making.make(asked.element() for asked in samples.ASKED)
    samples.write(made.exchanges, made.certificates, _SAMPLES)
