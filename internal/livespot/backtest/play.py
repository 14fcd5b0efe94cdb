"""The loop of a backtest: minute by minute market state, selection, decisions, risk, fills."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

import msgspec

from livespot.backtest.desk import Desk, Trade
from livespot.backtest.minutes import MinuteFeed
from livespot.contracts.amounts import ZERO
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import AIGateResult, Decision
from livespot.contracts.market import Rejection, Snapshot, SymbolInfo
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import GateVerdict, Mode, Verdict
from livespot.exchange.candle import MINUTE_MS
from livespot.rules import selection
from livespot.rules.choice import choose
from livespot.rules.snapshot import SnapshotContext, build_snapshot, deep_features
from livespot.rules.strategy import Blocked, Strategy
from livespot.rules.thresholds import config_hash, thresholds_hash


class Log(Protocol):
    """Takes every changed selection, every decision and every trade."""

    def write(self, kind: str, at_ms: int, **facts: object) -> None: ...


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts of a backtest; `drawdown` is the deepest fall below a `peak`, at minute ends."""

    cycles: int = 0
    looked_at: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    blocked: Counter[str] = field(default_factory=Counter)
    proposed: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    unsent: Counter[str] = field(default_factory=Counter)
    entered: int = 0
    peak: Decimal = ZERO
    drawdown: Decimal = ZERO


