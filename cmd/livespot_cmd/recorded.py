"""Finds the state directory that a command reads recorded runs from."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from livespot.runtime.paths import Paths


def recorded(var: Path | None, *, also_damaged: bool = False) -> "Paths":
    """Return the directory given, or else the one that `livespot status` would read.

    `also_damaged` accepts a damaged database, for callers that judge it themselves.

    Raises:
        DatabaseDamaged: pages of it cannot be read.
        PreflightFailed: nothing ever ran there.
        SchemaMismatch: its database is older or newer than this program.
    """
    from livespot.contracts.errors import DatabaseDamaged, PreflightFailed
    from livespot.runtime.paths import Paths, present_var
    from livespot.store.migrate import status
    from livespot.store.schema import require_current

    chosen, note = (var, "") if var is not None else present_var()
    if note:
        click.echo(note, err=True)
    paths = Paths(var=chosen)
    if not paths.database.exists():
        raise PreflightFailed(
            f"there is no audit database in {chosen}, so nothing ever ran there.\n"
            "Next: livespot sim --for 3m, or --var DIR for another state directory"
        )
    try:
        require_current(status(paths.database))
    except DatabaseDamaged:
        if not also_damaged:
            raise
    return paths
