"""The execution actor on a real ledger, with time that moves only when the test moves it."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import anyio
import msgspec

from livespot.actors.audit import AuditWriter
from livespot.actors.execution import Execution
from livespot.actors.mail import (
    ApprovedEntry,
    ExecutionInbox,
    RecheckAsked,
    RecoverAsked,
    RecoverySummary,
    SnapshotsAsked,
    SnapshotsBuilt,
    SymbolsLearned,
)
from livespot.contracts.audit import AuditEntry
from livespot.contracts.canonical import canonical_json
from livespot.contracts.decision import Costs, Decision, RiskVerdict
from livespot.contracts.ports import Alarm, Scope
from livespot.contracts.records import DecisionRow, SnapshotRow
from livespot.contracts.redaction import Redactor
from livespot.contracts.settings import AuditSettings, Settings
from livespot.contracts.vocabulary import Mode, SysMode, Verdict
from livespot.rules.strategies import strategy_for
from livespot.runtime.clock import SystemClock
from livespot.runtime.cycles import CycleIds
from livespot.runtime.disk import RealDisk
from livespot.runtime.mailboxes import Mailbox, Reply
from livespot.runtime.send_gate import SendGate
from livespot.store.queries import LedgerQueries
from livespot.store.trail import JsonlTrail
from livespot.testing.inline_store import InlineDatabase, InlineReader
from livespot.testing.ledger_rows import RUN, draft
from livespot.testing.market_values import NOW_MS, a_snapshot, a_symbol
from livespot.testing.risk_values import an_entry
from livespot.testing.scripted_venue import ScriptedVenue
from livespot.testing.server_clock import FixedOffset

T = TypeVar("T")
_STEP_MS = 100
_PASSES = 60
SYMBOL = "SOLUSDT"


class StepClock:
    """`sleep` waits until `advance` has passed its time; deadlines are real ones."""

    def __init__(self, now_ms: int = NOW_MS) -> None:
        self.wall_ms = now_ms
        # Not 0, which stands for "never": no process runs at the very start of its machine.
        self.mono_ms = 1_000_000
        self._sleepers: list[_Sleeper] = []

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic_ms(self) -> int:
        return self.mono_ms

    async def sleep(self, seconds: float) -> None:
        event = anyio.Event()
        self._sleepers.append(_Sleeper(self.mono_ms + round(seconds * 1000), event.set))
        await event.wait()

    def step(self, ms: int) -> None:
        self.wall_ms += ms
        self.mono_ms += ms
        due = [sleeper for sleeper in self._sleepers if sleeper.due_ms <= self.mono_ms]
        self._sleepers = [s for s in self._sleepers if s.due_ms > self.mono_ms]
        for sleeper in due:
            sleeper.ring()

    def move_on_after(
        self, seconds: float | None, *, shield: bool = False
    ) -> AbstractContextManager[Scope]:
        return SystemClock().move_on_after(seconds, shield=shield)

    def fail_after(
        self, seconds: float | None, *, shield: bool = False
    ) -> AbstractContextManager[Scope]:
        return SystemClock().fail_after(seconds, shield=shield)

    def alarm(self, seconds: float, ring: Callable[[], object]) -> Alarm:
        if seconds <= 0:
            # No time has to pass for it.
            return SystemClock().alarm(0, ring)
        sleeper = _Sleeper(self.mono_ms + round(seconds * 1000), ring)
        self._sleepers.append(sleeper)
        return sleeper


@dataclass(slots=True)
class _Sleeper:
    due_ms: int
    ring: Callable[[], object]

    def cancel(self) -> None:
        self.ring = _silent


@dataclass(slots=True)
class Bench:
    """Everything that a test uses. `heard` returns, and forgets, what an actor was sent."""

    path: Path
    clock: StepClock
    venue: ScriptedVenue
    gate: SendGate
    actor: Execution
    settings: Settings
    recheck: Verdict = Verdict.ALLOW
    states_at_send: list[str] = field(default_factory=list)
    _kept: dict[str, list[Any]] = field(default_factory=dict)

    async def settle(self, passes: int = _PASSES) -> None:
        """Run everything that can run without time passing."""
        for _ in range(passes):
            await self._serve_questions()
            await anyio.lowlevel.checkpoint()

    async def advance(self, ms: int) -> None:
        for _ in range(max(1, ms // _STEP_MS)):
            self.clock.step(_STEP_MS)
            await self.settle()

    async def approve(self, decision: Decision) -> None:
        message = ApprovedEntry(
            decision=decision,
            snapshot=a_snapshot(self.settings),
            approved_at_ms=self.clock.now_ms(),
        )
        await self.actor.inbox.send(message)
        await self.settle()

    async def stream(self, order_id: int) -> None:
        """Let the user stream report the order as it is now, with all its fills."""
        await self.tell(self.venue.update(order_id, "STREAM", with_fills=True))

    async def tell(self, message: ExecutionInbox) -> None:
        await self.actor.inbox.send(message)
        await self.settle()

    async def recover(self) -> RecoverySummary:
        reply: Reply[RecoverySummary] = Reply()
        await self.actor.inbox.send(RecoverAsked(reply=reply))
        await self.settle(300)
        return await reply.wait()

    def heard(self, mailbox: Mailbox[Any], kind: type[T]) -> list[T]:
        kept = self._kept.setdefault(mailbox.name, [])
        while (message := mailbox.receive_nowait()) is not None:
            kept.append(message)
        found = [message for message in kept if isinstance(message, kind)]
        self._kept[mailbox.name] = [m for m in kept if not isinstance(m, kind)]
        return found

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(sql, values).fetchall()

    def state_of(self, client_order_id: str) -> str:
        sql = (
            "SELECT i.state FROM order_intents i LEFT JOIN intent_client_ids a"
            " ON a.order_intent_id = i.order_intent_id AND a.role <> 'CANCEL'"
            " WHERE ? IN (i.client_order_id, a.client_order_id)"
        )
        found = self.rows(sql, client_order_id)
        return str(found[0][0]) if found else ""

    def reasons_of(self, event_type: str) -> list[list[str]]:
        """The reasons of every event of a type, oldest first."""
        sql = "SELECT reasons FROM audit_events WHERE event_type = ? ORDER BY id"
        return [msgspec.json.decode(row[0], type=list[str]) for row in self.rows(sql, event_type)]

    def states(self, role: str) -> list[str]:
        sql = "SELECT state FROM order_intents WHERE role = ? ORDER BY rowid"
        return [str(row[0]) for row in self.rows(sql, role)]

    async def _serve_questions(self) -> None:
        now = self.clock.now_ms()
        for asked in self.heard(self.actor.market_state, SnapshotsAsked):
            fresh = a_snapshot(self.settings, exchange_time_ms=now, local_received_ms=now)
            asked.reply.answer(SnapshotsBuilt(snapshots=(fresh,), rejections=()))
        for recheck in self.heard(self.actor.risk, RecheckAsked):
            recheck.reply.answer(self._verdict(recheck.decision))

    def _verdict(self, decision: Decision) -> RiskVerdict:
        return verdict_on(decision, self.recheck)


def verdict_on(decision: Decision, verdict: Verdict) -> RiskVerdict:
    """Risk allows the whole planned quantity, or blocks with the decision's own reasons."""
    plan = decision.entry_plan
    if plan is None:
        raise ValueError("not an entry")
    return RiskVerdict(
        verdict=verdict,
        approved_qty=plan.qty,
        reasons=decision.reasons if verdict is Verdict.BLOCK else (),
        limits={},
        costs=Costs(fees_bps=0, slippage_bps=0, spread_bps=0, delta_spread_bps=0),
    )


