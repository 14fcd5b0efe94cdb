"""`livespot soak`: hours of simulation with faults on a schedule, and what they showed."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from livespot_cmd.options import Instant, Span, config_option, var_option_for

if TYPE_CHECKING:
    from livespot.evidence.readiness import Readiness
    from livespot.exchange.faults.plan import FaultPlan
    from livespot.runtime.paths import Paths

# Early in the recorded market, so that days of it follow.
_START = "2021-04-11T00:00"


@click.command(
    epilog="Example: livespot soak --for 8h; livespot soak --for 1h --no-entries. Exit codes: 0 "
    "ready, 2 wrong usage or configuration, 3 not ready, 5 one is running, 10 ended in PAUSE, 20 "
    "watchdog, 30 audit unwritable."
)
@click.option("--for", "span_ms", type=Span(), default="2h", show_default=True, help="Wall time.")
@click.option(
    "--every",
    "every_ms",
    type=Span(),
    default="10m",
    show_default=True,
    help="Market time from one fault to the next.",
)
@click.option(
    "--faults",
    "plan_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A plan of your own instead, as TOML or JSON; see docs/exchange-faults.md.",
)
@click.option("--entries/--no-entries", default=True, help="Whether it may buy.  [default: it may]")
@click.option(
    "--start",
    "start_ms",
    type=Instant(),
    default=_START,
    show_default=True,
    help="Market time (UTC).",
)
@click.option("--speed", type=click.IntRange(1, 5), default=4, show_default=True)
@click.option("--seed", type=int, default=7, show_default=True)
@var_option_for("State directory (default: var/soak of the project).")
@config_option
def soak(  # noqa: PLR0913  one parameter per option
    span_ms: int,
    every_ms: int,
    plan_path: Path | None,
    entries: bool,  # noqa: FBT001  a flag
    start_ms: int,
    speed: int,
    seed: int,
    var: Path | None,
    config_path: Path | None,
) -> int:
    """Simulate for hours with faults on a schedule; ends in a readiness report.

    The default schedule cuts, silences and slows connections and loses answers, one after another,
    and leaves the last part quiet. The report is printed and kept as readiness.json.
    """
    import anyio
    import msgspec

    from livespot.contracts.errors import ExitCode
    from livespot.runtime.console import LiveConsole
    from livespot.runtime.files import load_config
    from livespot.runtime.loops import run_loop
    from livespot.runtime.paths import Paths, soak_var
    from livespot.runtime.sim_run import SimOrder, simulate
    from livespot.runtime.soak_schedule import schedule
    from livespot_cmd.fault_plan import read_plan

    paths = Paths(var=var if var is not None else soak_var())
    if plan_path is not None:
        plan = read_plan(plan_path, "started")
    else:
        plan = schedule(span_ms * speed, every_ms, seed=seed)
    if not plan.faults:
        raise click.UsageError(
            "no fault fits into this span, so nothing was started; give a longer --for or a "
            "shorter --every"
        )
    order = SimOrder(
        paths=paths,
        loaded=load_config(paths, config_path),
        span_ms=span_ms,
        start_ms=start_ms,
        speed=speed,
        seed=seed,
        data=None,
        resume=False,
        faults=msgspec.json.encode(plan).decode(),
        closed=() if entries else ("this soak takes no entries",),
    )
    console = LiveConsole(sound=order.loaded.settings.alerts.sound)
    code = run_loop(simulate, order, console)
    if code is ExitCode.AUDIT_UNWRITABLE:
        # A run that could not be recorded cannot be judged.
        return code
    console.say("the gates are asked now; that takes up to a minute")
    found = anyio.run(_judged, paths, plan, config_path)
    _tell(found, paths)
    return ExitCode.PREFLIGHT if code is ExitCode.CLEAN and not found.ready else code


async def _judged(paths: "Paths", plan: "FaultPlan", config_path: Path | None) -> "Readiness":
    """Judge the run point by point, and store the result beside its records."""
    import msgspec

    from livespot.evidence.gates.results import GATES
    from livespot.evidence.readiness import readiness
    from livespot.evidence.run_choice import chosen_run
    from livespot.evidence.run_folder import read_report
    from livespot.runtime.disk import RealDisk
    from livespot.runtime.environment import read_secrets
    from livespot.runtime.replay_report import fired
    from livespot.runtime.run_evidence import journal_of, whereabouts
    from livespot.runtime.verify_run import VerifyOrder, verify

    where = whereabouts(paths)
    run_id = await chosen_run(where.reader, "LAST")
    judged = await verify(
        VerifyOrder(
            paths=paths,
            run=run_id,
            gates=GATES,
            secrets=read_secrets(paths.dotenv).all(),
            config_path=config_path,
        ),
        lambda one: None,
    )
    told = await read_report(RealDisk(), where, run_id, journal_of(paths))
    found = readiness(
        told.summary,
        told.survival,
        [one.verdict for one in judged],
        fired((fault.id for fault in plan.faults), paths.exchange_journal),
    )
    encoded = msgspec.json.format(msgspec.json.encode(found), indent=2)
    RealDisk().write_atomic(paths.readiness, encoded + b"\n")
    return found


def _tell(found: "Readiness", paths: "Paths") -> None:
    from livespot.runtime.placed import placed
    from livespot_cmd.report import tell_looks

    tell_looks(found.points)
    for fault in found.faults:
        if not fault.count:
            click.echo(f"      never came up       {fault.name}")
    click.echo(f"Readiness: {found.run_id}: {'ready' if found.ready else 'not ready'}")
    click.echo(f"Next: {placed(found.next_action, paths)}")
    click.echo(f"kept in {paths.readiness}", err=True)
