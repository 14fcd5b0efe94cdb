"""`livespot next`: the single thing the operator should do now, and why, on one line."""

from pathlib import Path

import click

from livespot_cmd.asking import chosen_paths
from livespot_cmd.options import var_option
from livespot_cmd.status import exit_code, has_database, unreadable


@click.command(
    "next",
    epilog="Example: livespot next. Exit codes: as of livespot status: 0 running in NORMAL or "
    "DEGRADE, or ended in order; 3 no database, or the process died; 10 in PAUSE.",
)
@click.option("--json", "as_json", is_flag=True, help="Action, reason and urgency as JSON.")
@var_option
def next_step(as_json: bool, var: Path | None) -> int:  # noqa: FBT001  a flag
    """Say the one thing to do now, and why; the panel, the status and the doctor say the same."""
    import anyio
    import msgspec

    from livespot.contracts.errors import ExitCode
    from livespot.panel.advice import step_line
    from livespot.panel.database import PanelUnreadable
    from livespot.runtime.placed import placed_fold
    from livespot.runtime.standing import standing

    paths = chosen_paths(var)
    if not has_database(paths):
        return ExitCode.PREFLIGHT
    try:
        dashboard = placed_fold(anyio.run(standing, paths), paths)
    except PanelUnreadable as error:
        return unreadable(paths, error)
    step = dashboard.next
    click.echo(msgspec.json.encode(step).decode() if as_json else step_line(step))
    return exit_code(dashboard)