@dataclass(slots=True, kw_only=True)
class Backtest:
    """Everything one run needs; `step` plays one minute of it."""

    settings: Settings
    strategy: Strategy
    feeds: Mapping[str, MinuteFeed]
    desk: Desk
    log: Log
    tally: Tally = field(default_factory=Tally)
    watched: dict[str, int] = field(default_factory=dict)
    _told: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _chosen: tuple[str, ...] = ()
    _ended: int = 0

    def __post_init__(self) -> None:
        self.tally.peak = self.desk.equity()

    def run(self, start_ms: int, end_ms: int, goes_on: Callable[[int], bool]) -> int:
        """Play whole minutes up to `end_ms` while `goes_on()`; returns the time reached."""
        for open_ms in range(start_ms, end_ms, MINUTE_MS):
            if not goes_on(open_ms - start_ms):
                return open_ms
            self.step(open_ms)
        return end_ms

    def step(self, open_ms: int) -> None:
        """Play one minute: first its events, then the decisions at its end."""
        now_ms = open_ms + MINUTE_MS
        for feed in self.feeds.values():
            feed.play(open_ms)
        self.desk.play(open_ms)
        self._tell_trades()
        self.desk.mark(now_ms)
        self._measure()
        context = self.context(now_ms)
        self._select(context)
        self._decide(context)

    def context(self, now_ms: int) -> SnapshotContext:
        """What all symbols share at that instant."""
        return SnapshotContext(
            settings=self.settings,
            config_hash=config_hash(self.settings),
            thresholds_hash=thresholds_hash(self.settings),
            now_ms=now_ms,
            ws_ok=True,
        )

    def _select(self, context: SnapshotContext) -> None:
        """Universe, ranking, deep scan and choice, all once a minute."""
        rules, held = self.settings.selection, self.desk.held
        infos = {s: info for s, info in self._infos().items() if info is not None}
        days = [f.window.ticker for f in self.feeds.values() if f.window.ticker is not None]
        listed = selection.listing(infos, quote_asset=self.settings.venue.quote_asset)
        ranked = selection.rank(selection.universe(listed, days, (), rules), rules)
        symbols = dict.fromkeys((*selection.wanted(ranked, rules), *sorted(held)))
        features = [
            deep_features(self.feeds[symbol].window, context, out_of_order_drops=0)
            for symbol in symbols
        ]
        deep = selection.deep_scan(features, rules)
        returns = {f.symbol: f.returns for f in features if f.returns is not None}
        choices = choose(deep, returns, self.watched, held, rules)
        chosen = tuple(choice.symbol for choice in choices if choice.chosen)
        self.watched = {symbol: self.watched.get(symbol, 0) + 1 for symbol in chosen}
        if chosen != self._chosen:
            self._chosen = chosen
            scores = {item.symbol: item.score_x10000 for item in deep}
            self.log.write("SELECTED", context.now_ms, chosen=chosen, scores=scores)

    def _infos(self) -> dict[str, SymbolInfo | None]:
        return {symbol: feed.window.info for symbol, feed in self.feeds.items()}

    def _decide(self, context: SnapshotContext) -> None:
        """A decision cycle over the watch list, as the signal actor runs it."""
        self.tally.cycles += 1
        cycle_id = f"cyc_{self.tally.cycles}"
        for symbol in self._chosen:
            if symbol in self.desk.running:
                continue
            self.tally.looked_at += 1
            built = build_snapshot(self.feeds[symbol].window, context, out_of_order_drops=0)
            if isinstance(built, Rejection):
                self.tally.rejected.update(built.reasons)
                self._say("REJECTED", symbol, built.reasons, context.now_ms)
                continue
            outcome = self.strategy.propose(
                built, self.settings, mode=Mode.REPLAY, cycle_id=cycle_id, now_ms=context.now_ms
            )
            if isinstance(outcome, Blocked):
                self.tally.blocked.update(outcome.reasons)
                self._say("BLOCKED", symbol, outcome.reasons, context.now_ms)
                continue
            self._told.pop(symbol, None)
            self._weigh(outcome, built, context.now_ms)

    def _weigh(self, proposal: Decision, snapshot: Snapshot, now_ms: int) -> None:
        """Send a proposal as an order, or count the reasons against it."""
        self.tally.proposed += 1
        decision = msgspec.structs.replace(proposal, ai_gate=GATE_OFF)
        verdict = self.desk.weigh(decision, snapshot, now_ms)
        if verdict.verdict is not Verdict.ALLOW:
            # A capped size alone is no reason for a refusal.
            against = [code for code in verdict.reasons if code is not ReasonCode.RISK_SIZE_CAPPED]
            self.tally.refused.update(against)
            self._say("REFUSED", decision.symbol, verdict.reasons, now_ms)
            return
        approved = msgspec.structs.replace(decision, risk_verdict=verdict)
        unsent = self.desk.enter(approved, snapshot, now_ms)
        if unsent:
            self.tally.unsent[unsent] += 1
            self._say("UNSENT", decision.symbol, (unsent,), now_ms)
            return
        self.tally.entered += 1
        plan, leave = decision.entry_plan, decision.exit_plan
        self.log.write(
            "ENTERED",
            now_ms,
            symbol=decision.symbol,
            decision_id=decision.decision_id,
            snapshot_hash=snapshot.snapshot_hash,
            regime=decision.regime.value,
            edge_score_x10000=decision.edge_score_x10000,
            edge_bps_expected=decision.edge_bps_expected,
            limit_price=plan.limit_price if plan is not None else None,
            qty=verdict.approved_qty,
            tp_price=leave.tp_price if leave is not None else None,
            sl_price=leave.sl_price if leave is not None else None,
        )

    def _say(self, kind: str, symbol: str, reasons: Sequence[str], now_ms: int) -> None:
        """Log reasons when they change; the counts include every repetition."""
        told = (kind, *reasons)
        if self._told.get(symbol) != told:
            self._told[symbol] = told
            self.log.write(kind, now_ms, symbol=symbol, reasons=[str(code) for code in reasons])

    def _tell_trades(self) -> None:
        for trade in self.desk.ended[self._ended :]:
            self.log.write("ENDED", trade.ended_ms, **trade_facts(trade))
        self._ended = len(self.desk.ended)

    def _measure(self) -> None:
        now = self.desk.equity()
        self.tally.peak = max(self.tally.peak, now)
        self.tally.drawdown = max(self.tally.drawdown, self.tally.peak - now)


GATE_OFF = AIGateResult(
    enabled=False,
    verdict=GateVerdict.ALLOW,
    reasons=(ReasonCode.AIGATE_DISABLED,),
    model="",
    latency_ms=0,
    input_hash="",
    raw_hash="",
    prompt_hash="",
)


def trade_facts(trade: Trade) -> dict[str, object]:
    """The log line of a trade that is over; an entry that bought nothing has no amounts."""
    return {
        "symbol": trade.symbol,
        "decision_id": trade.decision.decision_id,
        "placed_ms": trade.placed_ms,
        "entered_ms": trade.entered_ms or None,
        "ended_by": trade.ended_by,
        "bought_qty": trade.bought if trade.bought else None,
        "paid_quote": trade.paid if trade.bought else None,
        "received_quote": trade.received if trade.bought else None,
        "fees_quote": trade.fees_quote if trade.bought else None,
    }
