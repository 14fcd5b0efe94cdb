"""From the bytes of a book ticker to the bytes of an order, against the least that could do it."""

import time
from asyncio import Runner
from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias, cast

import anyio
import msgspec
import pytest
import uvloop
from anyio.abc import TaskGroup
from tests.bench.minimal_order import Prepared, order_of
from tests.bench.prepared_order import prepared
from tests.bench.report import report_comparison
from tests.bench.rounds import Cost, compare

from livespot.actors import ai_gate, market_feed, market_state, signaller
from livespot.actors.audit_lanes import Lanes
from livespot.actors.mail import (
    ApprovedEntry,
    ExecutionInbox,
    FeaturesAsked,
    FeedInbox,
    GatedProposal,
    GateInbox,
    GovernorInbox,
    MarketStateInbox,
    Proposal,
    RiskInbox,
    SignalInbox,
)
from livespot.actors.risk import RiskOfficer
from livespot.actors.risk_memory import RiskMemory
from livespot.actors.stream_age import StreamAge
from livespot.contracts.audit import AuditEntry
from livespot.contracts.decision import Decision
from livespot.contracts.market import BookTicker
from livespot.contracts.orders import ListRequest
from livespot.contracts.queries import LedgerReader
from livespot.contracts.secret import Secret
from livespot.contracts.settings import AuditSettings, GateSettings, Settings
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import IntentAction, IntentState, Mode, OrderType, SysMode
from livespot.gate.client import GateClient
from livespot.gate.prompts import Prompt
from livespot.rules import ledger
from livespot.rules.intent_ids import entry_intent_id
from livespot.rules.requests import EntryDraft, Mutation, entry_mutation
from livespot.rules.reserves import Cash
from livespot.rules.strategies import strategy_for
from livespot.rules.symbol_window import SymbolWindow
from livespot.runtime.cycles import CycleIds
from livespot.runtime.mailboxes import ConflatingMailbox, Mailbox
from livespot.testing.clock import ManualClock
from livespot.testing.market_values import recorded_minutes
from livespot.testing.market_wire import ScriptedReader, ScriptedStream
from livespot.testing.recorded_market import window_of
from livespot.testing.server_clock import FixedOffset
from livespot.venue.frames import decode_frame
from livespot.venue.params import list_params
from livespot.venue.signing import HmacSigner, signed_params

pytestmark = [pytest.mark.bench, pytest.mark.timeout(300)]

Request: TypeAlias = tuple[tuple[str, str | int], ...]

_LIMIT = 8.0
_ROUNDS = 15
_TICKS = 60
# More than any cache on the way holds, and so few that the strategy wants to buy at all of them.
_PRICES, _TICK_SIZE = 1000, Decimal("0.0001")
# A recorded instant at which the default strategy wants to buy.
_SYMBOL, _NOW_MS = "LTCUSDT", 1_618_606_800_000
_KEY, _SECRET = "k" * 64, "s" * 64


class _Unused:
    """Stands where this path never looks."""

    unfilled_orders_pct = 0
    used_weight = 0
    weight_limit = 6000


@dataclass(slots=True)
class _Enqueued:
    """The audit port up to its lanes: what a commit waits for behind them is the disk."""

    lanes: Lanes

    async def commit(self, *entries: AuditEntry) -> None:
        self.lanes.add_critical(entries)

    async def record(self, *entries: AuditEntry) -> None:
        for entry in entries:
            await self.lanes.add_normal(entry)


