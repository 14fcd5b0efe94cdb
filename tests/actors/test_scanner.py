from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import TypeVar

import anyio
import msgspec
import pytest

from livespot.actors.mail import (
    AttachmentWanted,
    ExecutionInbox,
    FeaturesAsked,
    FeedInbox,
    FiltersRefreshWanted,
    GovernorInbox,
    MarketStateInbox,
    Marks,
    ScannerInbox,
    SignalInbox,
    SymbolsLearned,
    TickersLearned,
    WatchlistChanged,
)
from livespot.actors.scanner import Scanner
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import Unreachable
from livespot.contracts.market import DeepFeatures, Returns, SymbolInfo
from livespot.contracts.orders import AccountView, CommissionRates, Position
from livespot.contracts.records import CycleRanking, CycleSelection, SymbolHealth, UniverseScan
from livespot.contracts.settings import SelectionSettings, Settings
from livespot.contracts.system import Alert, HealthSignal
from livespot.contracts.venue import AccountReader
from livespot.contracts.vocabulary import (
    EventType,
    ExitReason,
    Interval,
    PositionPhase,
    SignalKind,
    SignalLevel,
)
from livespot.runtime.cycles import CycleIds
from livespot.runtime.mailboxes import Mailbox
from livespot.testing.audit import RecordingAudit
from livespot.testing.clock import JumpingClock
from livespot.testing.market_values import a_day, a_snapshot, a_symbol, some_constraints
from livespot.testing.market_wire import ScriptedReader
from livespot.testing.scripted_venue import ScriptedVenue
from livespot.testing.server_clock import FixedOffset

M = TypeVar("M")
_SYMBOLS = ("AUSDT", "BUSDT", "CUSDT", "DUSDT", "EUSDT")


@dataclass(slots=True, kw_only=True)
class _Desk:
    reader: ScriptedReader
    audit: RecordingAudit
    inbox: Mailbox[ScannerInbox]
    state: Mailbox[MarketStateInbox]
    feed: Mailbox[FeedInbox]
    signal: Mailbox[SignalInbox]
    governor: Mailbox[GovernorInbox]
    execution: Mailbox[ExecutionInbox]
    heard: list[object] = field(default_factory=list)
    atr: dict[str, int] = field(default_factory=dict)

    async def market_state(self) -> None:
        """Answers the deep scan; the better the letter, the wider the range."""
        async for message in self.state:
            self.heard.append(message)
            if isinstance(message, FeaturesAsked):
                message.reply.answer(tuple(self._features(symbol) for symbol in message.symbols))

    def _features(self, symbol: str) -> DeepFeatures:
        snapshot = a_snapshot()
        seed = ord(symbol[0])
        points = tuple((seed * 7919 + i * i * seed * 31) % 41 - 20 for i in range(72))
        return DeepFeatures(
            symbol=symbol,
            warm=True,
            regime=snapshot.regime,
            microstructure=snapshot.microstructure,
            atr14_5m_bps=self.atr.get(symbol, 60),
            cost_inputs=snapshot.cost_inputs,
            returns=Returns(
                timeframe=Interval.M5, window=72, log_return_bps=points, missing_count=0
            ),
        )

    async def watchlist(self) -> WatchlistChanged:
        with anyio.fail_after(5):
            message = await self.signal.receive()
        assert isinstance(message, WatchlistChanged)
        return message

    def rows(self, kind: type[M]) -> list[M]:
        return [
            row for entry in self.audit.entries for row in entry.records if isinstance(row, kind)
        ]


class _Payer(ScriptedVenue):
    """An account that pays its fees with the base asset of a symbol it could trade."""

    async def account(self) -> AccountView:
        return AccountView(balances={}, can_trade=True, update_time_ms=0, local_received_ms=0)

    async def commission(self, symbol: str) -> CommissionRates:
        rates = {name: Decimal(0) for name in CommissionRates.__struct_fields__[1:-3]}
        return CommissionRates(
            symbol=symbol,
            **rates,
            discount_enabled=True,
            discount_asset=_SYMBOLS[0].removesuffix("USDT"),
            discount=Decimal("0.75"),
        )


