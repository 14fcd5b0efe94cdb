"""The risk actor over a real ledger database: what it answers, reserves and remembers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import anyio
import msgspec
import pytest

from livespot.actors.mail import (
    AccountObserved,
    ApprovedEntry,
    EntryEnded,
    EntryOpened,
    ExecutionInbox,
    FeaturesAsked,
    FillBooked,
    GatedProposal,
    GovernorInbox,
    Marks,
    MutationCounted,
    PrecheckAsked,
    PricesInsane,
    ProposalEnded,
    RecheckAsked,
    RejectSeen,
    RiskInbox,
    SignalInbox,
    SymbolsLearned,
)
from livespot.actors.risk import RiskOfficer
from livespot.contracts.audit import AuditEntry
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import Decision, RiskVerdict
from livespot.contracts.market import DeepFeatures, Returns, Snapshot
from livespot.contracts.orders import AccountView, Balance, Fill, Position
from livespot.contracts.records import OperatorCommandRow, ReserveRow, RiskVerdictRow, SymbolHealth
from livespot.contracts.redaction import Redactor
from livespot.contracts.settings import QuarantineSettings, RiskSettings, Settings
from livespot.contracts.system import (
    Alert,
    ExposureWanted,
    HealthSignal,
    ModeChanged,
    OperatorCommand,
    ReleaseWanted,
)
from livespot.contracts.vocabulary import (
    IntentAction,
    IntentRole,
    OperatorAction,
    PositionPhase,
    Severity,
    Side,
    SignalLevel,
    SysMode,
    Verdict,
)
from livespot.rules import quarantine, risk_counters
from livespot.rules.risk import assess
from livespot.rules.risk_counters import DAY_MS
from livespot.rules.verdict_inputs import read_inputs, view_of
from livespot.runtime.mailboxes import Mailbox, Reply
from livespot.store.queries import LedgerQueries
from livespot.testing.audit import RecordingAudit
from livespot.testing.clock import ManualClock
from livespot.testing.inline_store import InlineDatabase, InlineReader
from livespot.testing.ledger_rows import RUN, fresh, position, run_started
from livespot.testing.market_values import NOW_MS, a_snapshot, a_symbol
from livespot.testing.risk_values import a_gate_result, a_trade, an_entry
from livespot.testing.risk_world import asked_about
from livespot.testing.server_clock import FixedOffset

T = TypeVar("T")


@dataclass
class _Counts:
    used_weight: int = 0
    weight_limit: int = 6000
    unfilled_orders_pct: int = 0


class _StoringAudit(RecordingAudit):
    """Keeps the entries and writes their rows to a real database."""

    def __init__(self, store: InlineDatabase) -> None:
        super().__init__()
        self._store = store

    async def commit(self, *entries: AuditEntry) -> None:
        await super().commit(*entries)
        await self._store.transaction([row for entry in entries for row in entry.records])

    def rows(self, kind: type[T]) -> list[T]:
        return [r for entry in self.entries for r in entry.records if isinstance(r, kind)]


@dataclass
class _House:
    audit: _StoringAudit
    ledger: LedgerQueries
    clock: ManualClock
    counts: _Counts
    inbox: Mailbox[RiskInbox]
    execution: Mailbox[ExecutionInbox]
    signal: Mailbox[SignalInbox]
    governor: Mailbox[GovernorInbox]
    market: Mailbox[FeaturesAsked]
    health: Mailbox[SymbolHealth]
    snapshots: dict[str, Snapshot] = field(default_factory=dict)

    async def say(self, *messages: RiskInbox) -> None:
        """Deliver and wait until the actor has worked them all off."""
        for message in messages:
            await self.inbox.send(message)
        await anyio.wait_all_tasks_blocked()

    async def propose(self, symbol: str = "SOLUSDT") -> Decision:
        snapshot, decision = _entry(symbol)
        await self.say(GatedProposal(decision=decision, snapshot=snapshot, gate=a_gate_result()))
        return decision

    async def precheck(self, symbol: str = "SOLUSDT", **changes: Any) -> tuple[ReasonCode, ...]:
        """What risk says of a wish of this moment before the gate is asked."""
        snapshot, decision = asked_about(symbol, self.clock.now_ms())
        decision = msgspec.structs.replace(decision, ai_gate=None, **changes)
        reply: Reply[tuple[ReasonCode, ...]] = Reply()
        await self.say(PrecheckAsked(decision=decision, snapshot=snapshot, reply=reply))
        return await reply.wait()

    def approved(self) -> ApprovedEntry | None:
        message = self.execution.receive_nowait()
        assert message is None or isinstance(message, ApprovedEntry)
        return message

    def ended(self) -> tuple[ReasonCode, ...]:
        message = self.signal.receive_nowait()
        assert isinstance(message, ProposalEnded)
        return message.reasons

    def alerts(self) -> list[Alert]:
        found = []
        while (message := self.governor.receive_nowait()) is not None:
            if isinstance(message, Alert):
                found.append(message)
        return found

    async def reserved(self) -> Decimal:
        return sum((row.amount_quote for row in await self.ledger.reserves()), Decimal(0))


def _entry(symbol: str = "SOLUSDT") -> tuple[Snapshot, Decision]:
    snapshot = a_snapshot(symbol=symbol)
    return snapshot, an_entry(snapshot)


def _account(free: str, at_ms: int = NOW_MS) -> AccountObserved:
    return AccountObserved(
        account=AccountView(
            balances={"USDT": Balance(asset="USDT", free=Decimal(free), locked=Decimal(0))},
            can_trade=True,
            update_time_ms=at_ms,
            local_received_ms=at_ms,
        )
    )


_NORMAL = ModeChanged(
    mode=SysMode.NORMAL, previous=SysMode.DEGRADE, reasons=(), active=(), at_ms=NOW_MS
)
_SYMBOLS = ("SOLUSDT", "BTCUSDT", "ETHUSDT")


@asynccontextmanager
async def _house(
    path: Path, *, free: str = "10000", settings: Settings | None = None
) -> AsyncIterator[_House]:
    """A risk actor in NORMAL that knows its symbols and its account."""
    clock = ManualClock(NOW_MS)
    store = InlineDatabase(path, run_id=RUN, redactor=Redactor())
    audit = _StoringAudit(store)
    house = _House(
        audit=audit,
        ledger=LedgerQueries(InlineReader(path)),
        clock=clock,
        counts=_Counts(),
        inbox=Mailbox("risk", 64, clock),
        execution=Mailbox("execution", 64, clock),
        signal=Mailbox("signal", 64, clock),
        governor=Mailbox("governor", 64, clock),
        market=Mailbox("market", 64, clock),
        health=Mailbox("health", 64, clock),
    )
    officer = RiskOfficer(
        settings=settings or Settings(),
        clock=clock,
        server_clock=FixedOffset(clock),
        audit=audit,
        ledger=house.ledger,
        counts=house.counts,
        inbox=house.inbox,
        execution=house.execution,
        signal=house.signal,
        governor=house.governor,
        market=house.market,
        health_to=(house.health,),
    )
    try:
        async with anyio.create_task_group() as group:
            await group.start(officer.run)
            infos = {symbol: a_symbol(symbol) for symbol in _SYMBOLS}
            await house.say(
                SymbolsLearned(infos=infos, cause="BOOT", at_ms=NOW_MS), _NORMAL, _account(free)
            )
            yield house
            house.inbox.close()
    finally:
        await store.close()


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    place = fresh(tmp_path)
    store = InlineDatabase(place, run_id=RUN, redactor=Redactor())
    await store.transaction([run_started()])
    await store.close()
    return place


def _opened(decision: Decision) -> EntryOpened:
    return EntryOpened(decision=decision, order_intent_id="oi_1", at_ms=NOW_MS)


def _over(decision: Decision, quote: str = "0") -> EntryEnded:
    return EntryEnded(
        decision_id=decision.decision_id,
        symbol=decision.symbol,
        order_intent_id="oi_1",
        filled_qty=Decimal(0),
        filled_quote=Decimal(quote),
        attached_list_id=-1,
        tp_client_id="",
        sl_client_id="",
        reasons=(),
        at_ms=NOW_MS,
    )


def _booked(
    decision: Decision, fill: Fill, role: IntentRole = IntentRole.ENTRY, fee: str = "0"
) -> FillBooked:
    return FillBooked(
        fill=fill,
        order_intent_id="oi_1",
        decision_id=decision.decision_id,
        role=role,
        fee_quote=Decimal(fee),
        fee_unpriced=False,
    )


async def test_an_approval_is_durable_with_its_reserve_before_execution_hears(path: Path) -> None:
    async with _house(path) as house:
        decision = await house.propose()

        approved = house.approved()

        assert approved is not None
        assert approved.decision.decision_id == decision.decision_id
        assert approved.decision.risk_verdict is not None
        assert approved.decision.risk_verdict.approved_qty == Decimal("2.006")
        (verdict,) = house.audit.rows(RiskVerdictRow)
        assert verdict.verdict is Verdict.ALLOW
        assert await house.reserved() == Decimal("2.006") * Decimal("99.69")


async def test_two_entries_never_spend_the_same_balance(path: Path) -> None:
    async with _house(path, free="203") as house:
        await house.propose("SOLUSDT")
        await house.propose("BTCUSDT")

        assert house.approved() is not None
        assert house.approved() is None
        assert ReasonCode.RISK_INSUFFICIENT_FREE_BALANCE in house.ended()
        assert await house.reserved() <= 203


async def test_an_unbound_reserve_lapses_and_a_bound_one_waits_for_its_end(path: Path) -> None:
    async with _house(path) as house:
        bound = await house.propose("SOLUSDT")
        await house.say(_opened(bound))
        await house.propose("BTCUSDT")

        house.clock.advance(15_001)
        await house.say(_NORMAL)

        (left,) = await house.ledger.reserves()
        assert (left.decision_id, left.state) == (bound.decision_id, "BOUND")
        await house.say(_over(bound))
        assert await house.ledger.reserves() == ()
        assert house.audit.rows(ReserveRow)[-1].state == "RELEASED"


async def test_a_fill_moves_the_reserve_into_the_position(path: Path) -> None:
    async with _house(path) as house:
        decision = await house.propose()
        fill = a_trade(1, Side.BUY, "99.69", "2.006")

        await house.say(_opened(decision), _booked(decision, fill), _booked(decision, fill))
        await house.say(_over(decision, str(fill.price * fill.qty)))

        assert house.audit.rows(ReserveRow)[-1].state == "CONVERTED"
        text = await house.ledger.risk_counters()
        assert text is not None
        counters = risk_counters.from_json(text)
        assert counters.trades_today == 1
        assert counters.lots["SOLUSDT"].cost_quote == fill.price * fill.qty
        await house.propose()
        assert ReasonCode.RISK_POSITION_ALREADY_OPEN in house.ended()


async def test_a_recheck_answers_without_counting_its_own_reserve(path: Path) -> None:
    async with _house(path, free="203") as house:
        decision = await house.propose()
        await house.say(_opened(decision))
        reply: Reply[RiskVerdict] = Reply()
        snapshot, again = _entry()

        await house.say(RecheckAsked(decision=again, snapshot=snapshot, reply=reply))

        verdict = await reply.wait()
        assert verdict.verdict is Verdict.ALLOW
        assert verdict.approved_qty == Decimal("2.006")
        assert len(await house.ledger.reserves()) == 1


async def test_a_stop_loss_cools_the_symbol_down_across_a_restart(path: Path) -> None:
    async with _house(path) as house:
        decision = await house.propose()
        buy = a_trade(1, Side.BUY, "99.69", "2")
        sell = a_trade(2, Side.SELL, "98", "1.998")
        await house.say(
            _opened(decision),
            _booked(decision, buy),
            _over(decision, str(buy.price * buy.qty)),
            _booked(decision, sell, IntentRole.SL),
        )

    async with _house(path) as house:
        await house.propose()

        assert ReasonCode.RISK_COOLDOWN_ACTIVE in house.ended()


def _flat(decision: Decision, realised_quote: Decimal) -> Position:
    return msgspec.structs.replace(
        position(phase=PositionPhase.FLAT).position,
        symbol=decision.symbol,
        decision_id=decision.decision_id,
        realised_quote=realised_quote,
    )


async def _round_trip(house: _House, sold_as: IntentRole, price: str) -> None:
    decision = await house.propose()
    buy, sell = a_trade(1, Side.BUY, "99.69", "2"), a_trade(2, Side.SELL, price, "1.998")
    await house.say(
        _opened(decision),
        _booked(decision, buy),
        _over(decision, str(buy.price * buy.qty)),
        _booked(decision, sell, sold_as),
        _flat(decision, (sell.price - buy.price) * sell.qty),
    )
    house.approved()


async def test_after_a_days_last_trade_entries_are_refused_before_the_gate_until_midnight(
    path: Path,
) -> None:
    settings = Settings(risk=RiskSettings(max_trades_per_day=1))
    async with _house(path, settings=settings) as house:
        assert await house.precheck() == ()
        assert house.audit.rows(RiskVerdictRow) == []
        await _round_trip(house, IntentRole.TP, "101")
        told = [alert.code for alert in house.alerts()]

    async with _house(path, settings=settings) as house:
        refused = [await house.precheck(symbol) for symbol in ("SOLUSDT", "BTCUSDT")]

        used_up = (ReasonCode.RISK_MAX_TRADES_DAY, ReasonCode.RISK_SIZE_CAPPED)
        assert refused == [used_up] * 2
        verdicts = house.audit.rows(RiskVerdictRow)
        assert [row.verdict for row in verdicts] == [Verdict.BLOCK] * 2
        assert [told, house.alerts()] == [[ReasonCode.RISK_MAX_TRADES_DAY], []]
        # The gate ends the proposal; who asked is told, and nobody else.
        assert house.signal.receive_nowait() is None
        assert house.approved() is None

        house.clock.advance(DAY_MS - 1 - NOW_MS % DAY_MS)
        await house.say(_account("10000", house.clock.now_ms()))
        assert await house.precheck("BTCUSDT") == used_up
        house.clock.advance(1)
        assert await house.precheck("BTCUSDT") == ()
        assert len(house.audit.rows(RiskVerdictRow)) == 3


async def test_a_position_and_its_cool_down_refuse_before_the_gate_for_as_long_as_they_last(
    path: Path,
) -> None:
    async with _house(path) as house:
        decision = await house.propose()
        assert ReasonCode.RISK_ENTRY_ALREADY_PENDING in await house.precheck()
        buy = a_trade(1, Side.BUY, "99.69", "2")
        await house.say(
            _opened(decision),
            _booked(decision, buy),
            _over(decision, str(buy.price * buy.qty)),
        )
        assert ReasonCode.RISK_POSITION_ALREADY_OPEN in await house.precheck()
        stopped = a_trade(2, Side.SELL, "99", "1.998")
        await house.say(
            _booked(decision, stopped, IntentRole.SL),
            _flat(decision, Decimal("-1.38")),
        )
        assert ReasonCode.RISK_COOLDOWN_ACTIVE in await house.precheck()
        assert await house.precheck("BTCUSDT") == ()

        house.clock.advance(Settings().risk.cooldown_seconds * 1000)

        assert await house.precheck() == ()


async def test_what_an_answer_of_the_gate_could_lift_is_refused_after_it(path: Path) -> None:
    async with _house(path) as house:
        snapshot, decision = _entry()
        assert decision.exit_plan is not None
        near = msgspec.structs.replace(decision.exit_plan, tp_price=Decimal("99.80"))

        assert await house.precheck(exit_plan=near) == ()
        assert house.audit.rows(RiskVerdictRow) == []

        gated = msgspec.structs.replace(decision, exit_plan=near)
        await house.say(GatedProposal(decision=gated, snapshot=snapshot, gate=a_gate_result()))
        assert ReasonCode.STRAT_EXIT_INVALID in house.ended()


async def test_a_refusal_before_the_gate_follows_again_from_its_row(path: Path) -> None:
    async with _house(path, free="3") as house:
        reasons = await house.precheck()
        [row] = house.audit.rows(RiskVerdictRow)
        snapshot, decision = asked_about("SOLUSDT", NOW_MS)

    assert ReasonCode.RISK_INSUFFICIENT_FREE_BALANCE in reasons
    assert ReasonCode.AIGATE_BLOCKED not in reasons
    assert row.reasons == reasons
    inputs = read_inputs(row.account_json, row.counters_json, row.inputs_json)
    bare = msgspec.structs.replace(decision, ai_gate=None)
    assert assess(bare, snapshot, view_of(inputs, Settings())).reasons == reasons


async def test_a_reserve_nobody_took_up_lapses_after_a_restart_as_before(path: Path) -> None:
    async with _house(path) as house:
        await house.propose()

    async with _house(path) as house:
        # The approval may have been heard: until it is void its money is not given away.
        assert await house.reserved() > 0
        house.clock.advance(15_001)
        await house.say(_NORMAL)
        assert await house.reserved() == 0


async def test_the_daily_loss_fires_once_and_blocks_until_midnight(path: Path) -> None:
    async with _house(path) as house:
        decision = await house.propose()
        await house.say(_booked(decision, a_trade(1, Side.BUY, "100", "10")))
        await house.say(Marks(bids={"SOLUSDT": Decimal(40)}, asks={}, at_ms=NOW_MS))
        await house.say(Marks(bids={"SOLUSDT": Decimal(39)}, asks={}, at_ms=NOW_MS))

        alerts = house.alerts()
        await house.say(Marks(bids={"SOLUSDT": Decimal(100)}, asks={}, at_ms=NOW_MS))
        await house.propose("BTCUSDT")

        assert [a.code for a in alerts if a.severity is Severity.CRIT] == [
            ReasonCode.RISK_DAILY_LOSS_LIMIT,
            ReasonCode.RISK_DRAWDOWN_LIMIT,
        ]
        assert ReasonCode.RISK_DAILY_LOSS_LIMIT in house.ended()

        # The loss is still open when its day is over: the new day's switch fires, once as well.
        low = Marks(bids={"SOLUSDT": Decimal(39)}, asks={}, at_ms=NOW_MS)
        house.clock.advance(DAY_MS - 1 - NOW_MS % DAY_MS)
        await house.say(low)
        assert house.alerts() == []
        house.clock.advance(1)
        await house.say(low, low)
        assert [a.code for a in house.alerts()] == [ReasonCode.RISK_DAILY_LOSS_LIMIT]


async def test_three_filter_rejections_quarantine_the_symbol_across_a_restart(path: Path) -> None:
    async with _house(path) as house:
        for _ in range(3):
            await house.say(
                RejectSeen(symbol="SOLUSDT", code=-1013, filter_name="LOT_SIZE", at_ms=NOW_MS)
            )
        assert [alert.code for alert in house.alerts()] == [ReasonCode.SYMBOL_QUARANTINED]

    async with _house(path) as house:
        await house.propose()
        assert ReasonCode.SYMBOL_QUARANTINED in house.ended()
        house.clock.advance(3_600_000)
        await house.say(_NORMAL)
        assert (await house.ledger.symbol_health())[0].quarantined_until_ms == 0


async def test_three_refused_entries_quarantine_the_symbol_and_say_so(path: Path) -> None:
    refused = RejectSeen(symbol="SOLUSDT", code=-1021, filter_name="", at_ms=NOW_MS)
    async with _house(path) as house:
        await house.say(refused, refused)
        assert house.alerts() == []
        await house.say(refused)

        (alert,) = house.alerts()
        assert alert.code is ReasonCode.SYMBOL_QUARANTINED
        assert "ENTRY_REFUSALS" in alert.text
        await house.propose()
        assert ReasonCode.SYMBOL_QUARANTINED in house.ended()


async def test_insane_prices_quarantine_at_once_and_selection_hears_of_it(path: Path) -> None:
    async with _house(path) as house:
        await house.say(PricesInsane(symbol="SOLUSDT", at_ms=NOW_MS))

        [alert] = house.alerts()
        assert (alert.code, alert.symbol) == (ReasonCode.SYMBOL_QUARANTINED, "SOLUSDT")
        told = house.health.receive_nowait()
        assert told is not None
        assert (told.symbol, told.cause) == ("SOLUSDT", "PRICES_INSANE")
        assert told.quarantined_until_ms == NOW_MS + 3_600_000
        assert (await house.ledger.symbol_health()) == (told,)
        await house.propose()
        assert ReasonCode.SYMBOL_QUARANTINED in house.ended()


async def test_selection_hears_of_quarantines_of_the_last_run_and_of_their_end(path: Path) -> None:
    async with _house(path) as house:
        await house.say(PricesInsane(symbol="SOLUSDT", at_ms=NOW_MS))

    async with _house(path) as house:
        again = house.health.receive_nowait()
        assert again is not None
        assert again.quarantined_until_ms == NOW_MS + 3_600_000
        house.clock.advance(3_600_000)
        await house.say(_NORMAL)
        over = house.health.receive_nowait()
        assert over is not None
        assert over.quarantined_until_ms == 0


def _release(nonce: str = "n1", symbol: str = "SOLUSDT", reason: str = "looked") -> ReleaseWanted:
    return ReleaseWanted(
        command=OperatorCommand(
            action=OperatorAction.RELEASE, reason=reason, nonce=nonce, at_ms=NOW_MS, symbol=symbol
        )
    )


async def test_the_operator_releases_a_symbol_that_time_never_would(path: Path) -> None:
    never = Settings(quarantine=QuarantineSettings(auto_release=False))
    async with _house(path, settings=never) as house:
        await house.say(PricesInsane(symbol="SOLUSDT", at_ms=NOW_MS))
        told = house.health.receive_nowait()
        assert told is not None
        assert told.quarantined_until_ms == quarantine.NEVER_MS
        house.alerts()

        await house.say(_release())

        [done] = house.audit.rows(OperatorCommandRow)
        assert done.outcome == "done: SOLUSDT released from PRICES_INSANE"
        [alert] = house.alerts()
        assert (alert.severity, alert.code) == (Severity.INFO, ReasonCode.OPERATOR_RELEASE)
        free = house.health.receive_nowait()
        assert free is not None
        assert (free.symbol, free.quarantined_until_ms, free.cause) == ("SOLUSDT", 0, "")
        assert await house.ledger.symbol_health() == (free,)
        await house.propose()
        assert house.approved() is not None

    async with _house(path, settings=never) as house:
        assert not quarantine.is_quarantined(
            quarantine.from_row((await house.ledger.symbol_health())[0]), NOW_MS
        )


async def test_after_a_release_faults_are_counted_afresh(path: Path) -> None:
    fault = RejectSeen(symbol="SOLUSDT", code=-1013, filter_name="LOT_SIZE", at_ms=NOW_MS)
    async with _house(path) as house:
        await house.say(fault, fault, fault, _release(), fault, fault)
        await house.propose()
        assert house.approved() is not None
        await house.say(fault)
        assert [alert.code for alert in house.alerts()] == [
            ReasonCode.SYMBOL_QUARANTINED,
            ReasonCode.OPERATOR_RELEASE,
            ReasonCode.SYMBOL_QUARANTINED,
        ]


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (_release(reason=" "), "a release needs a reason"),
        (_release(symbol="BTCUSDT"), "BTCUSDT is not quarantined"),
        (_release(symbol="NOSUCH"), "NOSUCH is not quarantined"),
    ],
)
async def test_a_release_that_changes_nothing_is_refused_with_why(
    path: Path, wanted: ReleaseWanted, why: str
) -> None:
    async with _house(path) as house:
        await house.say(PricesInsane(symbol="SOLUSDT", at_ms=NOW_MS))
        house.health.receive_nowait()
        house.alerts()

        await house.say(wanted)

        [row] = house.audit.rows(OperatorCommandRow)
        assert (row.command, row.outcome) == (wanted.command, f"refused: {why}")
        assert [a.severity for a in house.alerts()] == [Severity.WARN]
        assert house.health.receive_nowait() is None
        await house.propose()
        assert ReasonCode.SYMBOL_QUARANTINED in house.ended()


def _exposure(action: OperatorAction, nonce: str = "n1", **fields: Any) -> ExposureWanted:
    told: dict[str, Any] = {"symbol": "SOLUSDT", "side": Side.BUY, "qty": Decimal("12.5")}
    if action is OperatorAction.EXPOSURE_CLOSE:
        told = {"exposure_id": "exp_n1"}
    return ExposureWanted(
        command=OperatorCommand(
            action=action,
            nonce=nonce,
            at_ms=NOW_MS,
            **{"reason": "my own", **told, **fields},
        )
    )


async def test_a_position_of_the_operators_own_keeps_entries_out_across_a_restart(
    path: Path,
) -> None:
    async with _house(path) as house:
        await house.say(_exposure(OperatorAction.EXPOSURE_OPEN))
        [alert] = house.alerts()
        assert (alert.severity, alert.code) == (
            Severity.INFO,
            ReasonCode.MANUAL_EXPOSURE_ACTIVE,
        )
        [row] = house.audit.rows(OperatorCommandRow)
        assert row.outcome == "done: exp_n1 is open, SOLUSDT takes no entries"
        await house.propose()
        assert ReasonCode.MANUAL_EXPOSURE_ACTIVE in house.ended()

    async with _house(path) as house:
        await house.propose()
        assert ReasonCode.MANUAL_EXPOSURE_ACTIVE in house.ended()
        await house.propose("BTCUSDT")
        assert house.approved() is not None
        await house.say(_exposure(OperatorAction.EXPOSURE_CLOSE, nonce="n2"))
        await house.propose()
        assert house.approved() is not None
        [closed] = await house.ledger.exposures(limit=9)
        assert (closed.closed_at_ms, closed.close_note) == (NOW_MS, "my own")
        assert await house.ledger.open_exposures() == ()


@pytest.mark.parametrize(
    "wanted",
    [
        _exposure(OperatorAction.EXPOSURE_OPEN, reason=" "),
        _exposure(OperatorAction.EXPOSURE_OPEN, qty=Decimal(0)),
        _exposure(OperatorAction.EXPOSURE_OPEN, qty=Decimal("NaN")),
        _exposure(OperatorAction.EXPOSURE_OPEN, qty=Decimal("Infinity")),
        _exposure(OperatorAction.EXPOSURE_OPEN, qty=Decimal("1E+900")),
        _exposure(OperatorAction.EXPOSURE_OPEN, qty=Decimal("1E-9")),
        _exposure(OperatorAction.EXPOSURE_OPEN, side=None),
        _exposure(OperatorAction.EXPOSURE_OPEN, symbol=""),
        _exposure(OperatorAction.EXPOSURE_CLOSE),
        _exposure(OperatorAction.EXPOSURE_CLOSE, exposure_id=""),
    ],
)
async def test_an_exposure_that_says_too_little_changes_nothing(
    path: Path, wanted: ExposureWanted
) -> None:
    async with _house(path) as house:
        await house.say(wanted)

        [row] = house.audit.rows(OperatorCommandRow)
        assert row.outcome.startswith("refused: ")
        assert [a.severity for a in house.alerts()] == [Severity.WARN]
        assert await house.ledger.exposures(limit=9) == ()


async def test_a_symbol_that_stops_trading_is_set_aside(path: Path) -> None:
    async with _house(path) as house:
        halted = a_symbol("SOLUSDT", status="HALT")
        await house.say(SymbolsLearned(infos={"SOLUSDT": halted}, cause="STATUS", at_ms=NOW_MS))

        await house.propose()

        reasons = house.ended()
        assert ReasonCode.SYMBOL_NOT_TRADING in reasons
        assert ReasonCode.SYMBOL_QUARANTINED in reasons


async def test_reaching_a_churn_limit_is_announced_and_blocks(path: Path) -> None:
    async with _house(path) as house:
        replaced = MutationCounted(
            symbol="SOLUSDT",
            action=IntentAction.CANCEL_REPLACE,
            role=IntentRole.ENTRY,
            at_ms=NOW_MS,
        )
        await house.say(replaced, replaced, replaced)

        assert [a.code for a in house.alerts()] == [ReasonCode.RISK_CANCEL_REPLACE_LIMIT_HIT]
        await house.propose()
        assert ReasonCode.RISK_CANCEL_REPLACE_LIMIT_HIT in house.ended()


async def test_many_unfilled_orders_degrade_until_they_are_gone(path: Path) -> None:
    async with _house(path) as house:
        marks = Marks(bids={}, asks={}, at_ms=NOW_MS)
        house.counts.unfilled_orders_pct = 80
        await house.say(marks, marks)
        house.counts.unfilled_orders_pct = 79
        await house.say(marks)

        levels = []
        while (message := house.governor.receive_nowait()) is not None:
            assert isinstance(message, HealthSignal)
            levels.append(message.level)
        assert levels == [SignalLevel.DEGRADE, SignalLevel.CLEAR]


async def test_outside_normal_nothing_is_approved(path: Path) -> None:
    async with _house(path) as house:
        await house.say(msgspec.structs.replace(_NORMAL, mode=SysMode.DEGRADE))

        await house.propose()

        assert house.ended() == (
            ReasonCode.RISK_SYSMODE_BLOCKS_ENTRY,
            ReasonCode.RISK_SIZE_CAPPED,
        )
        assert house.approved() is None


async def test_a_third_entry_is_compared_with_present_returns(path: Path) -> None:
    async with _house(path) as house:
        for symbol in ("SOLUSDT", "BTCUSDT"):
            await house.propose(symbol)
            assert house.approved() is not None

        await house.propose("ETHUSDT")
        asked = house.market.receive_nowait()
        assert asked is not None
        assert asked.symbols == ("BTCUSDT", "SOLUSDT")
        still = a_snapshot().returns
        asked.reply.answer(tuple(_features(symbol, still) for symbol in asked.symbols))
        await anyio.wait_all_tasks_blocked()

        # A series that never moves correlates with nothing.
        assert house.approved() is not None


def _features(symbol: str, returns: Returns) -> DeepFeatures:
    snapshot = a_snapshot()
    return DeepFeatures(
        symbol=symbol,
        warm=True,
        regime=snapshot.regime,
        microstructure=snapshot.microstructure,
        atr14_5m_bps=100,
        cost_inputs=snapshot.cost_inputs,
        returns=returns,
    )


async def test_a_block_is_told_under_the_id_signal_knows(path: Path) -> None:
    async with _house(path, free="0") as house:
        snapshot, decision = _entry()
        gate = a_gate_result(modify_applied=True, original_decision_id="dec_before")

        await house.say(GatedProposal(decision=decision, snapshot=snapshot, gate=gate))

        message = house.signal.receive_nowait()
        assert isinstance(message, ProposalEnded)
        assert message.decision_id == "dec_before"
