"""`livespot sim`: the main job on an embedded exchange with recorded real market data."""

from pathlib import Path

import click

from livespot_cmd.options import DEFAULT_START, Instant, Span, config_option, var_option_for

_DEFAULT_SPEED = 4
_DEFAULT_SEED = 7


@click.command(
    epilog="Example: livespot sim --for 5m --seed 3. After a kill -9: livespot sim --resume. Exit "
    "codes: 0 clean, 2 wrong configuration, 3 not ready or a broken invariant, 5 one is running, "
    "10 ended in PAUSE, 20 watchdog, 30 audit unwritable."
)
@click.option("--for", "span_ms", type=Span(), default="3m", show_default=True, help="Wall time.")
@click.option(
    "--start",
    "start_ms",
    type=Instant(),
    default=DEFAULT_START,
    show_default=True,
    help="Market time (UTC).",
)
@click.option("--speed", type=click.IntRange(1, 5), default=_DEFAULT_SPEED, show_default=True)
@click.option("--seed", type=int, default=_DEFAULT_SEED, show_default=True)
@click.option("--data", type=click.Path(path_type=Path), help="Another recorded market.")
@click.option("--resume", is_flag=True, help="Go on with the last simulation and its exchange.")
@var_option_for("State directory.")
@config_option
def sim(  # noqa: PLR0913  one parameter per option
    span_ms: int,
    start_ms: int,
    speed: int,
    seed: int,
    data: Path | None,
    resume: bool,  # noqa: FBT001  a flag
    var: Path | None,
    config_path: Path | None,
) -> int:
    """Trade recorded real market data; ends by itself or on Ctrl-C, with a summary."""
    from livespot.runtime.console import LiveConsole
    from livespot.runtime.files import load_config
    from livespot.runtime.loops import run_loop
    from livespot.runtime.paths import Paths, sim_var
    from livespot.runtime.sim_run import SimOrder, simulate

    paths = Paths(var=var if var is not None else sim_var())
    order = SimOrder(
        paths=paths,
        loaded=load_config(paths, config_path),
        span_ms=span_ms,
        start_ms=start_ms,
        speed=speed,
        seed=seed,
        data=data,
        resume=resume,
    )
    return run_loop(simulate, order, LiveConsole(sound=order.loaded.settings.alerts.sound))
