"""Defects of what a process keeps: modes, audit, limits, time and secrets."""

from dataclasses import replace
from typing import Any

import anyio
from msgspec.structs import replace as changed

from livespot.actors import audit, governor
from livespot.actors.audit import AuditWriter
from livespot.actors.governor import Governor
from livespot.actors.market_state import MarketState
from livespot.actors.recovery import BootRecovery
from livespot.contracts.chain import SealedEvent
from livespot.contracts.errors import AuditUnwritable, StoreBusy, Unreachable
from livespot.contracts.redaction import Redactor
from livespot.exchange.faults.plan import Delay
from livespot.rules import sysmode
from livespot.runtime.replay_clock import VirtualClock
from livespot.runtime.system import System
from livespot.store import inline
from livespot.store.batches import PRAGMAS
from livespot.testing.search.mutant_needs import (
    clock_quietly_wrong,
    commits_fail,
    reborn_in_silence,
    unreachable,
)
from livespot.testing.search.mutants import Bench, Mutant, power_cuts
from livespot.testing.search.plan import RunPlan
from livespot.testing.search.scenes import ENTRY_MS
from livespot.venue.caller import RestCaller


def _normal_sync(bench: Bench) -> None:
    pragmas = tuple(
        ("synchronous", "NORMAL", 1) if row[0] == "synchronous" else row for row in PRAGMAS
    )
    bench.put(inline, "PRAGMAS", pragmas)


def _unshielded(bench: Bench) -> None:
    def scope(*, shield: bool = False, **told: Any) -> anyio.CancelScope:
        del shield
        return anyio.CancelScope(**told)

    def move(clock: VirtualClock, seconds: float | None, *, shield: bool = False) -> Any:
        del shield
        return plain(clock, seconds)

    bench.put(audit, "CancelScope", scope)
    plain = bench.put(VirtualClock, "move_on_after", move)


def _first_cycle(bench: Bench) -> None:
    async def silent(_recovery: BootRecovery, *_told: Any) -> None:
        return None

    bench.put(governor, "_boot_signals", lambda _now_ms: ())
    bench.put(BootRecovery, "_demand", silent)


def _receipt_time(bench: Bench) -> None:
    def taken(keeper: Any, known: Any, window: Any, message: Any) -> None:
        arrived = message.local_received_ms + keeper.server_clock.offset_ms
        take(keeper, known, window, changed(message, exchange_time_ms=arrived))

    take = bench.put(MarketState, "_take_event", taken)


def _wall_clock(bench: Bench) -> None:
    bench.put(VirtualClock, "monotonic_ms", lambda clock: clock.now_ms() - clock.start_ms)


def _pause_clears(bench: Bench) -> None:
    def moved(state: Any, **told: Any) -> Any:
        after, mode = weigh(state, **told)
        return replace(after, held=False), mode

    weigh = bench.put(sysmode, "next_mode", moved)


def _alert_later(bench: Bench) -> None:
    async def one_by_one(keeper: Governor, *entries: Any) -> bool:
        return all([await commit(keeper, entry) for entry in entries])

    commit = bench.put(Governor, "_commit", one_by_one)


def _best_effort(bench: Bench) -> None:
    async def trying(writer: AuditWriter, group: Any) -> None:
        try:
            await write(writer, group)
        except (AuditUnwritable, StoreBusy):
            for unit in group:
                unit.written()

    write = bench.put(AuditWriter, "_write", trying)


def _jsonl_only(bench: Bench) -> None:
    def without_events(rows: Any, *told: Any) -> Any:
        return batches([row for row in rows if not isinstance(row, SealedEvent)], *told)

    batches = bench.put(inline, "batches_of", without_events)


def _limits_forgotten(bench: Bench) -> None:
    async def run(system: System, **told: Any) -> Any:
        budget = system.seams.venue.budget
        budget.__dict__["restore"] = lambda _bans: budget.__dict__.pop("restore", None)
        return await live(system, **told)

    live = bench.put(System, "run", run)


def _secret_told(bench: Bench) -> None:
    async def sending(caller: RestCaller, call: Any, timeout_seconds: float) -> Any:
        try:
            return await send(caller, call, timeout_seconds)
        except Unreachable as error:
            raise Unreachable(f"{error}: {caller._address(call)}") from error  # noqa: SLF001

    send = bench.put(RestCaller, "_send", sending)
    for name in ("values", "text"):
        bench.put(Redactor, name, lambda _redactor, text: text)


def _late_before_the_entry(plan: RunPlan) -> bool:
    return any(
        isinstance(fault.what, Delay)
        and fault.what.target == "ws_md"
        and (fault.when.after_ms or 0) < ENTRY_MS // 2
        for fault in plan.faults
    )


KEEPING = (
    Mutant(
        name="synchronous-normal",
        defect="a commit returns before the disk has it",
        plant=_normal_sync,
        needs=power_cuts,
    ),
    Mutant(
        name="unshielded-cleanup",
        defect="a cancelled task does not finish what it is writing",
        plant=_unshielded,
        scenario="entry-maker",
        cancelled=True,
    ),
    Mutant(
        name="entry-in-first-cycle",
        defect="a life may buy before its first look at what the last one left",
        plant=_first_cycle,
    ),
    Mutant(
        name="staleness-by-receipt",
        defect="the age of market data is counted from when it was received",
        plant=_receipt_time,
        needs=_late_before_the_entry,
    ),
    Mutant(
        name="wall-clock-timeouts",
        defect="time limits are measured with the wall clock",
        plant=_wall_clock,
        needs=clock_quietly_wrong,
    ),
    Mutant(
        name="pause-clears-itself",
        defect="PAUSE ends when its cause does, without the operator",
        plant=_pause_clears,
    ),
    Mutant(
        name="alert-after-transition",
        defect="a change of mode is durable before its alert is",
        plant=_alert_later,
    ),
    Mutant(
        name="audit-best-effort",
        defect="what cannot be written is dropped, and its writer told that it was written",
        plant=_best_effort,
        needs=commits_fail,
    ),
    Mutant(
        name="jsonl-only",
        defect="events are written to the trail and not to the database",
        plant=_jsonl_only,
    ),
    Mutant(
        name="rate-limit-forgotten",
        defect="a new life does not know of a silence that an earlier one was told to keep",
        plant=_limits_forgotten,
        needs=reborn_in_silence,
    ),
    Mutant(
        name="secret-in-exception",
        defect="an exception's text holds the signed address and the key, and nothing masks it",
        plant=_secret_told,
        needs=unreachable,
    ),
)
