"""`bankapi contract`: publish the contract from the models, with samples, or show where the published files differ."""

from pathlib import Path
from typing import Final

import click

from bankapi.cli.output import REFUSED
from bankapi.contract import publication

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
    """Show how the published files here differ from the models; exit 1 when they do."""
    differences = publication.differences(*_FOLDERS)
    if differences:
        click.echo(differences)
        click.get_current_context().exit(REFUSED)


@contract.command("samples")
def samples_() -> None:
    """Make bankapi/kit/samples anew, here: a throw-away installation answers each. Its keys are thrown away, too."""
    from bankapi.cli import samples as making
    from bankapi.kit import samples

    made = making.make(asked.element() for asked in samples.ASKED)
    samples.write(made.exchanges, made.certificates, _SAMPLES)
