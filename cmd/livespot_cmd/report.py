"""`livespot report` and `livespot triage`: what a recorded run was, in full and at a glance."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from livespot_cmd.options import var_option
from livespot_cmd.recorded import recorded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from livespot.evidence.run_report import Report
    from livespot.evidence.triage import Look, Triage
    from livespot.runtime.paths import Paths


def into_a_directory(
    context: click.Context, parameter: click.Parameter, value: Path | None
) -> Path | None:
    """Refuse a file whose directory does not exist."""
    if value is not None and not value.absolute().parent.is_dir():
        raise click.BadParameter(
            f"there is no directory {value.absolute().parent}.", context, parameter
        )
    return value


@click.command(
    epilog="Example: livespot report LAST --html report.html; livespot report --list. Exit codes: "
    "0 told, 2 wrong usage, 3 no such run."
)
@click.argument("run", default="LAST")
@click.option("--list", "as_list", is_flag=True, help="List every recorded run, oldest first.")
@click.option("--complete", is_flag=True, help="Write the folders of ended runs that lack theirs.")
@click.option("--by", "completed_by", default="livespot report --complete", hidden=True)
@click.option(
    "--html",
    "html_path",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=into_a_directory,
    help="Write the page with its charts there, instead of text to the terminal.",
)
@var_option
def report(
    run: str,
    as_list: bool,  # noqa: FBT001  a flag
    complete: bool,  # noqa: FBT001  a flag
    completed_by: str,
    html_path: Path | None,
    var: Path | None,
) -> int:
    """Report on a run: result, trades, blocks, modes, latencies, survival, and its environment."""
    import anyio

    paths = recorded(var)
    if as_list:
        return anyio.run(_list, paths)
    if complete:
        return anyio.run(_complete, paths, completed_by)
    told = anyio.run(_read, paths, run)
    return _show(paths, told, html_path)


@click.command(
    epilog="Example: livespot triage LAST. Exit codes: 0 sound, 1 something is to be looked at, 2 "
    "wrong usage, 3 no such run."
)
@click.argument("run", default="LAST")
@click.option("--json", "as_json", is_flag=True, help="Everything as one JSON document.")
@var_option
def triage(run: str, as_json: bool, var: Path | None) -> int:  # noqa: FBT001  a flag
    """Look at a finished run first: one verdict and one next action.

    It reads the gates' last receipts; livespot verify runs the gates again.
    """
    import anyio
    import msgspec

    from livespot.contracts.errors import ExitCode
    from livespot.evidence.receipts import newest
    from livespot.evidence.triage import triage as look
    from livespot.runtime.disk import RealDisk
    from livespot.runtime.placed import placed

    paths = recorded(var)
    told = anyio.run(_read, paths, run)
    receipts = newest(RealDisk(), paths.receipts, told.summary.run_id)
    found = look(told.facts, told.summary, [receipt.verdict for receipt in receipts])
    found = msgspec.structs.replace(found, next_action=placed(found.next_action, paths))
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        _tell(found)
    return ExitCode.CLEAN if all(one.good for one in found.looks) else ExitCode.DIFFERENT


def _tell(found: "Triage") -> None:
    tell_looks(found.looks)
    click.echo(f"Verdict: {found.run_id}: {found.verdict}")
    click.echo(f"Next: {found.next_action}")


def tell_looks(looks: "Sequence[Look]") -> None:
    """Print a line for each look."""
    for look in looks:
        click.echo(f"{'good' if look.good else 'BAD':<6}{look.name:<22}{look.found}")


async def _read(paths: "Paths", run: str) -> "Report":
    from livespot.evidence.run_choice import chosen_run
    from livespot.evidence.run_folder import read_report
    from livespot.runtime.disk import RealDisk
    from livespot.runtime.run_evidence import journal_of, whereabouts

    where = whereabouts(paths)
    run_id = await chosen_run(where.reader, run)
    return await read_report(RealDisk(), where, run_id, journal_of(paths))


async def _list(paths: "Paths") -> int:
    from livespot.evidence.moments import instant, spans
    from livespot.evidence.run_folder import is_complete
    from livespot.runtime.disk import RealDisk
    from livespot.runtime.run_evidence import whereabouts

    for span in await spans(whereabouts(paths).reader):
        ended = f"exit code {span.exit_code}" if span.ended else "not ended"
        whole = (
            "" if is_complete(RealDisk(), paths.runs, span.run_id) else "  (folder not complete)"
        )
        started = instant(span.started_at_ms)
        click.echo(f"{span.run_id}  {span.mode:<7} {started}  {ended}{whole}")
    return 0


async def _complete(paths: "Paths", completed_by: str) -> int:
    from livespot.runtime.run_evidence import complete_ended

    for run_id in await complete_ended(paths, completed_by):
        click.echo(f"completed {paths.runs / run_id}")
    return 0


def _show(paths: "Paths", told: "Report", html_path: Path | None) -> int:
    from livespot.evidence.run_folder import changed_since, is_complete
    from livespot.evidence.run_report import markdown, page
    from livespot.runtime.disk import RealDisk

    run_id = told.summary.run_id
    if html_path is not None:
        RealDisk().write_atomic(html_path, page(told).encode())
        click.echo(f"{html_path}")
    else:
        click.echo(markdown(told))
    if is_complete(RealDisk(), paths.runs, run_id):
        click.echo(f"Folder: {paths.runs / run_id}", err=True)
        for name in changed_since(RealDisk(), paths.runs, run_id):
            click.echo(f"Changed since it was written: {name}", err=True)
    return 0
