"""Where commands and runs keep evidence: the functions of `evidence` on one state directory."""

import subprocess
import sys
from collections.abc import Callable, Sequence

import anyio
import msgspec
import structlog

from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import LivespotError
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import Severity, SysMode
from livespot.evidence.journal import JournalRows
from livespot.evidence.manifest import Birthmarks, RunInputs
from livespot.evidence.run_folder import (
    Whereabouts,
    begin,
    complete,
    is_complete,
    write_incidents,
)
from livespot.runtime.children import ended
from livespot.runtime.clock import SystemClock
from livespot.runtime.disk import RealDisk
from livespot.runtime.environment import environment_of_a_child
from livespot.runtime.paths import Paths, project_root
from livespot.runtime.placed import placed
from livespot.runtime.send_gate import SendGate
from livespot.runtime.simulation_journal import read_rows
from livespot.store.reader import ReadOnlyDatabase, first

_log = structlog.get_logger(__name__)
_LOOK_SECONDS = 0.5
# The boot comes first, such as protecting what a killed run left.
_BOOT_SECONDS = 5.0
_GRAVE = (SysMode.PAUSE, SysMode.EXIT)
_MARK_NAMES = tuple(field.name for field in msgspec.structs.fields(Birthmarks))
_MARKS = """
SELECT run_id, mode, started_at_ms, account_label, config_json, config_hash, prompt_hash,
       previous_run_id
FROM runs WHERE run_id = ?
"""
_ENDED = "SELECT ended_at_ms FROM runs WHERE run_id = ?"
# Newest last. Checking a folder that is complete takes one look at a file name.
_OVER = "SELECT run_id FROM runs WHERE ended_at_ms <> 0 ORDER BY rowid"


def whereabouts(paths: Paths) -> Whereabouts:
    """Return a state directory in the terms of `evidence`."""
    return Whereabouts(
        reader=ReadOnlyDatabase(paths.database),
        database=paths.database,
        logs=paths.logs,
        runs=paths.runs,
        checkout=project_root(),
    )


def journal_of(paths: Paths) -> JournalRows | None:
    """Read the embedded exchange's journal; None where there is none."""
    return read_rows(paths.exchange_journal) if paths.exchange_journal.is_file() else None


async def complete_ended(paths: Paths, completed_by: str) -> tuple[str, ...]:
    """Complete the folder of every ended run that lacks it; returns the ids of those runs.

    Raises `StoreBusy`, `AuditUnwritable` and `OSError`.
    """
    where, disk = whereabouts(paths), RealDisk()
    lacking = await _lacking(paths)
    journal = journal_of(paths) if lacking else None
    for run_id in lacking:
        await complete(disk, where, run_id, journal, completed_by)
    return tuple(lacking)


async def complete_own(paths: Paths, run_id: str) -> bool:
    """Complete the folder of the run that just ended; False when no end of it is on record."""
    where = whereabouts(paths)
    row = await first(where.reader, _ENDED, (run_id,))
    if row is None or not row[0]:
        return False
    return await complete(RealDisk(), where, run_id, journal_of(paths))


async def finish(paths: Paths, run_ids: Sequence[str]) -> None:
    """Complete the runs of this process; failures are logged and left to the next boot."""
    with anyio.CancelScope(shield=True):
        for run_id in run_ids:
            try:
                await complete_own(paths, run_id)
            except (LivespotError, OSError) as error:
                _log.warning("evidence_not_completed", run=run_id, cause=str(error))


def begin_own(paths: Paths, marks: Birthmarks, inputs: RunInputs | None) -> None:
    """Write the manifest of a run that begins. Raises `OSError`."""
    begin(RealDisk(), paths.runs, project_root(), marks, inputs)


async def complete_replayed(paths: Paths, run_ids: tuple[str, ...], inputs: RunInputs) -> None:
    """Write the whole folder of each run of a replay that has ended."""
    where = whereabouts(paths)
    for run_id in run_ids:
        for row in await where.reader.rows(_MARKS, (run_id,)):
            begin_own(
                paths, msgspec.convert(dict(zip(_MARK_NAMES, row, strict=True)), Birthmarks), inputs
            )
            await complete_own(paths, run_id)


async def complete_killed(paths: Paths, tell: Callable[[Alert], object]) -> None:
    """Complete the evidence of killed runs in a separate process, then report it by an alert.

    Failures are reported and never end the run beside it.
    """
    wall = SystemClock()
    await wall.sleep(_BOOT_SECONDS)
    try:
        lacking = await _lacking(paths)
    except (LivespotError, OSError) as error:
        _log.warning("evidence_not_looked_at", cause=str(error))
        return
    if not lacking:
        return
    try:
        completed = await _completed_in_a_process(paths, wall)
    except OSError as error:
        _log.warning("evidence_process_not_started", cause=str(error))
        completed = False
    tell(_completion_alert(lacking, paths, completed=completed))


async def _completed_in_a_process(paths: Paths, wall: SystemClock) -> bool:
    """Whether `livespot report --complete` succeeded. Raises `OSError` when it cannot start."""
    command = [
        # -P: a file in the working directory must not stand in for a module of ours.
        *(sys.executable, "-P", "-m", "livespot_cmd.main", "report", "--complete"),
        *("--by", "the next boot", "--var", str(paths.var)),
    ]
    child = subprocess.Popen(  # noqa: ASYNC220, S603  starting is short; arguments are ours
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment_of_a_child(),
    )
    try:
        while child.poll() is None:
            await wall.sleep(_LOOK_SECONDS)
    finally:
        code = await ended(child, wall)
    return code == 0


def _completion_alert(lacking: tuple[str, ...], paths: Paths, *, completed: bool) -> Alert:
    command = placed("livespot report --complete", paths)
    how = "is complete now" if completed else f"could not be completed: {command}"
    return Alert(
        severity=Severity.INFO if completed else Severity.WARN,
        code=ReasonCode.BOOT_RECOVERY,
        reasons=(),
        text=f"the evidence of {', '.join(lacking)} {how}",
    )


async def bundle_incidents(paths: Paths, run_id: str, gate: SendGate) -> None:
    """Write an incident bundle soon after each change to PAUSE or EXIT that a fault caused.

    A bundle that cannot be written now is written when the run's folder is completed.
    """
    wall, before = SystemClock(), gate.mode
    while True:
        await wall.sleep(_LOOK_SECONDS)
        if gate.mode is before:
            continue
        before = gate.mode
        if before in _GRAVE:
            try:
                await write_incidents(RealDisk(), whereabouts(paths), run_id)
            except (LivespotError, OSError) as error:
                _log.warning("incident_not_bundled", cause=str(error))


async def _lacking(paths: Paths) -> tuple[str, ...]:
    """Return the ended runs whose folder is not complete."""
    over = [str(row[0]) for row in await whereabouts(paths).reader.rows(_OVER)]
    return tuple(run for run in over if not is_complete(RealDisk(), paths.runs, run))