class _Floor:
    """The runtime's own actors on one symbol, called in turn instead of through the event loop."""

    def __init__(self, settings: Settings, window: SymbolWindow) -> None:
        self.settings, self.window = settings, window
        self.clock = clock = ManualClock(_NOW_MS)
        server_clock = FixedOffset(clock)
        self.books: ConflatingMailbox[BookTicker] = ConflatingMailbox("books", 64, clock)
        self.state_inbox: Mailbox[MarketStateInbox] = Mailbox("state", 64, clock)
        self.risk_inbox: Mailbox[RiskInbox] = Mailbox("risk", 64, clock)
        self.gate_inbox: Mailbox[GateInbox] = Mailbox("gate", 64, clock)
        self.execution: Mailbox[ExecutionInbox] = Mailbox("execution", 64, clock)
        signal: Mailbox[SignalInbox] = Mailbox("signal", 64, clock)
        governor: Mailbox[GovernorInbox] = Mailbox("governor", 64, clock)
        feed_inbox: Mailbox[FeedInbox] = Mailbox("feed", 64, clock)
        alerts: Mailbox[Alert] = Mailbox("alerts", 64, clock)
        self.lanes = Lanes(AuditSettings(), clock)
        audit = _Enqueued(self.lanes)
        self.signer = HmacSigner(api_key=Secret(_KEY), secret=Secret(_SECRET))
        self.cycles = CycleIds("run_bench", clock)
        age = StreamAge()
        age.consumed(0)
        self.feed = market_feed.MarketFeed(
            settings=self.settings,
            clock=clock,
            server_clock=server_clock,
            stream=ScriptedStream(),
            decode=decode_frame,
            reader=ScriptedReader(),
            inbox=feed_inbox,
            books=self.books,
            state=self.state_inbox,
            risk=self.risk_inbox,
            alerts=alerts,
            age=age,
            backoff=lambda _: 0.0,
            beat=lambda: None,
        )
        self.state = market_state.MarketState(
            settings=self.settings,
            clock=clock,
            server_clock=server_clock,
            inbox=self.state_inbox,
            books=self.books,
            age=age,
            feed=feed_inbox,
            signal=signal,
            risk=self.risk_inbox,
            marks_to=(),
            alerts=alerts,
            beat=lambda: None,
        )
        self.signal = signaller.Signaller(
            settings=self.settings,
            mode=Mode.SIM,
            clock=clock,
            strategy=strategy_for(self.settings),
            audit=audit,
            cycles=self.cycles,
            inbox=signal,
            state=self.state_inbox,
            gate=self.gate_inbox,
            beat=lambda: None,
        )
        self.gate = ai_gate.AiGate(
            settings=self.settings,
            prompt=Prompt(system="", user="", schema={}, hash="p" * 64),
            client=cast(GateClient, _Unused()),
            clock=clock,
            audit=audit,
            ledger=cast(LedgerReader, _Unused()),
            inbox=self.gate_inbox,
            risk=self.risk_inbox,
            signal=signal,
            governor=governor,
        )
        self.risk = RiskOfficer(
            settings=self.settings,
            clock=clock,
            server_clock=FixedOffset(clock),
            audit=audit,
            ledger=cast(LedgerReader, _Unused()),
            counts=_Unused(),
            inbox=self.risk_inbox,
            execution=self.execution,
            signal=signal,
            governor=governor,
            market=cast(Mailbox[FeaturesAsked], self.state_inbox),
        )
        info = self.window.info
        if info is None:
            raise ValueError("the recorded window knows its symbol")
        self.info = info
        self.session = market_feed._Session(opened_ms=0)
        self.link = market_feed._Link(symbols=(_SYMBOL,), session=self.session)
        self.known = self.state.known
        self.known.windows[_SYMBOL] = self.window
        self.watch = signaller._Watch(mode=SysMode.NORMAL)
        self.desk = ai_gate._Desk(mode=SysMode.NORMAL)
        self.memory = RiskMemory(
            cash=Cash(free=self.settings.risk.max_exposure_total * 10),
            infos={_SYMBOL: info},
            mode=SysMode.NORMAL,
        )

    async def order_of(self, raw: bytes, group: TaskGroup) -> bytes:
        """One tick all the way; every step is the one the runtime takes."""
        slow: deque[market_feed._Slow] = deque()
        self.feed.take(raw, self.link, slow, self.session)
        for book in await self.books.receive_all():
            self.window.take_book(book)
        built = self.state._snapshots(self.known, (_SYMBOL,))
        [snapshot] = built.snapshots
        decision = self.signal.strategy.propose(
            snapshot,
            self.settings,
            mode=Mode.SIM,
            cycle_id=self.cycles.next(),
            now_ms=self.clock.now_ms(),
        )
        if not isinstance(decision, Decision):
            raise TypeError(f"the strategy does not want it: {decision.reasons}")
        await self.signal._propose(self.watch, decision, snapshot)
        proposal = self.gate_inbox.receive_nowait()
        await self.gate._take(self.desk, cast(Proposal, proposal), group)
        gated = self.risk_inbox.receive_nowait()
        await self.risk._judge(self.memory, cast(GatedProposal, gated))
        approved = self.execution.receive_nowait()
        return await self.send(cast(ApprovedEntry, approved))

    async def send(self, approved: ApprovedEntry) -> bytes:
        """What execution does with an approved entry, up to the bytes."""
        decision, now_ms = approved.decision, self.clock.now_ms()
        plan, verdict = decision.entry_plan, decision.risk_verdict
        if plan is None or verdict is None:
            raise ValueError("an approved entry has a plan and a verdict")
        draft = EntryDraft(
            intent_id=entry_intent_id(
                decision,
                action=IntentAction.SUBMIT,
                attempt=0,
                price=plan.limit_price,
                qty=verdict.approved_qty,
                order_type=OrderType.LIMIT_MAKER,
            ),
            decision=decision,
            qty=verdict.approved_qty,
            attempt=0,
            order_type=OrderType.LIMIT_MAKER,
            info=self.info,
            base_fee_bps=approved.snapshot.cost_inputs.base_fee_bps,
            recv_window_ms=5000,
            now_ms=now_ms,
        )
        mutation = entry_mutation(draft, self.settings.exit)
        if not isinstance(mutation, Mutation) or not isinstance(mutation.request, ListRequest):
            raise TypeError(f"no list came of it: {mutation!r}")
        self.lanes.add_critical(
            (ledger.creation(mutation.intent, mutation.aliases, cycle_id=self.cycles.next()),)
        )
        step = ledger.Step(to_state=IntentState.SENT_UNKNOWN, at_ms=now_ms, sent_at_ms=now_ms)
        _, entry = ledger.transition(mutation.intent, step, cycle_id=self.cycles.next())
        self.lanes.add_critical((entry,))
        params = signed_params({**list_params(mutation.request), "timestamp": now_ms}, self.signer)
        return msgspec.json.encode({"id": 1, "method": "orderList.place.opoco", "params": params})

    def forget(self) -> None:
        """The next tick finds the account as this one did."""
        self.memory.book.clear()
        self.lanes.take()


