"""`livespot drill`: crash on the user's own settings, and see what the runtime makes of it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from livespot.rules.drills import DRILLS
from livespot_cmd.options import config_option, var_option_for

if TYPE_CHECKING:
    from livespot.rules.drills import DrillRow


@click.command(
    epilog="Example: livespot drill all. Exit codes: 0 each one passed, 2 wrong usage or "
    "configuration, 3 one failed, or nothing is bought with these settings."
)
@click.argument("name", type=click.Choice([*DRILLS, "all"]), default="all", metavar="[NAME|all]")
@var_option_for("State directory that keeps the result (default: var/ of the project).")
@config_option
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep databases, journals and logs in this new or empty directory.",
)
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON document.")
def drill(
    name: str,
    var: Path | None,
    config_path: Path | None,
    keep: Path | None,
    as_json: bool,  # noqa: FBT001  a flag
) -> int:
    """Rehearse a crash on your settings: temporary database, embedded exchange, virtual time.

    NAME is one of lost-ack, late-ack, kill-9, disk-full, ban, clock-step, stream-silence,
    protection-lost and gate-down. Nothing outside this machine is asked, no key is read. The
    result is kept in drills/ of the state directory; livespot live wants a pass of all of them by
    the version that runs.
    """
    import msgspec
    from rich.console import Console

    from livespot.contracts.errors import ExitCode
    from livespot.drills.running import run_drills
    from livespot.drills.telling import show
    from livespot.rules.drills import DrillRecord
    from livespot.runtime.clock import SystemClock
    from livespot.runtime.disk import RealDisk
    from livespot.runtime.drill_record import running_program, store
    from livespot.runtime.files import load_config
    from livespot.runtime.paths import Paths, default_var

    paths = Paths(var=var if var is not None else default_var())
    loaded, program, clock = load_config(paths, config_path), running_program(), SystemClock()
    began_ms = clock.monotonic_ms()
    click.echo("first without any trouble, to learn when these settings buy ...", err=True)
    with _place(keep) as directory:
        names = DRILLS if name == "all" else (name,)
        replaced, rows = run_drills(names, loaded, directory, _tell)
    record = DrillRecord(
        version=program.version,
        commit=program.commit,
        config_hash=loaded.config_hash,
        at_ms=clock.now_ms(),
        took_ms=clock.monotonic_ms() - began_ms,
        replaced=replaced,
        rows=rows,
    )
    path = store(RealDisk(), paths, record)
    if as_json:
        click.echo(msgspec.json.encode(record).decode())
    else:
        show(record, Console())
        click.echo(f"{len(rows) - len(record.failed)} of {len(rows)} passed; kept in {path}")
    return ExitCode.PREFLIGHT if record.failed else ExitCode.CLEAN


@contextmanager
def _place(keep: Path | None) -> Iterator[Path]:
    """Where the drills' own files go: a directory that vanishes, or the one that was named."""
    from livespot.contracts.errors import PreflightFailed
    from livespot.runtime.disk import RealDisk

    if keep is not None:
        disk = RealDisk()
        if disk.names(keep):
            raise PreflightFailed(f"{keep} holds files already.\nNext: name a new directory")
        disk.make_directory(keep)
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="livespot-drill-") as scratch:
        yield Path(scratch)


def _tell(row: "DrillRow") -> None:
    from livespot.drills.telling import verdict

    click.echo(f"{verdict(row)}  {row.name}: {row.injected}", err=True)