@asynccontextmanager
async def _running(
    *first: ScannerInbox,
    settings: Settings | None = None,
    account: AccountReader | None = None,
    infos: dict[str, SymbolInfo] | None = None,
    offset_ms: int = 0,
) -> AsyncIterator[_Desk]:
    clock = JumpingClock()
    desk = _Desk(
        reader=ScriptedReader(
            infos={name: a_symbol(name) for name in _SYMBOLS} | (infos or {}),
            tickers=tuple(
                a_day(name, quote_volume=Decimal(10_000_000 * (9 - i)))
                for i, name in enumerate(_SYMBOLS)
            ),
        ),
        audit=RecordingAudit(),
        inbox=Mailbox("scanner", 64, clock),
        state=Mailbox("state", 64, clock),
        feed=Mailbox("feed", 4096, clock),
        signal=Mailbox("signal", 4096, clock),
        governor=Mailbox("governor", 4096, clock),
        execution=Mailbox("execution", 4096, clock),
    )
    scanner = Scanner(
        settings=settings or Settings(),
        clock=clock,
        server_clock=FixedOffset(clock, offset_ms),
        reader=desk.reader,
        account=account,
        audit=desk.audit,
        cycles=CycleIds("run_1", clock),
        inbox=desk.inbox,
        state=desk.state,
        feed=desk.feed,
        signal=desk.signal,
        infos_to=(),
        governor=desk.governor,
        beat=lambda: None,
        fees_to=desk.execution,
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(desk.market_state)
        for message in first:
            await desk.inbox.send(message)
        await tasks.start(scanner.run)
        yield desk
        tasks.cancel_scope.cancel()


def _held(symbol: str, phase: PositionPhase) -> Position:
    zero = Decimal(0)
    return Position(
        symbol=symbol,
        position_id="pos_1",
        decision_id="dec_1",
        entry_intent_id="oi_1",
        phase=phase,
        qty=Decimal(1),
        avg_price=Decimal(100),
        cost_quote=Decimal(100),
        tp_price=Decimal(102),
        sl_price=Decimal(98),
        tp_bps=200,
        sl_bps=150,
        realised_quote=zero,
        fees_quote=zero,
        fee_unpriced=False,
        dust_qty=zero,
        protection_list_id=-1,
        protection_intent_id="",
        protected_qty=zero,
        opened_at_ms=0,
        unprotected_since_ms=0,
        unprotected_ms=0,
        closed_at_ms=0,
        exit_reason=ExitReason.NONE,
        updated_at_ms=0,
    )


async def test_reference_data_comes_before_the_first_attachment() -> None:
    async with _running() as desk:
        await desk.watchlist()

        kinds = [type(message) for message in desk.heard]
        first = desk.feed.receive_nowait()

        assert kinds[:3] == [SymbolsLearned, TickersLearned, FeaturesAsked]
        assert isinstance(first, AttachmentWanted)
        assert first.symbols == _SYMBOLS
        assert first.watched == ()


async def test_the_best_three_are_watched_and_get_depth() -> None:
    async with _running() as desk:
        desk.atr.update({"BUSDT": 90, "DUSDT": 100, "EUSDT": 80})

        chosen = await desk.watchlist()

        assert chosen.symbols == ("DUSDT", "BUSDT", "EUSDT")
        attachments = []
        while (message := desk.feed.receive_nowait()) is not None:
            attachments.append(message)
        assert isinstance(attachments[-1], AttachmentWanted)
        assert set(attachments[-1].watched) == {"DUSDT", "BUSDT", "EUSDT"}


async def test_what_fees_are_paid_with_never_gets_onto_the_first_list() -> None:
    async with _running(account=_Payer(clock=JumpingClock())) as desk:
        chosen = (await desk.watchlist()).symbols
        rows = [row for row in desk.rows(UniverseScan) if row.symbol == _SYMBOLS[0]]

    assert _SYMBOLS[0] not in chosen
    assert len(chosen) == 3
    assert rows[-1].reasons == (ReasonCode.RISK_EXPOSURE_LIMIT,)


async def test_the_last_price_of_what_fees_are_paid_with_is_told() -> None:
    async with _running(account=_Payer(clock=JumpingClock())) as desk:
        await desk.watchlist()
        told = desk.execution.receive_nowait()

    assert isinstance(told, Marks)
    assert told.bids == {_SYMBOLS[0]: Decimal(100)}


async def test_every_list_is_recorded_with_its_rows() -> None:
    async with _running() as desk:
        chosen = await desk.watchlist()

        assert len(desk.rows(UniverseScan)) == 5
        assert {row.kind for row in desk.rows(CycleRanking)} == {"TOPN", "DEEP"}
        watched = {row.symbol for row in desk.rows(CycleSelection) if row.chosen}
        assert watched == set(chosen.symbols)
        for event in (
            EventType.FILTERS_REFRESHED,
            EventType.UNIVERSE_ELIGIBILITY,
            EventType.RANK_TOPN,
            EventType.DEEP_SCAN,
            EventType.TOPK_SELECTION,
        ):
            assert desk.audit.of(event)


async def test_a_symbol_whose_standing_did_not_change_is_not_written_again() -> None:
    async with _running() as desk:
        with anyio.fail_after(5):
            while len(desk.audit.of(EventType.UNIVERSE_ELIGIBILITY)) < 3:
                await desk.signal.receive()

        assert len(desk.rows(UniverseScan)) == 5


async def test_who_stands_behind_the_cut_is_written_once_with_its_rank() -> None:
    few = msgspec.structs.replace(SelectionSettings(), topn=3)
    async with _running(settings=Settings(selection=few)) as desk:
        with anyio.fail_after(5):
            while len(desk.audit.of(EventType.RANK_TOPN)) < 3:
                await desk.signal.receive()

        ranked = [row for row in desk.rows(CycleRanking) if row.kind == "TOPN"]
        cut = [(row.symbol, row.rank, row.reasons) for row in ranked if row.dropped]
        assert cut == [
            ("DUSDT", 4, (ReasonCode.UNIVERSE_RANK_LOW,)),
            ("EUSDT", 5, (ReasonCode.UNIVERSE_RANK_LOW,)),
        ]
        [*_, last] = desk.audit.of(EventType.RANK_TOPN)
        assert last.draft.data["cut"] == 2
        attached = desk.feed.receive_nowait()
        assert isinstance(attached, AttachmentWanted)
        assert attached.symbols == ("AUSDT", "BUSDT", "CUSDT")


async def test_a_scan_of_any_size_costs_one_request_a_minute() -> None:
    """All symbols in one answer: at boot the symbols and the day, then only the day."""
    async with _running() as desk:
        names = [f"S{i}USDT" for i in range(300)]
        desk.reader.infos.update({name: a_symbol(name) for name in names})
        desk.reader.tickers += tuple(a_day(name) for name in names)
        with anyio.fail_after(10):
            while len(desk.audit.of(EventType.UNIVERSE_ELIGIBILITY)) < 4:
                await desk.signal.receive()

        scans = len(desk.audit.of(EventType.UNIVERSE_ELIGIBILITY))
        assert desk.reader.calls == {"exchange_info": 1, "tickers_24h": scans}


async def test_scans_keep_their_pace() -> None:
    async with _running() as desk:
        with anyio.fail_after(10):
            while len(desk.audit.of(EventType.UNIVERSE_ELIGIBILITY)) < 4:
                await desk.signal.receive()

        universe = [entry.draft.ts_ms for entry in desk.audit.of(EventType.UNIVERSE_ELIGIBILITY)]
        deep = [entry.draft.ts_ms for entry in desk.audit.of(EventType.DEEP_SCAN)]
        assert {b - a for a, b in pairwise(universe)} == {60_000}
        assert {b - a for a, b in pairwise(deep)} == {15_000}


async def test_a_held_symbol_stays_watched_though_it_left_the_universe() -> None:
    async with _running(_held("ZUSDT", PositionPhase.PROTECTED)) as desk:
        assert (await desk.watchlist()).symbols[0] == "ZUSDT"
        await desk.inbox.send(_held("ZUSDT", PositionPhase.FLAT))
        with anyio.fail_after(5):
            while "ZUSDT" in (await desk.watchlist()).symbols:
                pass


@pytest.mark.parametrize(
    ("left_ms", "offset_ms", "left_out"),
    [
        pytest.param(60_000, 0, True, id="for another minute"),
        pytest.param(-60_000, -3_600_000, True, id="over by a machine clock that is ahead"),
        pytest.param(60_000, 3_600_000, False, id="over by the exchange's time"),
    ],
)
async def test_a_quarantined_symbol_leaves_the_universe(
    left_ms: int, offset_ms: int, *, left_out: bool
) -> None:
    health = SymbolHealth(
        symbol="AUSDT",
        quarantined_until_ms=JumpingClock().now_ms() + left_ms,
        cause="STREAM_DROPS",
        counters_json="{}",
        updated_at_ms=0,
    )
    async with _running(health, offset_ms=offset_ms) as desk:
        chosen = await desk.watchlist()

        [row] = [row for row in desk.rows(UniverseScan) if row.symbol == "AUSDT"]
        assert ("AUSDT" not in chosen.symbols) is left_out
        assert row.reasons == ((ReasonCode.SYMBOL_QUARANTINED,) if left_out else ())


async def test_a_failed_read_degrades_until_one_succeeds() -> None:
    async with _running() as desk:
        desk.reader.failure = Unreachable("the test said so")

        with anyio.fail_after(5):
            first = await desk.governor.receive()
            second = await desk.governor.receive()

        assert isinstance(first, HealthSignal)
        assert isinstance(second, HealthSignal)
        assert (first.level, second.level) == (SignalLevel.DEGRADE, SignalLevel.CLEAR)


async def test_no_tickers_at_all_is_not_a_healthy_market() -> None:
    async with _running() as desk:
        desk.reader.tickers = ()

        with anyio.fail_after(5):
            signal = await desk.governor.receive()

        assert isinstance(signal, HealthSignal)
        assert signal.level is SignalLevel.DEGRADE


async def test_doubtful_filters_are_read_again_and_told() -> None:
    async with _running() as desk:
        await desk.watchlist()
        desk.reader.infos["AUSDT"] = msgspec.structs.replace(a_symbol("AUSDT"), status="BREAK")
        await desk.inbox.send(FiltersRefreshWanted(symbol="AUSDT", cause="rejected"))

        with anyio.fail_after(5):
            while not (learned := [m for m in desk.heard if isinstance(m, SymbolsLearned)][1:]):
                await desk.signal.receive()

        assert learned[0].infos["AUSDT"].status == "BREAK"
        assert learned[0].cause == "rejected"


async def test_changed_filters_are_recorded_as_they_were_and_as_they_are() -> None:
    async with _running() as desk:
        await desk.watchlist()
        rules = some_constraints()
        later = msgspec.structs.replace(rules, filters_hash="e" * 64)
        desk.reader.infos["AUSDT"] = a_symbol("AUSDT", constraints=later)
        await desk.inbox.send(FiltersRefreshWanted(symbol="AUSDT", cause="REJECT"))
        with anyio.fail_after(5):
            while len(desk.audit.of(EventType.FILTERS_REFRESHED)) < 2:
                await desk.signal.receive()

        first, second = desk.audit.of(EventType.FILTERS_REFRESHED)
        assert "changed" not in first.draft.data
        assert second.draft.data["cause"] == "REJECT"
        assert second.draft.data["changed"] == {
            "AUSDT": {"old": rules.filters_hash, "new": "e" * 64}
        }


async def test_filters_nobody_knows_are_announced_once_and_block_nothing() -> None:
    odd = {"BUSDT": a_symbol("BUSDT", unknown_filters=("T_PLUS_SELL",))}
    async with _running(infos=odd) as desk:
        chosen = (await desk.watchlist()).symbols
        await desk.inbox.send(FiltersRefreshWanted(symbol="BUSDT", cause="REJECT"))
        with anyio.fail_after(5):
            while len(desk.audit.of(EventType.FILTERS_REFRESHED)) < 2:
                await desk.signal.receive()
        first, second = desk.audit.of(EventType.FILTERS_REFRESHED)
        told = []
        while (message := desk.governor.receive_nowait()) is not None:
            told.append(message)

    alerts = [a for a in told if isinstance(a, Alert)]
    assert "BUSDT" in chosen
    assert [a.code for a in alerts] == [ReasonCode.FILTERS_DRIFT_DETECTED]
    assert "T_PLUS_SELL (BUSDT)" in alerts[0].text
    assert ReasonCode.FILTERS_DRIFT_DETECTED in first.draft.reasons
    assert second.draft.reasons == (ReasonCode.FILTERS_REFRESHED,)


async def test_a_market_that_lost_its_last_eligible_symbol_empties_the_watch_list() -> None:
    async with _running() as desk:
        assert (await desk.watchlist()).symbols
        desk.reader.tickers = tuple(
            msgspec.structs.replace(ticker, price_change_bps=0) for ticker in desk.reader.tickers
        )

        with anyio.fail_after(5):
            while (await desk.watchlist()).symbols:
                pass


async def test_a_symbol_that_left_the_ranking_is_streamed_a_little_longer() -> None:
    async with _running() as desk:
        await desk.watchlist()
        desk.reader.tickers = desk.reader.tickers[1:]
        with anyio.fail_after(5):
            while len(desk.audit.of(EventType.UNIVERSE_ELIGIBILITY)) < 2:
                await desk.watchlist()
            await desk.watchlist()
        attachments = []
        while (message := desk.feed.receive_nowait()) is not None:
            attachments.append(message)

        assert isinstance(attachments[-1], AttachmentWanted)
        assert "AUSDT" in attachments[-1].symbols


async def _said(desk: _Desk, source: str) -> HealthSignal:
    """The next demand this source makes on the mode."""
    with anyio.fail_after(5):
        while True:
            message = await desk.governor.receive()
            if isinstance(message, HealthSignal) and message.source == source:
                return message


async def test_a_held_symbol_on_halt_degrades_until_it_trades_again() -> None:
    async with _running(_held("BUSDT", PositionPhase.PROTECTED)) as desk:
        halted = msgspec.structs.replace(desk.reader.infos["BUSDT"], status="BREAK")
        desk.reader.infos = {**desk.reader.infos, "BUSDT": halted}
        stopped = await _said(desk, "BUSDT")
        desk.reader.infos = {**desk.reader.infos, "BUSDT": a_symbol("BUSDT")}
        resumed = await _said(desk, "BUSDT")

    assert (stopped.kind, stopped.level) == (SignalKind.EXCHANGE, SignalLevel.DEGRADE)
    assert resumed.level is SignalLevel.CLEAR


async def test_a_held_symbol_that_leaves_the_list_pauses() -> None:
    async with _running(_held("BUSDT", PositionPhase.PROTECTED)) as desk:
        desk.reader.infos = {s: info for s, info in desk.reader.infos.items() if s != "BUSDT"}
        gone = await _said(desk, "BUSDT")

    assert (gone.kind, gone.level) == (SignalKind.EXCHANGE, SignalLevel.PAUSE)


async def test_an_order_turned_away_for_the_symbols_state_degrades_for_a_minute() -> None:
    async with _running(FiltersRefreshWanted(symbol="CUSDT", cause="STATUS")) as desk:
        turned_away = await _said(desk, "CUSDT")
        over = await _said(desk, "CUSDT")

    assert turned_away.reason is ReasonCode.EXCHANGE_HALTED
    assert over.level is SignalLevel.CLEAR
    assert 55_000 <= over.at_ms - turned_away.at_ms <= 70_000


async def test_a_refusal_for_the_symbols_state_is_signalled_before_its_rules_are_read() -> None:
    async with _running() as desk:
        await desk.watchlist()
        desk.reader.unanswered.add("symbol_info")
        await desk.inbox.send(FiltersRefreshWanted(symbol="CUSDT", cause="STATUS"))
        turned_away = await _said(desk, "CUSDT")

    assert turned_away.reason is ReasonCode.EXCHANGE_HALTED


async def test_cycles_go_on_with_nothing_to_choose_from() -> None:
    """Two full cycles end a DEGRADE; they must not wait for a symbol to become eligible."""
    async with _running() as desk:
        desk.reader.infos = {name: a_symbol(name, status="BREAK") for name in desk.reader.infos}
        with anyio.fail_after(5):
            while (await desk.watchlist()).symbols:
                pass
        empty = [(await desk.watchlist()).symbols for _ in range(3)]

    assert empty == [(), (), ()]


async def test_the_symbols_rules_are_read_every_quarter_of_an_hour() -> None:
    async with _running() as desk:
        with anyio.fail_after(5):
            while desk.reader.calls["exchange_info"] < 3:
                await desk.signal.receive()
        tickers = desk.reader.calls["tickers_24h"]

    assert 29 <= tickers <= 32
