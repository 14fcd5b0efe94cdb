"""`livespot replay`: the whole system on virtual time, as fast as the processor allows."""

from pathlib import Path

import click

from livespot_cmd.options import DEFAULT_START, Instant, Span, config_option, remembered

_USUAL_SPAN_MS = 12 * 60_000


@click.command(
    epilog="Example: livespot replay --for 1h --symbols SOLUSDT,ETHUSDT --check. Exit codes: 0 "
    "clean, 1 the repetition differs, 2 wrong usage, 3 no such data or a broken invariant, 10 "
    "ended in PAUSE, 30 audit unwritable. More: docs/replay.md."
)
@click.argument("run", default="", metavar="[RUN]")
@click.option(
    "--of",
    "of_var",
    type=click.Path(file_okay=False, path_type=Path),
    callback=remembered,
    help="State directory of the RUN to play again (default: the one livespot status reads).",
)
@click.option("--once", is_flag=True, help="Play a RUN again without comparing it.")
@click.option(
    "--profile",
    type=click.Choice(["full", "backtest"]),
    default="full",
    show_default=True,
    help="full: the whole system. backtest: only its decisions, on minute candles, for spans of "
    "weeks; see docs/replay.md.",
)
@click.option(
    "--data",
    default="recorded",
    show_default=True,
    help="A data set's name (livespot exchange --data list), or a directory with a manifest.",
)
@click.option(
    "--from",
    "from_ms",
    type=Instant(),
    help=f"Market time (UTC) to begin at; by default {DEFAULT_START}, or where the data begins.",
)
@click.option("--to", "to_ms", type=Instant(), help="Market time (UTC) to end at.")
@click.option("--for", "span_ms", type=Span(), help="Market time it lasts; by default 12m.")
@click.option("--symbols", metavar="A,B", default="", help="Only these; by default all there are.")
@click.option(
    "--seed", type=int, default=7, show_default=True, help="Seed of latencies, ids and books."
)
@click.option(
    "--faults",
    "--plan",
    "plan_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A plan of faults, as TOML or JSON; see docs/exchange-faults.md.",
)
@click.option(
    "--gate",
    "gate_path",
    type=click.Path(path_type=Path),
    help="A recorded run (state directory or database) whose model answers are given again.",
)
@click.option(
    "--proof",
    "proof_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="What livespot rehearse-swap wrote; VIRTUAL trailing is OFF without (default: the file "
    "in var/sim).",
)
@click.option(
    "--check", is_flag=True, help="Let a second process repeat it, and compare every byte of it."
)
@click.option(
    "--var",
    type=click.Path(file_okay=False, path_type=Path),
    help="New or empty directory for its files (default: the next number in var/replay).",
)
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON document.")
@config_option
def replay(  # noqa: PLR0913  one parameter per option
    run: str,
    of_var: Path | None,
    once: bool,  # noqa: FBT001  a flag
    profile: str,
    data: str,
    from_ms: int | None,
    to_ms: int | None,
    span_ms: int | None,
    symbols: str,
    seed: int,
    plan_path: Path | None,
    gate_path: Path | None,
    proof_path: Path | None,
    check: bool,  # noqa: FBT001  a flag
    var: Path | None,
    as_json: bool,  # noqa: FBT001  a flag
    config_path: Path | None,
) -> int:
    """Replay a stored market: same data, seed and arguments give the same bytes.

    RUN, an id or LAST, plays the market of a recorded run again with its own settings, seed and
    plan. A replay must give the same bytes again. A simulation ran on wall time, and no two of
    those have the same timings: its decisions are computed again from what is stored, and its
    market is played twice on virtual time, with the same result both times.
    """
    if profile == "backtest":
        _refuse_beside_backtest(
            {"RUN": run, "--faults": plan_path, "--gate": gate_path, "--check": check}
        )
    if run:
        return _again(run, of_var, var, once=once, as_json=as_json)
    if to_ms is not None and span_ms is not None:
        raise click.UsageError("--to and --for both say when it ends; give one of them.")
    from livespot.runtime.files import load_config
    from livespot.runtime.paths import Paths, sim_var
    from livespot.runtime.replay_command import ReplayCommand
    from livespot.runtime.replay_command import replay as play
    from livespot.runtime.replay_place import named, numbered, replays
    from livespot.runtime.replay_request import Wish
    from livespot.runtime.replay_screen import ReplayScreen
    from livespot_cmd.fault_plan import read_plan

    shared = replays() if var is None else Paths(var=var)
    if config_path is None and shared.config.is_file():
        config_path = shared.config
    wish = Wish(
        data=data,
        symbols=frozenset(name for part in symbols.split(",") if (name := part.strip().upper())),
        seed=seed,
        from_ms=from_ms,
        to_ms=to_ms,
        span_ms=span_ms,
        usual_ms=Instant().convert(DEFAULT_START, None, None),
        usual_span_ms=_USUAL_SPAN_MS,
    )

    def place() -> Paths:
        return numbered(shared.var) if var is None else named(var)

    loaded, screen = load_config(shared, config_path), ReplayScreen(as_json=as_json)
    if profile == "backtest":
        from livespot.backtest.command import backtest

        return backtest(wish, loaded, place, screen)
    command = ReplayCommand(
        wish=wish,
        loaded=loaded,
        config_path=config_path,
        plan=None if plan_path is None else read_plan(plan_path, "replayed"),
        plan_path=plan_path,
        gate_path=gate_path,
        proof_path=proof_path or Paths(var=sim_var()).rehearsals,
        check=check,
    )

    return play(command, place, screen)


def _again(run: str, of_var: Path | None, var: Path | None, *, once: bool, as_json: bool) -> int:
    from livespot.runtime.replay_command import replay as play
    from livespot.runtime.replay_place import named, numbered, replays
    from livespot.runtime.replay_recorded import command_for
    from livespot.runtime.replay_screen import ReplayScreen
    from livespot_cmd.recorded import recorded

    command = command_for(recorded(of_var), run, once=once)
    return play(
        command,
        lambda: numbered(replays().var) if var is None else named(var),
        ReplayScreen(as_json=as_json),
    )


def _refuse_beside_backtest(given: dict[str, object]) -> None:
    named = [name for name, value in given.items() if value]
    if named:
        raise click.UsageError(
            f"a backtest has no {named[0]}; leave it out, or leave --profile backtest out."
        )
