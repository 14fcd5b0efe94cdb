"""`livespot backup` and `livespot restore`: carry a state directory to another place."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from livespot_cmd.options import var_option, var_option_for
from livespot_cmd.recorded import recorded

if TYPE_CHECKING:
    from livespot.runtime.disk import RealDisk
    from livespot.runtime.paths import Paths
    from livespot.store.restoration import Restoration


@click.command(
    epilog="Example: livespot backup --to /mnt/usb/livespot --move. Exit codes: 0 written, 2 wrong "
    "usage, 3 nothing to back up, no room or the target exists, 5 --move or --compact while a "
    "process runs."
)
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path),
    help="New directory (default: the next one in backups/ of the state directory).",
)
@click.option("--move", is_flag=True, help="This directory will refuse to start again afterwards.")
@click.option(
    "--compact",
    is_flag=True,
    help="Afterwards return the space of pruned records to the disk, while nothing runs.",
)
@var_option
def backup(target: Path | None, move: bool, compact: bool, var: Path | None) -> int:  # noqa: FBT001
    """Write a consistent copy of database, trail, settings and evidence, with their hashes."""
    from contextlib import nullcontext

    from livespot import __version__
    from livespot.evidence.moments import stamp
    from livespot.runtime.clock import SystemClock
    from livespot.runtime.disk import RealDisk
    from livespot.store.archive import pack
    from livespot.store.backup import compact_database

    paths, disk, now_ms = recorded(var), RealDisk(), SystemClock().now_ms()
    chosen = target if target is not None else paths.backups / f"backup-{stamp(now_ms)}"
    # A running process may be copied, but what it does afterwards would be lost by a move.
    with disk.lock(paths.lock, "backup") if move or compact else nullcontext():
        packed = pack(paths.var, chosen, version=__version__, at_ms=now_ms, moved=move)
        if move:
            disk.write_atomic(paths.moved, f"moved to {packed.path}\n".encode())
        if compact:
            _require_room(disk, paths)
            before, after = compact_database(paths.database)
            click.echo(f"the database has {after} bytes now, {before} before")
    click.echo(f"{packed.files} files in {packed.path}")
    click.echo(f"Next: livespot restore {packed.path} --var DIR, at the new place")
    return 0


def _require_room(disk: "RealDisk", paths: "Paths") -> None:
    """What is written anew needs the room of two more databases for a moment."""
    from livespot.contracts.errors import PreflightFailed

    needed, free = 2 * disk.size(paths.database), disk.free_bytes(paths.var)
    if free < needed:
        raise PreflightFailed(
            f"the backup is written, but {needed} bytes of room are needed to compact the database "
            f"and {free} are free; it is as it was"
        )


@click.command(
    epilog="Example: livespot restore /mnt/usb/livespot --var var; livespot restore "
    "var/backups/audit-2026-11-21.sqlite. Exit codes: 0 restored, 2 wrong usage, 3 the backup is "
    "not whole or newer than this program, 5 a process runs there."
)
@click.argument("source", metavar="BACKUP", type=click.Path(path_type=Path))
@var_option_for("State directory (default: var/ of the project).")
def restore(source: Path, var: Path | None) -> int:
    """Prove a backup, then put it in place of what is there, which is kept aside.

    BACKUP is a directory that livespot backup wrote, or one of the daily copies of the database in
    backups/ of the state directory. With such a copy the trail and the evidence stay. The next
    start records the restore. It begins in PAUSE unless nothing can be missing: the backup was made
    with --move, or nothing ran since it was made.
    """
    from livespot.evidence.moments import stamp
    from livespot.runtime.clock import SystemClock
    from livespot.runtime.disk import RealDisk
    from livespot.runtime.paths import Paths, default_var
    from livespot.store.archive import proven, unpack, unpack_database

    paths, disk = Paths(var=var if var is not None else default_var()), RealDisk()
    single = source.is_file()
    if not single:
        # Before anything is made in the place where it goes.
        proven(source)
    disk.make_directory(paths.var)
    with disk.lock(paths.lock, "restore"):
        now_ms = SystemClock().now_ms()
        aside = f"replaced-{stamp(now_ms)}"
        place = unpack_database if single else unpack
        done = place(source, paths.var, aside=aside, at_ms=now_ms)
        disk.remove(paths.moved)
    click.echo(f"restored {source} to {paths.var}")
    if done.aside:
        click.echo(f"What was there ({', '.join(done.aside)}) is in {paths.var / aside}")
    _warn(done.restoration)
    click.echo(f"Next: {_after(paths)}, then start as before")
    return 0


def _warn(restoration: "Restoration") -> None:
    """Say how far the restored records reach, where something may be missing."""
    from livespot.evidence.moments import instant

    if restoration.whole:
        return
    if restoration.restored is not None:
        click.echo(f"Its records end at {instant(restoration.restored.at_ms)}.", err=True)
    if restoration.replaced is not None:
        click.echo(f"Those it replaces end at {instant(restoration.replaced.at_ms)}.", err=True)
    click.echo(
        "Orders may stand at the exchange that they do not know, so the next start begins in PAUSE "
        "(DB_ROLLBACK_DETECTED).",
        err=True,
    )


def _after(paths: "Paths") -> str:
    """What a restored place needs first: a copy may be of an older schema."""
    import shlex

    from livespot.store.migrate import status

    here = f"--var {shlex.quote(str(paths.var))}"
    doctor = f"livespot doctor --offline {here}"
    return doctor if status(paths.database).current else f"livespot migrate {here}, {doctor}"