def _floor() -> _Floor:
    minutes = tuple(m for m in recorded_minutes(_SYMBOL) if m.open_time_ms + 60_000 <= _NOW_MS)
    settings = Settings(ai_gate=GateSettings(ai_dec=0))
    return _Floor(settings=settings, window=window_of(_SYMBOL, minutes, _NOW_MS))


def _book(window: SymbolWindow) -> BookTicker:
    if window.book is None:
        raise ValueError("the recorded window has a book")
    return window.book


def _frame(book: BookTicker, number: int) -> bytes:
    """The book at one of many prices: no tick finds what an earlier one left in a cache."""
    shift = number % _PRICES * _TICK_SIZE
    data = {
        "u": number,
        "s": _SYMBOL,
        "b": f"{book.bid + shift:.8f}",
        "B": "70.00000000",
        "a": f"{book.ask + shift:.8f}",
        "A": "30.00000000",
    }
    stream = f"{_SYMBOL.lower()}@bookTicker"
    return msgspec.json.encode({"stream": stream, "data": data})


async def _ours(floor: _Floor, frames: list[bytes]) -> tuple[Cost, list[bytes]]:
    orders: list[bytes] = []
    async with anyio.create_task_group() as group:
        cpu, wall = time.process_time(), time.perf_counter()
        for raw in frames:
            orders.append(await floor.order_of(raw, group))
            floor.forget()
        cost = _per_tick(cpu, wall, len(frames))
    return cost, orders


def _minimal(ready: Prepared, frames: list[bytes]) -> tuple[Cost, list[bytes]]:
    ready.last_id = -1
    orders: list[bytes] = []
    cpu, wall = time.process_time(), time.perf_counter()
    for raw in frames:
        order = order_of(raw, ready, _NOW_MS)
        if order is not None:
            orders.append(order)
        ready.audit.clear()
    return _per_tick(cpu, wall, len(frames)), orders


def _per_tick(cpu: float, wall: float, ticks: int) -> Cost:
    return Cost(
        cpu_us=(time.process_time() - cpu) / ticks * 1e6,
        wall_us=(time.perf_counter() - wall) / ticks * 1e6,
    )


def _keep(asked: dict[str, set[Request]], orders: list[bytes]) -> None:
    """What the exchange would be asked for at each price, ids and signature included."""
    for order in orders:
        params = msgspec.json.decode(order)["params"]
        asked.setdefault(params["workingPrice"], set()).add(tuple(sorted(params.items())))


def test_a_tick_becomes_an_order_within_a_small_multiple_of_the_least_work() -> None:
    floor = _floor()
    book = _book(floor.window)
    made = iter(range(book.update_id + 1, 10_000_000))
    asked: dict[str, set[Request]] = {}
    with Runner(loop_factory=uvloop.new_event_loop) as runner:

        def ours() -> Cost:
            frames = [_frame(book, next(made)) for _ in range(_TICKS)]
            cost, orders = runner.run(_ours(floor, frames))
            _keep(asked, orders)
            return cost

        def minimal() -> Cost:
            frames = [_frame(book, number) for number in range(_TICKS * 10)]
            cost, orders = _minimal(ready, frames)
            assert len(orders) == len(frames)
            _keep(asked, orders)
            return cost

        [snapshot] = floor.state._snapshots(floor.known, (_SYMBOL,)).snapshots
        ready = prepared(snapshot, floor.settings, key=_KEY, secret=_SECRET)
        result = compare(
            "tick bytes to order bytes, in process",
            {"least work": minimal, "livespot": ours},
            rounds=_ROUNDS,
            limit=_LIMIT,
        )

    # Every id is a hash of what was decided on, and the signature covers all of them: both programs
    # build the very same request at a price, or they did not do the same work.
    assert {len(requests) for requests in asked.values()} == {1}
    assert len(asked) >= _TICKS * 10
    report_comparison(result)