def a_decision(settings: Settings | None = None) -> Decision:
    """What the default strategy wants on the plausible snapshot, allowed by risk."""
    decision = an_entry(settings=settings)
    return msgspec.structs.replace(decision, risk_verdict=verdict_on(decision, Verdict.ALLOW))


def an_approval(bench_: Bench) -> ApprovedEntry:
    return ApprovedEntry(
        decision=a_decision(bench_.settings),
        snapshot=a_snapshot(bench_.settings),
        approved_at_ms=bench_.clock.now_ms(),
    )


async def remember(b: Bench, decision: Decision) -> None:
    """Do the signal actor's part: store snapshot and decision before the entry is approved."""
    snapshot = a_snapshot(b.settings)
    stored = SnapshotRow(
        snapshot_id=snapshot.snapshot_id,
        snapshot_hash=snapshot.snapshot_hash,
        symbol=snapshot.symbol,
        cycle_id=decision.cycle_id,
        exchange_time_ms=snapshot.exchange_time_ms,
        snapshot_json=canonical_json(snapshot).decode(),
        at_ms=1,
    )
    row = DecisionRow(
        decision_id=decision.decision_id,
        cycle_id=decision.cycle_id,
        symbol=decision.symbol,
        outcome="PROPOSED",
        snapshot_id=decision.snapshot_id,
        edge_score_x10000=decision.edge_score_x10000,
        edge_bps_expected=decision.edge_bps_expected,
        reasons=decision.reasons,
        decision_json=canonical_json(decision).decode(),
        original_decision_id="",
        at_ms=1,
    )
    await b.actor.audit.commit(AuditEntry(draft=draft(), records=(stored, row)))


