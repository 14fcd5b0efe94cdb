"""One `livespot replay`: data, directory, run, evidence, and the check if asked for."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import msgspec

from livespot.contracts.errors import ExitCode, PreflightFailed
from livespot.contracts.records import GateEventRow
from livespot.evidence.manifest import RunInputs
from livespot.evidence.summary import summarise
from livespot.exchange.faults.plan import FaultPlan
from livespot.exchange.settings import ExchangeSettings
from livespot.runtime.config import LoadedSettings
from livespot.runtime.disk import RealDisk
from livespot.runtime.environment import environment_of_a_child
from livespot.runtime.paths import Paths
from livespot.runtime.replay_difference import first_difference
from livespot.runtime.replay_report import (
    DIFFERENT,
    IDENTICAL,
    NOT_DONE,
    Check,
    ReplayReport,
    reported,
)
from livespot.runtime.replay_request import Planned, Wish, planned, utc
from livespot.runtime.replay_run import ReplayOrder, run_virtual
from livespot.runtime.replay_screen import Interruption, ReplayScreen
from livespot.runtime.run_evidence import complete_replayed
from livespot.runtime.simulation_journal import read_rows
from livespot.runtime.swap_rehearsal import EMBEDDED, is_proven
from livespot.store.queries import LedgerQueries
from livespot.store.reader import ReadOnlyDatabase

_REPETITION = "repetition"
# A hash seed that differs from that of most processes.
_HASH_SEED = "4242"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayCommand:
    """What was asked for. The paths are kept to pass them to a second process.

    `source` is the recorded run to play again, if any. `proof_path` is the file of swap rehearsals,
    which VIRTUAL trailing needs.
    """

    wish: Wish
    loaded: LoadedSettings
    config_path: Path | None
    plan: FaultPlan | None
    plan_path: Path | None
    gate_path: Path | None
    check: bool
    proof_path: Path | None = None
    source: "Recording | None" = None

    @property
    def swap_proven(self) -> bool:
        """Whether VIRTUAL trailing may stand.

        Recorded settings may keep it: they are those that were in force, with unproven swaps OFF.
        """
        if self.source is not None:
            return True
        return self.proof_path is not None and is_proven(self.proof_path, EMBEDDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recorded run. With `repeats`, a replay must give the same bytes.

    `recomputed` says how recomputing its decisions went; `of_wall_time`: it ran in wall time.
    """

    paths: Paths
    run_id: str
    repeats: bool
    gate: tuple[GateEventRow, ...] | None
    recomputed: str
    of_wall_time: bool = False


def replay(command: ReplayCommand, place: Callable[[], Paths], screen: ReplayScreen) -> ExitCode:
    """Run a replay and report it. `place` is called once nothing rules the replay out.

    Raises:
        PreflightFailed: the data, the span, the directory or the recorded run cannot be used.
        VirtualDeadlock, VirtualLivelock, RuntimeError: the run broke; this is a defect.
    """
    plan = planned(command.wish)
    source = command.source
    gate = _recorded_gate(command.gate_path) if source is None else source.gate
    paths = place()
    interruption = Interruption()
    with (
        RealDisk().lock(paths.lock, f"replay, process {os.getpid()}"),
        interruption.watched(),
        _repeating(command, plan, paths) as repetition,
    ):
        report, code = _run(command, plan, gate, paths, screen, interruption)
        if source is not None:
            report = msgspec.structs.replace(
                report, recomputed=source.recomputed, of_wall_time=source.of_wall_time
            )
        if repetition is not None:
            report = msgspec.structs.replace(
                report, check=_checked(repetition, paths, interruption)
            )
        elif source is not None and source.repeats:
            report = msgspec.structs.replace(report, check=_held_to(source, paths))
        if report.check.verdict == DIFFERENT and code is ExitCode.CLEAN:
            code = ExitCode.DIFFERENT
    screen.conclude(report)
    return code


def _run(
    command: ReplayCommand,
    plan: Planned,
    gate: tuple[GateEventRow, ...] | None,
    paths: Paths,
    screen: ReplayScreen,
    interruption: Interruption,
) -> tuple[ReplayReport, ExitCode]:
    def watch(done_ms: int) -> bool:
        screen.show(plan.start_ms, done_ms, plan.span_ms)
        return not interruption.asked

    wish = command.wish
    screen.say(f"replay in {paths.var}; Ctrl-C ends it in order")
    with screen.progress():
        result = run_virtual(
            ReplayOrder(
                paths=paths,
                loaded=command.loaded,
                start_ms=plan.start_ms,
                span_ms=plan.span_ms,
                seed=wish.seed,
                exchange=ExchangeSettings(
                    data=Path(wish.data), symbols=wish.symbols, plan=command.plan
                ),
                source=plan.source,
                swap_proven=command.swap_proven,
                gate=gate,
                watch=watch,
            )
        )
    anyio.run(complete_replayed, paths, result.run_ids, _inputs(command, plan))
    journal = read_rows(result.journal)
    summary = anyio.run(summarise, result.database, result.logs, result.run_ids[-1], journal)
    report = reported(
        plan,
        result,
        summary,
        seed=wish.seed,
        faults=command.plan,
        interrupted=interruption.asked,
    )
    broken = bool(summary.violations) and result.exit_code is ExitCode.CLEAN
    return report, ExitCode.PREFLIGHT if broken else result.exit_code


