from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import msgspec

from livespot.actors import signal_records
from livespot.actors.mail import (
    CandleClosed,
    GateInbox,
    MarketStateInbox,
    Proposal,
    ProposalEnded,
    SignalInbox,
    SnapshotsAsked,
    SnapshotsBuilt,
    WatchlistChanged,
)
from livespot.actors.signaller import Signaller
from livespot.contracts.audit import AuditEntry
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import Decision
from livespot.contracts.market import Rejection, Snapshot
from livespot.contracts.records import CandleRow, DecisionRow, SnapshotRow
from livespot.contracts.settings import Settings
from livespot.contracts.system import ModeChanged
from livespot.contracts.vocabulary import EventType, Mode, SysMode
from livespot.rules.strategies import strategy_for
from livespot.runtime.clock import SystemClock
from livespot.runtime.cycles import CycleIds
from livespot.runtime.mailboxes import Mailbox
from livespot.testing.audit import RecordingAudit
from livespot.testing.market_values import a_candle, a_snapshot

_SETTINGS = Settings()


@dataclass(slots=True, kw_only=True)
class _Desk:
    audit: RecordingAudit
    inbox: Mailbox[SignalInbox]
    state: Mailbox[MarketStateInbox]
    gate: Mailbox[GateInbox]
    answer: Snapshot | Rejection = field(default_factory=a_snapshot)
    asked: int = 0

    async def market_state(self) -> None:
        async for message in self.state:
            if isinstance(message, SnapshotsAsked):
                self.asked += 1
                good = isinstance(self.answer, Snapshot)
                message.reply.answer(
                    SnapshotsBuilt(
                        snapshots=(self.answer,) if isinstance(self.answer, Snapshot) else (),
                        rejections=() if good else (self.answer,),  # type: ignore[arg-type]
                    )
                )

    async def mode(self, mode: SysMode) -> None:
        await self.inbox.send(
            ModeChanged(mode=mode, previous=SysMode.DEGRADE, reasons=(), active=(), at_ms=0)
        )

    async def watch(self) -> None:
        await self.inbox.send(WatchlistChanged(symbols=("SOLUSDT",), cycle_id="cyc_1"))

    async def minute(self) -> None:
        await self.inbox.send(CandleClosed(symbol="SOLUSDT", candles=(a_candle(0),)))

    async def proposal(self) -> Decision:
        with anyio.fail_after(5):
            message = await self.gate.receive()
        assert isinstance(message, Proposal)
        return message.decision

    async def asked_for(self, count: int) -> None:
        with anyio.fail_after(5):
            while self.asked < count:
                await anyio.lowlevel.checkpoint()
        for _ in range(20):
            await anyio.lowlevel.checkpoint()


