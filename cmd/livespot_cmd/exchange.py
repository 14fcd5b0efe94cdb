"""`livespot exchange`: run the embedded exchange on its own, for anybody's client."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from livespot_cmd.options import Instant, Span

if TYPE_CHECKING:
    from livespot.exchange.faults.plan import FaultPlan
    from livespot.exchange.settings import ExchangeSettings
    from livespot.runtime.clock import ScaledClock

_LIST = "list"


@click.command(
    epilog="Example: livespot exchange --data synthetic. Exit codes: 0 ended in order, 2 wrong "
    "usage, 3 it could not start. More: docs/exchange.md."
)
@click.option("--port", type=click.IntRange(0, 65535), default=9080, show_default=True)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default="recorded",
    show_default=True,
    help="A data set's name, or a directory with a manifest; `--data list` shows the names.",
)
@click.option(
    "--start",
    "start_ms",
    type=Instant(),
    help="Market time to begin at (UTC); a record then plays at its own times. Without it market "
    "time begins as wall time, and a record is moved to today.",
)
@click.option("--speed", type=click.IntRange(1, 100), default=1, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option(
    "--scenario",
    type=click.Path(dir_okay=False, path_type=Path),
    help="TOML timeline for a synthetic market instead of its own.",
)
@click.option(
    "--journal",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write every request, order, fill and balance to this file.",
)
@click.option(
    "--keys",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the Ed25519 private key is kept (default: var/exchange; none with --state-file).",
)
@click.option(
    "--state-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the exchange's addresses to this file while it runs.",
)
@click.option("--for", "span_ms", type=Span(), help="Stop after this much market time.")
@click.option(
    "--plan",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A plan of faults, as TOML or JSON; see docs/exchange-faults.md.",
)
@click.option(
    "--control-port",
    type=click.IntRange(0, 65535),
    help="Loopback port on which faults can be changed meanwhile; 0 takes a free one.",
)
@click.pass_context
def exchange(  # noqa: PLR0913  one parameter per option
    ctx: click.Context,
    /,
    port: int,
    data: Path,
    start_ms: int | None,
    speed: int,
    seed: int,
    scenario: Path | None,
    journal: Path | None,
    keys: Path | None,
    state_file: Path | None,
    span_ms: int | None,
    plan: Path | None,
    control_port: int | None,
) -> None:
    """Serve a private imitation of the exchange on a loopback port until Ctrl-C."""
    if str(data) == _LIST:
        _show_sets()
        return
    import anyio

    from livespot.exchange.settings import ExchangeSettings, SharedClock
    from livespot.runtime.clock import ClockAnchor, ScaledClock, SystemClock
    from livespot.runtime.paths import default_var

    wall_ms = SystemClock().now_ms()
    market_ms = wall_ms if start_ms is None else start_ms
    settings = ExchangeSettings(
        port=port,
        seed=seed,
        data=data,
        shifted=start_ms is None,
        scenario=scenario,
        journal=journal,
        state_file=state_file,
        shared_clock=SharedClock(wall_ms=wall_ms, market_ms=market_ms, speed=speed),
        plan=None if plan is None else _plan(plan),
        control_port=control_port,
        start_ms=start_ms,
        stop_ms=None if start_ms is None or span_ms is None else start_ms + span_ms,
    )
    if keys is None and state_file is None:
        keys = default_var() / "exchange"
    clock = ScaledClock(ClockAnchor(wall_ms=wall_ms, market_ms=market_ms, speed=speed))
    ctx.exit(anyio.run(_run, settings, clock, span_ms, keys))


def _plan(path: Path) -> "FaultPlan":
    from livespot.exchange.faults.loader import PlanInvalid, load_plan

    try:
        return load_plan(path)
    except PlanInvalid as error:
        raise click.BadParameter("\n  ".join(error.problems), param_hint="--plan") from error


def _show_sets() -> None:
    from livespot.exchange.data_sets import DATA_SETS

    for data_set in DATA_SETS:
        click.echo(f"{data_set.name:<18} {data_set.about}")
    click.echo(f"{'synthetic-N':<18} made up: N pairs, from 1 to 1000")
    click.echo(f"{'DIRECTORY':<18} a record of your own; its manifest.json says what it holds")


async def _run(
    settings: "ExchangeSettings", clock: "ScaledClock", span_ms: int | None, keys: Path | None
) -> int:
    """Serve until a signal or the end of the span; returns the exit code."""
    from dataclasses import replace

    import anyio

    from livespot.contracts.errors import ExitCode, PreflightFailed
    from livespot.exchange.data_sets import open_market
    from livespot.exchange.demo_key import ed25519_key
    from livespot.exchange.service import data_order, serve_exchange
    from livespot.runtime.end_signals import ended_by_signals
    from livespot_cmd.exchange_screen import screen

    code = ExitCode.CLEAN
    try:
        source = open_market(data_order(settings, clock.now_ms()))
        private_key = None if keys is None else keys / "ed25519-private-key.pem"
        if private_key is not None:
            settings = replace(settings, keys=(*settings.keys, ed25519_key(private_key)))
        over = anyio.Event()

        async def serve(*, task_status: anyio.abc.TaskStatus[object]) -> None:
            await serve_exchange(settings, clock, source=source, task_status=task_status)

        # A second signal must not cut short the closing of the journal and the sockets.
        with ended_by_signals(lambda _name: over.set()):
            async with anyio.create_task_group() as tasks:
                address = await tasks.start(serve)
                for line in screen(settings, address, source, private_key):
                    click.echo(line)
                with clock.move_on_after(None if span_ms is None else span_ms / 1000):
                    await over.wait()
                tasks.cancel_scope.cancel()
    except* (PreflightFailed, OSError) as failures:
        for failure in _leaves(failures):
            click.echo(f"error: {failure}", err=True)
        code = ExitCode.PREFLIGHT
    return int(code)


def _leaves(error: BaseException) -> list[BaseException]:
    """Return the single errors of a group, however deeply they are nested."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]