def _inputs(command: ReplayCommand, plan: Planned) -> RunInputs:
    path = command.plan_path
    return RunInputs(
        data=command.wish.data,
        data_set_id=plan.source.data_id,
        data_set_sha256=plan.source.sha256,
        symbols=tuple(sorted(command.wish.symbols)),
        seed=command.wish.seed,
        start_ms=plan.start_ms,
        span_ms=plan.span_ms,
        speed=1,
        virtual=True,
        faults="" if path is None else RealDisk().read(path).decode(),
        faults_name="" if path is None else path.name,
        gate="" if command.gate_path is None else "recorded",
    )


def _held_to(source: Recording, paths: Paths) -> Check:
    """Compare the replay of a recorded replay with the record."""
    found = first_difference(source.paths, paths)
    if found is None:
        return Check(verdict=IDENTICAL, detail=f"every byte of {source.run_id} came out again")
    return Check(verdict=DIFFERENT, detail=found)


def _recorded_gate(path: Path | None) -> tuple[GateEventRow, ...] | None:
    """Return every attempt that the last run of a database made to ask its model."""
    if path is None:
        return None
    database = Paths(var=path).database if path.is_dir() else path
    if not database.is_file():
        raise PreflightFailed(
            f"{path} is no database and holds no data/audit.sqlite, so no model's answers can be "
            "taken from it.\nNext: name a run's state directory, such as var/sim"
        )
    return anyio.run(_gate_events, LedgerQueries(ReadOnlyDatabase(database)), path)


async def _gate_events(ledger: LedgerQueries, path: Path) -> tuple[GateEventRow, ...]:
    last = await ledger.last_run()
    if last is None:
        raise PreflightFailed(
            f"no run was ever recorded in {path}, so it holds no model's answers.\n"
            "Next: name another one, or leave --gate out"
        )
    return await ledger.gate_events(last.run_id)


@contextmanager
def _repeating(
    command: ReplayCommand, plan: Planned, paths: Paths
) -> Iterator["subprocess.Popen[bytes] | None"]:
    """Run the same replay in a second process during the block, if that is wanted."""
    if not command.check:
        yield None
        return
    wish, source = command.wish, command.source
    files = (
        ("--config", command.config_path),
        ("--faults", command.plan_path),
        ("--gate", command.gate_path),
        ("--proof", command.proof_path),
    )
    var = str(paths.var / _REPETITION)
    # -P: a file in the working directory must not stand in for a module of ours.
    program = (sys.executable, "-P", "-m", "livespot_cmd.main", "replay", "--json", "--var", var)
    arguments = [
        *program,
        *("--data", wish.data, "--seed", str(wish.seed)),
        *("--from", utc(plan.start_ms), "--to", utc(plan.start_ms + plan.span_ms)),
        *(("--symbols", ",".join(sorted(wish.symbols))) if wish.symbols else ()),
        *(text for name, path in files if path is not None for text in (name, str(path))),
    ]
    if source is not None:
        arguments = [*program, source.run_id, "--of", str(source.paths.var), "--once"]
    RealDisk().make_directory(paths.logs)
    with (paths.logs / "repetition.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603  the arguments are those of this command
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            env={**environment_of_a_child(), "PYTHONHASHSEED": _HASH_SEED},
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def _checked(
    repetition: "subprocess.Popen[bytes]", paths: Paths, interruption: Interruption
) -> Check:
    """Wait for the second process and compare its files with ours."""
    if interruption.asked:
        return Check(verdict=NOT_DONE, detail="it was interrupted, at a moment of its own")
    repetition.wait()
    if interruption.asked:
        return Check(verdict=NOT_DONE, detail="the repetition was interrupted")
    other = Paths(var=paths.var / _REPETITION)
    try:
        found = first_difference(paths, other)
    except (sqlite3.Error, OSError) as error:
        log = paths.logs / "repetition.log"
        return Check(verdict=DIFFERENT, detail=f"its end, it left no result ({error}); see {log}")
    return Check(verdict=IDENTICAL) if found is None else Check(verdict=DIFFERENT, detail=found)
