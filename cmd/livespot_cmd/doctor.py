"""`livespot doctor`: look at everything a run needs, and name the one next command."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from livespot_cmd.options import config_option, var_option

if TYPE_CHECKING:
    from livespot.rules.doctor import Check, Summary
    from livespot.runtime.doctor_plan import Need
    from livespot.runtime.paths import Paths

_STYLES = {"PASS": "green", "WARN": "yellow", "FAIL": "bold red"}


@click.command(
    epilog="Example: livespot doctor --offline, then livespot doctor. Exit codes: 0 without a "
    "FAIL, 3 with one."
)
@var_option
@config_option
@click.option("--json", "as_json", is_flag=True, help="Machine output.")
@click.option("--offline", is_flag=True, help="Only what needs no network.")
def doctor(
    var: Path | None,
    config_path: Path | None,
    as_json: bool,  # noqa: FBT001  a flag
    offline: bool,  # noqa: FBT001  a flag
) -> int:
    """Check everything a run needs: each row says what was found and what comes next.

    The keys are read from the environment or from .env beside the state directory. The
    doctor changes nothing; it asks the model gate one question.
    """
    from livespot.contracts.errors import ConfigInvalid, ExitCode
    from livespot.rules.doctor import summarize
    from livespot.runtime.doctor_plan import EVERYTHING, Need
    from livespot.runtime.paths import Paths, present_var

    chosen, note = (var, "") if var is not None else present_var()
    paths = Paths(var=chosen)
    if note:
        click.echo(note, err=True)
    needs = frozenset({Need.LOCAL}) if offline else EVERYTHING
    if not as_json and not offline and sys.stderr.isatty():
        click.echo("looking, this takes some seconds ...", err=True)
    try:
        rows = _rows(paths, config_path, needs)
    except ConfigInvalid as error:
        rows = _config_rows(error.problems, config_path or paths.config)
    green = _var_of("livespot sim" if offline else "livespot live --live", var, offline=offline)
    summary = summarize(rows, when_green=green)
    if as_json:
        _print_json(rows, summary)
    else:
        print_checks(rows)
        print_summary(summary)
    return ExitCode.CLEAN if summary.is_green else ExitCode.PREFLIGHT


def print_checks(rows: "Sequence[Check]") -> None:
    """A table on a terminal, plain lines elsewhere."""
    if sys.stdout.isatty():
        _print_table(rows)
        return
    for row in rows:
        limit = f" (limit: {row.limit})" if row.limit else ""
        click.echo(f"{row.outcome:<4}  {row.title}: {row.measured}{limit}")
        if row.detail:
            click.echo(f"      {row.detail}")
        if row.next_command:
            click.echo(f"      next: {row.next_command}")


def print_summary(summary: "Summary") -> None:
    """One line of counts and the one next command."""
    click.echo(summary.counts)
    if summary.next_command:
        why = f"  # {summary.because}" if summary.because else ""
        click.echo(f"Next: {summary.next_command}{why}")


def _rows(
    paths: "Paths", config_path: Path | None, needs: "frozenset[Need]"
) -> "tuple[Check, ...]":
    from functools import partial

    import anyio

    from livespot.runtime.clock import SystemClock
    from livespot.runtime.doctor import examine_installation
    from livespot.runtime.environment import read_secrets
    from livespot.runtime.files import load_config

    look = partial(
        examine_installation,
        paths,
        load_config(paths, config_path),
        read_secrets(paths.dotenv),
        clock=SystemClock(),
        needs=needs,
    )
    return anyio.run(look)


def _config_rows(problems: Sequence[str], path: Path) -> "tuple[Check, ...]":
    """Without a configuration nothing else can be judged, so its problems are all there is."""
    from livespot.rules.doctor import Check, Outcome

    return tuple(
        Check(
            id="config",
            title="Configuration",
            outcome=Outcome.FAIL,
            measured="invalid",
            limit="valid",
            next_command=f"livespot config check --config {path}",
            detail=problem,
        )
        for problem in problems
    )


def _var_of(command: str, var: Path | None, *, offline: bool) -> str:
    import shlex

    return command if var is None or offline else f"{command} --var {shlex.quote(str(var))}"


def _print_json(rows: "Sequence[Check]", summary: "Summary") -> None:
    import msgspec

    whole = {"checks": rows, "summary": summary}
    click.echo(msgspec.json.format(msgspec.json.encode(whole), indent=2).decode())


def _print_table(rows: "Sequence[Check]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(show_edge=False)
    for heading in ("", "Check", "Measured", "Limit"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        # Text, not markup: what is shown may hold brackets of somebody else's.
        outcome = Text(row.outcome, style=_STYLES[row.outcome])
        table.add_row(outcome, Text(row.title), Text(row.measured), Text(row.limit))
    console.print(table)
    # Below the table and never wrapped by us, so that a command can be copied whole.
    for row in rows:
        if row.detail or row.next_command:
            said = Text(f"{row.title}: ", style=_STYLES[row.outcome])
            console.print(said.append(row.detail or row.measured, style="default"), soft_wrap=True)
        if row.next_command:
            console.print(Text(f"  next: {row.next_command}", style="cyan"), soft_wrap=True)
