"""`livespot migrate`: create or upgrade the audit database, after a backup."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from livespot_cmd.options import var_option_for

if TYPE_CHECKING:
    from livespot.store.schema import SchemaStatus


@click.command(
    epilog="Example: livespot migrate --dry-run, then livespot migrate. Exit codes: 0 done or "
    "nothing to do, 2 wrong usage, 3 the database does not fit this program, 30 it cannot be "
    "written or is in use."
)
@click.option(
    "--db",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The audit database (default: data/audit.sqlite in the state directory).",
)
@var_option_for("State directory (default: var/ of the project).")
@click.option("--status", "only_status", is_flag=True, help="Show the schema's version.")
@click.option("--dry-run", is_flag=True, help="Say what would be applied; change nothing.")
def migrate(
    path: Path | None,
    var: Path | None,
    only_status: bool,  # noqa: FBT001  a flag
    dry_run: bool,  # noqa: FBT001  a flag
) -> None:
    """Create the database or bring it to the newest schema, after a backup."""
    from livespot.contracts.errors import (
        AuditUnwritable,
        DatabaseDamaged,
        ExitCode,
        SchemaMismatch,
        StoreBusy,
    )
    from livespot.runtime.paths import Paths, default_var

    say = partial(_placed, database=path, var=var)
    if path is None:
        path = Paths(var=var if var is not None else default_var()).database
    # Beside `data` in a state directory, or beside a database that stands alone.
    folder = path.resolve().parent
    home = folder.parent if folder.name == "data" else folder
    try:
        if dry_run:
            _show_pending(path, say)
        elif only_status:
            _show(path, say)
        else:
            _apply(path, home / "backups")
    except DatabaseDamaged:
        raise
    except SchemaMismatch as error:
        text = "the database and this program do not fit"
        _refuse(text, say(str(error)), ExitCode.PREFLIGHT)
    except (StoreBusy, AuditUnwritable) as error:
        text = "the database could not be opened or written"
        _refuse(text, say(str(error)), ExitCode.AUDIT_UNWRITABLE)


def _placed(text: str, *, database: Path | None, var: Path | None) -> str:
    """The text with the place that was named in every command: `--db` goes before `--var`."""
    import shlex

    from livespot.runtime.paths import Paths
    from livespot.runtime.placed import placed

    if database is not None:
        place = shlex.quote(str(database))
        text = text.replace("livespot migrate", f"livespot migrate --db {place}")
    return text if var is None else placed(text, Paths(var=var))


def _show_pending(path: Path, say: Callable[[str], str]) -> None:
    from livespot.store.migrate import status

    found = status(path)
    if found.current:
        click.echo(_sentence(found))
        return
    for name in found.pending:
        click.echo(f"would apply {name}")
    click.echo(say("next: livespot migrate"), err=True)


def _show(path: Path, say: Callable[[str], str]) -> None:
    from livespot.store.migrate import status

    click.echo(say(_sentence(status(path))))


def _apply(path: Path, backups: Path) -> None:
    from livespot.runtime.clock import SystemClock
    from livespot.store.migrate import migrate as bring_up_to_date

    report = bring_up_to_date(
        path,
        backup_dir=backups,
        now_ms=SystemClock().now_ms(),
    )
    if report.backup is not None:
        click.echo(f"backup: {report.backup}")
    for name in report.applied:
        click.echo(f"applied {name}")
    click.echo(f"schema {report.to_version} is current")


def _sentence(found: "SchemaStatus") -> str:
    if found.current:
        return f"schema {found.version} is current"
    return (
        f"schema {found.version} of {found.newest}, {len(found.pending)} pending: "
        "run `livespot migrate`"
    )


def _refuse(consequence: str, cause: str, code: int) -> None:
    """Print an error, which names cause and next step, with its consequence; then exit."""
    click.echo(f"livespot migrate: {consequence}; nothing was changed.", err=True)
    click.echo(f"cause and next step: {cause}", err=True)
    sys.exit(code)