@asynccontextmanager
async def _running() -> AsyncIterator[_Desk]:
    clock = SystemClock()
    desk = _Desk(
        audit=RecordingAudit(),
        inbox=Mailbox("signal", 64, clock),
        state=Mailbox("state", 64, clock),
        gate=Mailbox("gate", 64, clock),
    )
    signaller = Signaller(
        settings=_SETTINGS,
        mode=Mode.SIM,
        clock=clock,
        strategy=strategy_for(_SETTINGS),
        audit=desk.audit,
        cycles=CycleIds("run_1", clock),
        inbox=desk.inbox,
        state=desk.state,
        gate=desk.gate,
        beat=lambda: None,
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(desk.market_state)
        await tasks.start(signaller.run)
        yield desk
        tasks.cancel_scope.cancel()


async def test_a_wanted_entry_is_durable_before_the_gate_hears_of_it() -> None:
    async with _running() as desk:
        await desk.watch()
        await desk.mode(SysMode.NORMAL)
        await desk.minute()

        decision = await desk.proposal()

        [built] = desk.audit.of(EventType.SNAPSHOT_BUILT)
        [proposed] = desk.audit.of(EventType.DECISION_PROPOSED)
        assert isinstance(built.records[0], SnapshotRow)
        [row] = proposed.records
        assert isinstance(row, DecisionRow)
        assert (row.decision_id, row.outcome) == (decision.decision_id, "PROPOSED")
        assert msgspec.json.decode(row.decision_json, type=Decision) == decision


async def test_nothing_is_proposed_outside_normal_mode() -> None:
    async with _running() as desk:
        await desk.watch()
        await desk.mode(SysMode.PAUSE)
        await desk.minute()
        for _ in range(50):
            await anyio.lowlevel.checkpoint()

        assert desk.asked == 0
        assert desk.audit.of(EventType.DECISION_PROPOSED) == []


async def test_a_symbol_with_a_proposal_under_way_is_left_alone_until_it_ended() -> None:
    async with _running() as desk:
        await desk.watch()
        await desk.mode(SysMode.NORMAL)
        await desk.minute()
        decision = await desk.proposal()
        await desk.minute()
        for _ in range(50):
            await anyio.lowlevel.checkpoint()
        assert desk.asked == 1

        await desk.inbox.send(
            ProposalEnded(decision_id=decision.decision_id, symbol="SOLUSDT", reasons=())
        )
        await desk.minute()

        assert (await desk.proposal()).decision_id == decision.decision_id


async def test_how_a_proposal_ended_is_recorded_whoever_ended_it() -> None:
    async with _running() as desk:
        why = (ReasonCode.RISK_SYSMODE_BLOCKS_ENTRY,)
        await desk.inbox.send(ProposalEnded(decision_id="dec_1", symbol="SOLUSDT", reasons=why))
        with anyio.fail_after(5):
            while not (ended := desk.audit.of(EventType.DECISION_PROPOSED)):
                await anyio.lowlevel.checkpoint()

        [draft] = [entry.draft for entry in ended]
        assert (draft.decision_id, draft.symbol, draft.reasons) == ("dec_1", "SOLUSDT", why)
        assert draft.data == {"outcome": "ENDED"}
        assert ended[0].records == ()


def test_symbols_that_market_state_did_not_answer_for_are_rejected_with_a_reason() -> None:
    built = signal_records.unanswered(("AUSDT", "BUSDT"))

    assert [(r.symbol, r.reasons) for r in built.rejections] == [
        ("AUSDT", (ReasonCode.LOOP_STUCK_DEGRADE,)),
        ("BUSDT", (ReasonCode.LOOP_STUCK_DEGRADE,)),
    ]


def _rows(entries: list[AuditEntry]) -> list[DecisionRow]:
    return [row for e in entries for row in e.records if isinstance(row, DecisionRow)]


async def test_a_block_is_recorded_once_with_its_measurements_and_without_a_snapshot() -> None:
    async with _running() as desk:
        desk.answer = a_snapshot(volume_ratio_5m_x10000=9000)
        await desk.watch()
        await desk.mode(SysMode.NORMAL)
        for count in (1, 2, 3):
            await desk.minute()
            await desk.asked_for(count)

        [row] = _rows(desk.audit.of(EventType.DECISION_PROPOSED))
        assert row.outcome == "BLOCKED"
        assert row.reasons == (ReasonCode.STRAT_VOLUME_LOW,)
        assert b'"volume_ratio_5m_x10000":9000' in row.decision_json.encode()
        assert desk.audit.of(EventType.SNAPSHOT_BUILT) == []


async def test_a_new_reason_is_recorded_again() -> None:
    async with _running() as desk:
        desk.answer = a_snapshot(volume_ratio_5m_x10000=9000)
        await desk.watch()
        await desk.mode(SysMode.NORMAL)
        await desk.minute()
        await desk.asked_for(1)
        desk.answer = Rejection(
            symbol="SOLUSDT", reasons=(ReasonCode.STRAT_INPUT_INVALID,), detail="no"
        )
        await desk.minute()
        await desk.asked_for(2)

        [entry] = desk.audit.of(EventType.UNIVERSE_ELIGIBILITY)
        assert entry.draft.reasons == (ReasonCode.STRAT_INPUT_INVALID,)


async def test_closed_candles_of_watched_symbols_are_kept() -> None:
    async with _running() as desk:
        await desk.watch()
        await desk.minute()
        with anyio.fail_after(5):
            while not desk.audit.of(EventType.STAGE_CHANGED):
                await anyio.lowlevel.checkpoint()

        (entry,) = desk.audit.of(EventType.STAGE_CHANGED)
        (row,) = entry.records
        assert isinstance(row, CandleRow)
        assert row.symbol == "SOLUSDT"
