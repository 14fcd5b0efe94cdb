"""`livespot exchange`: run the embedded exchange on its own."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from livespot_cmd.options import DEFAULT_START, Instant, Span

if TYPE_CHECKING:
    from livespot.exchange.settings import ExchangeSettings
    from livespot.runtime.clock import ScaledClock


@click.command(
    epilog="Example: livespot exchange --port 9080 --speed 4. Exit codes: 0 ended in order, "
    "2 wrong usage, 3 it could not start."
)
@click.option("--port", type=click.IntRange(0, 65535), default=9080, show_default=True)
@click.option("--start", "start_ms", type=Instant(), default=DEFAULT_START, show_default=True)
@click.option("--speed", type=click.IntRange(1, 100), default=1, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Directory of recorded candles instead of the packaged ones.",
)
@click.option(
    "--journal",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write every request, order, fill and balance to this file.",
)
@click.option(
    "--state-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Say in this file where the exchange listens, as long as it does.",
)
@click.option("--for", "span_ms", type=Span(), help="Stop after this much market time.")
@click.pass_context
def exchange(
    ctx: click.Context,
    /,
    port: int,
    start_ms: int,
    speed: int,
    seed: int,
    **more: object,
) -> None:
    """Serve the embedded exchange on a loopback port until Ctrl-C."""
    import anyio

    from livespot.exchange.settings import ExchangeSettings, SharedClock
    from livespot.runtime.clock import ClockAnchor, ScaledClock, SystemClock

    wall_ms = SystemClock().now_ms()
    settings = ExchangeSettings(
        port=port,
        seed=seed,
        data=_path(more["data"]),
        journal=_path(more["journal"]),
        state_file=_path(more["state_file"]),
        shared_clock=SharedClock(wall_ms=wall_ms, market_ms=start_ms, speed=speed),
    )
    clock = ScaledClock(ClockAnchor(wall_ms=wall_ms, market_ms=start_ms, speed=speed))
    span_ms = more["span_ms"]
    code = anyio.run(_run, settings, clock, span_ms if isinstance(span_ms, int) else None)
    ctx.exit(code)


def _path(value: object) -> Path | None:
    return value if isinstance(value, Path) else None


async def _run(settings: "ExchangeSettings", clock: "ScaledClock", span_ms: int | None) -> int:
    """Serve until a signal or the end of the span; the exit code."""
    import anyio

    from livespot.contracts.errors import ExitCode, PreflightFailed
    from livespot.exchange.service import serve_exchange

    code = ExitCode.CLEAN
    try:
        async with anyio.create_task_group() as tasks:
            address = await tasks.start(serve_exchange, settings, clock)
            click.echo(f"exchange on {address.rest_url}, streams on {address.stream_url}")
            click.echo(f"market clock x{clock.anchor.speed}, seed {settings.seed}; Ctrl-C stops")
            await _wait_for_end(span_ms, clock)
            tasks.cancel_scope.cancel()
    except* (PreflightFailed, OSError) as failures:
        for failure in _leaves(failures):
            click.echo(f"error: {failure}", err=True)
        code = ExitCode.PREFLIGHT
    return int(code)


def _leaves(error: BaseException) -> list[BaseException]:
    """The errors themselves, however deeply they are grouped."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]


async def _wait_for_end(span_ms: int | None, clock: "ScaledClock") -> None:
    """Return at the first signal, or when the span of market time is over."""
    import signal

    import anyio

    span = None if span_ms is None else span_ms / 1000
    if sys.platform == "win32":
        # No signal receivers there: Ctrl-C arrives as KeyboardInterrupt and cancels everything.
        await (anyio.sleep_forever() if span is None else clock.sleep(span))
        return
    with (
        anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals,
        clock.move_on_after(span),
    ):
        async for _ in signals:
            return