@asynccontextmanager
async def bench(
    path: Path,
    *,
    settings: Settings | None = None,
    venue: ScriptedVenue | None = None,
    clock: StepClock | None = None,
    symbol: dict[str, Any] | None = None,
) -> AsyncIterator[Bench]:
    """Run an actor that knows one symbol; it is stopped after the block by closing its inbox."""
    chosen, time = settings or Settings(), clock or StepClock()
    account = venue or ScriptedVenue(time)
    gate = SendGate(SysMode.NORMAL)
    writer = _writer(path)
    actor = _actor(path, writer, (chosen, time, account, gate))
    made = Bench(path=path, clock=time, venue=account, gate=gate, actor=actor, settings=chosen)
    account.on_mutation = lambda cid: made.states_at_send.append(made.state_of(cid))
    types = ("LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT")
    info = a_symbol(**{"order_types": types, **(symbol or {})})
    async with anyio.create_task_group() as infra:
        await infra.start(writer.run)
        async with anyio.create_task_group() as tasks:
            await tasks.start(actor.run)
            learned = SymbolsLearned(infos={SYMBOL: info}, cause="BOOT", at_ms=time.now_ms())
            await made.tell(learned)
            yield made
            actor.inbox.close()
        writer.close()


def _writer(path: Path) -> AuditWriter:
    logs, disk = path.parent.parent / "logs", RealDisk()
    disk.make_directory(logs)
    with closing(sqlite3.connect(path)) as connection:
        last = connection.execute("SELECT seq, hash FROM audit_events ORDER BY id DESC").fetchone()
    redactor = Redactor()
    return AuditWriter(
        run_id=RUN,
        mode=Mode.SIM,
        store=InlineDatabase(path, run_id=RUN, redactor=redactor),
        trail=JsonlTrail(disk, logs, InlineReader(path)),
        clock=SystemClock(),
        settings=AuditSettings(),
        redactor=redactor,
        first_seq=last[0] + 1 if last else 1,
        prev_hash=last[1] if last else "",
    )


def _actor(
    path: Path, writer: AuditWriter, parts: tuple[Settings, StepClock, ScriptedVenue, SendGate]
) -> Execution:
    settings, clock, venue, gate = parts

    def box(name: str) -> Mailbox[Any]:
        return Mailbox(name, 1000, clock)

    return Execution(
        mode=Mode.SIM,
        settings=settings,
        clock=clock,
        server_clock=FixedOffset(clock),
        audit=writer,
        ledger=LedgerQueries(InlineReader(path)),
        orders=venue,
        reads=venue,
        market=venue,
        gate=gate,
        strategy=strategy_for(settings),
        cycles=CycleIds(RUN, clock),
        inbox=box("execution"),
        position=box("position"),
        risk=box("risk"),
        signal=box("signal"),
        reconciler=box("reconciler"),
        governor=box("governor"),
        scanner=box("scanner"),
        market_state=box("market_state"),
        beat=_silent,
    )


def _silent() -> None:
    """Nobody watches a bench."""
