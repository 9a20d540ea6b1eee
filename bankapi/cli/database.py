"""`bankapi database`, `bankapi backup` and `bankapi restore`: the schema's revisions, and copies to trust."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from bankapi import clock
from bankapi.cli import backups
from bankapi.cli.administration import opened_as_it_is, require_installation
from bankapi.cli.manifests import BackupRefused, Manifest
from bankapi.cli.output import REFUSED, CommandFailed, json_option, refused, show
from bankapi.sandbox.installation import WrongInstallation
from bankapi.settings import Settings
from bankapi.storage import copies, schema
from bankapi.storage.copies import CopyError
from bankapi.storage.schema import SchemaError

_FILE: Final = click.Path(dir_okay=False, path_type=Path)


@contextmanager
def _sentences() -> Iterator[None]:
    """Ends the command with the sentence of what went wrong."""
    try:
        yield
    except (BackupRefused, SchemaError, FileExistsError, WrongInstallation) as error:
        raise refused(str(error)) from error
    except CopyError as error:
        raise CommandFailed(str(error)) from error


@click.group()
def database() -> None:
    """The database's schema: which revision it is at, upgrading it, and whether its pages are sound."""


@database.command()
@json_option
@click.pass_obj
def status(settings: Settings, /, as_json: bool) -> None:
    """Show the revision the database is at, this program's newest, and what is pending between them.

    Exit code 1 when something is pending, 0 when nothing is.
    """
    from bankapi.storage import upgrades

    require_installation(settings)
    with opened_as_it_is(settings) as store, _sentences():
        pending = upgrades.pending(store)
        with store.read() as connection:
            current = schema.revision(connection)
    shown = [{"revision": each.name, "stage": each.stage, "what": each.what} for each in pending]
    fits = current in schema.ACCEPTED
    show({"current": current, "newest": schema.NEWEST, "fits": fits, "pending": shown}, as_json)
    if pending:
        click.get_current_context().exit(REFUSED)


@database.command()
@click.option("--contract", is_flag=True, help="Also what needs the previous version to be stopped everywhere.")
@json_option
@click.pass_obj
def upgrade(settings: Settings, /, contract: bool, as_json: bool) -> None:
    """Upgrade the database to this program's schema, while the previous version serves.

    Back it up first. Then: upgrade, replace the program everywhere, and upgrade again with --contract. It may be run
    on several machines at once, stopped, and run again.
    """
    from bankapi.storage import upgrades

    require_installation(settings)

    def begun(revision: upgrades.Revision) -> None:
        if not as_json:
            click.echo(f"{revision.name}  {revision.what}")

    with opened_as_it_is(settings) as store, _sentences():
        with store.read() as connection:
            if schema.revision(connection) is None:
                raise SchemaError(schema.EMPTY)  # it was lost; an empty one in its place would hide that
        done = upgrades.upgrade(store, contract=contract, begun=begun)
        with store.read() as connection:
            current = schema.revision(connection)
    if as_json:
        show({"current": current, "newest": schema.NEWEST, "done": [each.name for each in done]}, as_json)
    else:
        click.echo(f"the database is at revision {current}")


@database.command()
@click.pass_obj
def check(settings: Settings, /) -> None:
    """Check every page, index and foreign key of a SQLite database, while it is in use.

    What the rows say is checked by `bankapi audit verify`, for PostgreSQL, too.
    """
    require_installation(settings)
    with opened_as_it_is(settings) as store:
        if store.engine.dialect.name != "sqlite":
            raise refused("PostgreSQL checks itself with pg_amcheck; for what the rows say: bankapi audit verify")
    with _sentences():
        copies.check_sqlite(copies.sqlite_file(settings.database_url))
    click.echo("every page, index and foreign key is sound")


@click.command()
@click.argument("file", type=_FILE)
@click.option("--with-keys", is_flag=True, help="Also the home's configuration and private keys. Keep it safe.")
@click.option("--verify", "is_check", is_flag=True, help="Check the backup FILE instead of making one.")
@json_option
@click.pass_obj
def backup(settings: Settings, /, file: Path, with_keys: bool, is_check: bool, as_json: bool) -> None:
    """Write the database as it is at this moment to FILE, while the gateway goes on, or check a backup.

    FILE is a ZIP with mode 0600: it holds payers' data. PostgreSQL needs pg_dump on PATH. Exit code 1 when the books in
    it do not balance.
    """
    if is_check:
        if with_keys:
            raise click.UsageError("--verify makes no backup")
        with _sentences():
            manifest = backups.verify(file)
    else:
        require_installation(settings)
        with opened_as_it_is(settings) as store, _sentences():
            manifest = backups.make(store, settings, file.absolute(), with_keys=with_keys, now=clock.utc_now())
    show({"file": file, **_fields(manifest)}, as_json)
    if not as_json and not is_check:
        kept = "holds" if manifest.has_keys else "does not hold"
        click.echo(f"\nThe file {kept} the home's configuration and private keys.")
    if not manifest.stock.is_sound:
        raise refused("the books do not balance; find out where with: bankapi audit verify")


@click.command()
@click.argument("file", type=_FILE)
@click.option("--replace", is_flag=True, help="Put it in the place of a SQLite database, or files, that are there.")
@click.option("--with-keys", is_flag=True, help="Also the home's configuration and private keys, when it holds them.")
@json_option
@click.pass_obj
def restore(settings: Settings, /, file: Path, replace: bool, with_keys: bool, as_json: bool) -> None:
    """Make the home's database of a backup, and verify that it is what was backed up.

    A PostgreSQL database must be empty; run deploy/postgresql-roles.sql afterwards. A SQLite database that is replaced
    is kept beside. Payments made since the backup are not in it: compare with the banks' registers.
    """
    with _sentences():
        restored = backups.restore(file, settings, replace=replace, with_keys=with_keys)
    manifest = restored.manifest
    show({"file": file, **_fields(manifest), "kept": restored.kept}, as_json)
    if as_json:
        return
    if manifest.has_keys and not with_keys:
        click.echo("\nThe backup also holds configuration and private keys; restore them with --with-keys.")
    if manifest.revision not in schema.ACCEPTED:
        click.echo("\nThe backup is of an older version; upgrade it with: bankapi database upgrade")


def _fields(manifest: Manifest) -> dict[str, Any]:
    stock = manifest.stock
    balance = " ".join(f"{minor} {currency}" for currency, minor in stock.trial_balance.items())
    return {
        "made_at": manifest.made_at,
        "database": manifest.database,
        "revision": manifest.revision,
        "program": manifest.program,
        "payments": stock.counts.get("payments", 0),
        "cancellations": stock.counts.get("cancellations", 0),
        "exchanges": stock.counts.get("exchanges", 0),
        "tree_size": stock.tree_size,
        "tree_root": stock.tree_root,
        "trial_balance": balance,
        "balances_that_differ": stock.balances_that_differ,
        "sound": stock.is_sound,
        "keys": manifest.has_keys,
    }


COMMANDS: Final = (database, backup, restore)
