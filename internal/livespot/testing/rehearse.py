"""Plays one rehearsal: prepares it, serves the panel over it, and times the operator."""

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import click
import msgspec

from livespot.contracts.settings import PanelSettings
from livespot.evidence.panel_traces import DatabaseTraces
from livespot.panel.server import PanelServer
from livespot.runtime.clock import ClockAnchor, ScaledClock, SystemClock
from livespot.runtime.disk import RealDisk
from livespot.runtime.paths import Paths, default_var
from livespot.runtime.placed import placed_fold
from livespot.testing import panel_story
from livespot.testing.rehearsals import REHEARSALS, Answer, Rehearsal, prepare

_NUMBER = click.IntRange(min(REHEARSALS), max(REHEARSALS))


@asynccontextmanager
async def staged(
    var: Path, number: int, *, panel_port: int = 0
) -> AsyncIterator[tuple[Rehearsal, str]]:
    """The situation as it would be met, and the panel's address (empty where it would be gone)."""
    paths = Paths(var=var)
    rehearsal = await prepare(var, number)
    async with AsyncExitStack() as stack:
        if not rehearsal.alive:
            yield rehearsal, ""
            return
        stack.enter_context(RealDisk().lock(paths.lock, f"rehearsal {number}"))
        tasks = await stack.enter_async_context(anyio.create_task_group())
        heard: list[str] = []
        wall = SystemClock()
        anchor = ClockAnchor(wall_ms=wall.now_ms(), market_ms=panel_story.NOW_MS, speed=1)
        panel = PanelServer(
            database=paths.database,
            settings=msgspec.structs.replace(PanelSettings(), port=panel_port),
            clock=ScaledClock(anchor),
            wall=wall,
            audit_request=lambda *_: True,
            listening=heard.append,
            traces=DatabaseTraces(),
            place=partial(placed_fold, paths=paths),
        )
        await tasks.start(panel.run)
        yield rehearsal, heard[0]
        tasks.cancel_scope.cancel()


@click.command(epilog="Example: scripts/rehearse 3. Then look, say what is wrong, press Enter.")
@click.argument("number", type=_NUMBER)
@click.option(
    "--var",
    type=click.Path(file_okay=False, path_type=Path),
    help="A directory that does not exist yet (default: var/rehearsals and the next number).",
)
@click.option("--panel-port", type=click.IntRange(0, 65535), default=0)
@click.option("--answer", "only_answer", is_flag=True, help="Print the answer key and end.")
def rehearse(number: int, var: Path | None, panel_port: int, only_answer: bool) -> None:  # noqa: FBT001
    """Break something on purpose; diagnose it from status and panel alone, against the clock."""
    if only_answer:
        _print_answer(REHEARSALS[number].answer)
        return
    place = var if var is not None else _next_place(default_var() / "rehearsals")
    if place.exists():
        raise click.UsageError(f"{place} exists; a rehearsal only writes into a new directory")
    anyio.run(_play, place, number, panel_port)


async def _play(var: Path, number: int, panel_port: int) -> None:
    async with staged(var, number, panel_port=panel_port) as (rehearsal, url):
        click.echo("Three in the morning, and your phone rang. What is wrong, what do you do now?")
        click.echo(f"  livespot status --var {var}")
        click.echo(f"  {url or 'http://127.0.0.1:8787/dashboard'}")
        clock = SystemClock()
        begun_ms = clock.monotonic_ms()
        if sys.stdin.isatty():
            click.echo("Press Enter when you know.")
        await _enter()
        click.echo(f"{(clock.monotonic_ms() - begun_ms) / 1000:.0f} s (the goal is below 60)")
        _print_answer(rehearsal.answer)


async def _enter() -> None:
    """A line on standard input; where nothing can be waited for there, until interrupted."""
    try:
        await anyio.wait_readable(sys.stdin)
    except PermissionError:
        await anyio.sleep_forever()
    sys.stdin.readline()


def _print_answer(answer: Answer) -> None:
    click.echo(f"state      {answer.state}")
    click.echo(f"code       {answer.code}")
    click.echo(f"advice     {answer.advice}")
    click.echo(f"diagnosis  {answer.diagnosis}")


def _next_place(below: Path) -> Path:
    number = 1
    while (below / str(number)).exists():
        number += 1
    return below / str(number)


if __name__ == "__main__":
    rehearse()
