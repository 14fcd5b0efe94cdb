"""`livespot migrate`: create or upgrade the audit database, after a backup."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

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
@click.option(
    "--var",
    "var",
    type=click.Path(file_okay=False, path_type=Path),
    help="State directory (default: var/ of the project).",
)
@click.option("--status", "only_status", is_flag=True, help="Show the schema's version.")
@click.option("--dry-run", is_flag=True, help="Say what would be applied; change nothing.")
def migrate(
    path: Path | None,
    var: Path | None,
    only_status: bool,  # noqa: FBT001  a flag
    dry_run: bool,  # noqa: FBT001  a flag
) -> None:
    """Create the database or bring it to the newest schema, after a backup."""
    from livespot.runtime.paths import Paths, default_var

    if path is None:
        path = Paths(var=var if var is not None else default_var()).database
    # Beside `data` in a state directory; beside a database that stands alone.
    folder = path.resolve().parent
    home = folder.parent if folder.name == "data" else folder
    _migrate(path, home / "backups", only_status=only_status, dry_run=dry_run)


def _migrate(path: Path, backups: Path, *, only_status: bool, dry_run: bool) -> None:
    from livespot.contracts.errors import (
        AuditUnwritable,
        DatabaseDamaged,
        ExitCode,
        SchemaMismatch,
        StoreBusy,
    )

    try:
        if only_status or dry_run:
            _show(path, dry_run=dry_run)
        else:
            _apply(path, backups)
    except DatabaseDamaged:
        raise
    except SchemaMismatch as error:
        _refuse("the database and this program do not fit", error, ExitCode.PREFLIGHT)
    except (StoreBusy, AuditUnwritable) as error:
        _refuse("the database could not be opened or written", error, ExitCode.AUDIT_UNWRITABLE)


def _show(path: Path, *, dry_run: bool) -> None:
    from livespot.store.migrate import status

    found = status(path)
    if dry_run and not found.current:
        for name in found.pending:
            click.echo(f"would apply {name}")
        click.echo("next: livespot migrate", err=True)
        return
    click.echo(_sentence(found))


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


def _refuse(consequence: str, error: Exception, code: int) -> None:
    """The error names the cause and the next step; nothing was changed."""
    click.echo(f"livespot migrate: {consequence}; nothing was changed.", err=True)
    click.echo(f"cause and next step: {error}", err=True)
    sys.exit(code)
