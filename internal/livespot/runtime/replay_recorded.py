"""Plays a recorded run again from its own evidence: inputs, settings and the model's answers."""

import shlex
import tempfile
from pathlib import Path

import anyio
import msgspec

from livespot.contracts.errors import PreflightFailed
from livespot.contracts.settings import Settings
from livespot.evidence.manifest import RunInputs
from livespot.evidence.pruned import Lost, lost_of, pruned
from livespot.evidence.recompute import recompute
from livespot.evidence.run_choice import chosen_run
from livespot.evidence.run_folder import manifest_of
from livespot.exchange.faults.loader import load_plan
from livespot.exchange.faults.plan import FaultPlan
from livespot.rules.thresholds import config_hash
from livespot.runtime.config import LoadedSettings
from livespot.runtime.disk import RealDisk
from livespot.runtime.paths import Paths, present_var
from livespot.runtime.replay_command import Recording, ReplayCommand
from livespot.runtime.replay_request import Wish
from livespot.store.queries import LedgerQueries
from livespot.store.reader import Reader, ReadOnlyDatabase

_DECISIONS = """
SELECT decision_id, max(EXISTS (SELECT 1 FROM snapshots s WHERE s.snapshot_id = d.snapshot_id)
       OR EXISTS (SELECT 1 FROM order_intents i WHERE i.decision_id = d.decision_id)), max(at_ms)
FROM decisions d WHERE outcome <> 'BLOCKED' AND run_id = ? GROUP BY decision_id ORDER BY min(id)
"""
_SETTINGS = "SELECT config_json FROM runs WHERE run_id = ?"


def command_for(paths: Paths, wanted: str, *, once: bool) -> ReplayCommand:
    """Return the replay that plays a recorded run again; with `once`, without any comparison.

    A run on virtual time is compared with its own bytes. A run on wall time never has the same
    timings twice; its market is played twice on virtual time, and the two are compared.

    Raises:
        PreflightFailed: there is no such run, or its inputs are not known.
    """
    return anyio.run(_command, paths, wanted, once)


async def _command(paths: Paths, wanted: str, once: bool) -> ReplayCommand:  # noqa: FBT001
    reader = ReadOnlyDatabase(paths.database)
    run_id = await chosen_run(reader, wanted)
    inputs = _inputs(paths, run_id)
    again = f"livespot replay {run_id}{_of(paths)} --once"
    lost = await lost_of(reader, run_id)
    if lost.events and inputs.virtual and not once:
        raise PreflightFailed(
            f"a replay cannot be held to {run_id}: {lost.events} of its events were {lost.story}.\n"
            f"Next: {again} plays it and compares nothing"
        )
    (row,) = await reader.rows(_SETTINGS, (run_id,))
    settings = msgspec.json.decode(row[0], type=Settings)
    gate = None
    if inputs.gate:
        gate = await LedgerQueries(reader).gate_events(run_id)
    return ReplayCommand(
        wish=Wish(
            data=inputs.data,
            symbols=frozenset(inputs.symbols),
            seed=inputs.seed,
            from_ms=inputs.start_ms,
            to_ms=inputs.start_ms + inputs.span_ms,
            span_ms=None,
            usual_ms=inputs.start_ms,
            usual_span_ms=inputs.span_ms,
        ),
        loaded=LoadedSettings(
            settings=settings,
            config_hash=config_hash(settings),
            from_file=frozenset(),
            path=f"the settings of {run_id}",
        ),
        config_path=None,
        plan=_faults(inputs),
        plan_path=None,
        gate_path=None,
        check=not inputs.virtual and not once,
        source=Recording(
            paths=paths,
            run_id=run_id,
            repeats=inputs.virtual and not once,
            gate=gate,
            recomputed=await _recomputed(reader, run_id, lost),
            of_wall_time=not inputs.virtual,
        ),
    )


def _inputs(paths: Paths, run_id: str) -> RunInputs:
    manifest = manifest_of(RealDisk(), paths.runs, run_id)
    if manifest is None or manifest.inputs is None:
        raise PreflightFailed(
            f"{run_id} kept no market of its own to play again, as simulations and replays do; "
            "its decisions can still be reached again.\nNext: livespot verify determinism"
        )
    return manifest.inputs


def _of(paths: Paths) -> str:
    """The option that names this place, where a replay would look at another one without it."""
    if present_var()[0].resolve() == paths.var.resolve():
        return ""
    return f" --of {shlex.quote(str(paths.var))}"


def _faults(inputs: RunInputs) -> FaultPlan | None:
    if not inputs.faults:
        return None
    with tempfile.TemporaryDirectory(prefix="livespot-plan-") as folder:
        path = Path(folder) / inputs.faults_name
        RealDisk().write_atomic(path, inputs.faults.encode())
        return load_plan(path)


async def _recomputed(reader: Reader, run_id: str, lost: Lost) -> str:
    """Say in one line how recomputing the run's decisions from their stored inputs went."""
    rows = await reader.rows(_DECISIONS, (run_id,))
    edge_ms = (await pruned(reader)).snapshots_ms
    kept = [str(name) for name, whole, at_ms in rows if whole or at_ms >= edge_ms]
    compared = [(name, item) for name in kept for item in (await recompute(reader, name)).compared]
    gone = len(rows) - len(kept)
    left_out = f"; {gone} led to no order and their snapshots were {lost.story}" if gone else ""
    parted = [f"{name}: {item.subject}" for name, item in compared if not item.identical]
    if parted:
        return f"{len(parted)} of {len(compared)} parts DIFFER, first {parted[0]}{left_out}"
    return (
        f"{len(kept)} proposed, reached again with the recorded answers of the model: all "
        f"{len(compared)} parts have their recorded hashes{left_out}"
    )
