"""`livespot status`: the panel's first screen in the terminal, whether or not a process runs."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from livespot_cmd.asking import chosen_paths
from livespot_cmd.options import var_option

if TYPE_CHECKING:
    from livespot.panel.dashboard import Dashboard
    from livespot.panel.survival_queries import SurvivalCount
    from livespot.runtime.paths import Paths

_WATCH_SECONDS = 1.0


@click.command(
    epilog="Example: livespot status --watch. Exit codes: 0 running in NORMAL or DEGRADE, or ended "
    "in order; 3 no database, or the process died; 10 in PAUSE."
)
@var_option
@click.option("--json", "as_json", is_flag=True, help="The whole snapshot as JSON.")
@click.option("--watch", is_flag=True, help="Repeat every second until Ctrl-C.")
def status(var: Path | None, as_json: bool, watch: bool) -> int:  # noqa: FBT001
    """Show mode, reasons, decisions, intents, positions and the next step."""
    import anyio

    from livespot.contracts.errors import ExitCode
    from livespot.panel.database import PanelUnreadable

    paths = chosen_paths(var)
    if not has_database(paths):
        return ExitCode.PREFLIGHT
    try:
        return anyio.run(_show, paths, as_json, watch)
    except PanelUnreadable as error:
        return unreadable(paths, error)


def unreadable(paths: "Paths", error: Exception) -> int:
    """Say that the database cannot be read, and what shows why; an exit code."""
    from livespot.contracts.errors import ExitCode
    from livespot.runtime.placed import placed

    step = placed("livespot migrate --status", paths)
    click.echo(f"Error: {error}\nNext: {step}", err=True)
    return ExitCode.PREFLIGHT


def has_database(paths: "Paths") -> bool:
    """Whether anything ever ran there; if not, says so."""
    if paths.database.exists():
        return True
    from livespot.runtime.placed import placed

    step = placed("livespot sim --for 3m, or livespot migrate for a run of your own", paths)
    click.echo(
        f"There is no audit database in {paths.var}, so nothing ever ran there.\nNext: {step}",
        err=True,
    )
    return False


async def _show(paths: "Paths", as_json: bool, watch: bool) -> int:  # noqa: FBT001
    from livespot.runtime.placed import placed_fold
    from livespot.runtime.standing import standing

    dashboard = placed_fold(await standing(paths), paths)
    if not watch:
        _print(dashboard, as_json=as_json)
    elif as_json or not sys.stdout.isatty():
        await _repeat(paths, as_json=as_json)
    else:
        await _live(paths, dashboard)
    return exit_code(dashboard)


def _print(dashboard: "Dashboard", *, as_json: bool) -> None:
    import msgspec
    from rich.console import Console

    from livespot.panel.console import render_live

    if as_json:
        click.echo(msgspec.json.encode(dashboard).decode())
        return
    Console(highlight=False, soft_wrap=False).print(render_live(dashboard, ""))


async def _repeat(paths: "Paths", *, as_json: bool) -> None:
    import msgspec

    from livespot.panel.console import plain_line
    from livespot.panel.survival_queries import SurvivalCount
    from livespot.runtime.clock import SystemClock

    survival = SurvivalCount(SystemClock())
    while True:
        dashboard, cause = await _now(paths, survival)
        if dashboard is None:
            click.echo(cause, err=True)
        else:
            encoded = msgspec.json.encode(dashboard).decode() if as_json else None
            click.echo(encoded or plain_line(dashboard))
        await SystemClock().sleep(_WATCH_SECONDS)


async def _live(paths: "Paths", dashboard: "Dashboard") -> None:
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from livespot.panel.console import render_live
    from livespot.panel.survival_queries import SurvivalCount
    from livespot.runtime.clock import SystemClock

    survival = SurvivalCount(SystemClock())

    with Live(render_live(dashboard, ""), auto_refresh=False, screen=True) as live:
        while True:
            await SystemClock().sleep(_WATCH_SECONDS)
            newer, cause = await _now(paths, survival)
            dashboard = newer or dashboard
            note = Text(cause, style="bold red")
            live.update(Group(note, render_live(dashboard, "")), refresh=True)


async def _now(paths: "Paths", survival: "SurvivalCount") -> "tuple[Dashboard | None, str]":
    """Return the present dashboard, or None and the cause when it cannot be read just now.

    The connection is opened anew each time, since a new run may replace the database.
    """
    from livespot.panel.database import PanelUnreadable
    from livespot.runtime.placed import placed_fold
    from livespot.runtime.standing import standing

    try:
        return placed_fold(await standing(paths, survival), paths), ""
    except PanelUnreadable as error:
        return None, f"this is not the present state, the database cannot be read: {error}"


def exit_code(dashboard: "Dashboard") -> int:
    """Return the exit code that tells a script how the run stands."""
    from livespot.contracts.errors import ExitCode

    match dashboard.process.state, dashboard.header.sysmode:
        case ("CRASHED", _):
            return ExitCode.PREFLIGHT
        case (_, "PAUSE"):
            return ExitCode.PAUSED
        case _:
            return ExitCode.CLEAN
