"""The state directory that a command reads recorded runs from."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from livespot.runtime.paths import Paths


def recorded(var: Path | None) -> "Paths":
    """Where the runs are: the directory given, else the one `livespot status` would read.

    Raises:
        PreflightFailed: nothing ever ran there.
        SchemaMismatch: its database is older or newer than this program.
    """
    from livespot.contracts.errors import PreflightFailed
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
    require_current(status(paths.database))
    return paths
