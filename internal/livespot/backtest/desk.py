"""Entries of a backtest: judged by risk, built as in the runtime, filled by the exchange's engine.

An entry is one attempt, sent with its protection attached. It is cancelled when its time is over,
without a second attempt or a fallback; a part that was bought is sold at market. Nothing takes
time: an order is on the book in the instant in which it is decided.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from livespot.backtest.minutes import MinuteFeed
from livespot.contracts import ids
from livespot.contracts.amounts import ZERO, decimal_text
from livespot.contracts.decision import Decision, RiskVerdict
from livespot.contracts.errors import Fatal
from livespot.contracts.market import Returns, Snapshot, SymbolInfo
from livespot.contracts.orders import Fill, ListRequest
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import (
    EntryKind,
    IntentAction,
    IntentRole,
    ListKind,
    OrderType,
    Side,
    SysMode,
    Verdict,
)
from livespot.exchange.candle import MINUTE_MS
from livespot.exchange.engine import Engine
from livespot.exchange.ladder import Ladder
from livespot.exchange.market import Print, Quote
from livespot.exchange.model import OPEN_STATUSES, ExecutionReport, Rejection
from livespot.exchange.model import ListKind as EngineListKind
from livespot.exchange.prng import SplitMix
from livespot.exchange.sources import Happening, StatusTurn
from livespot.rules import reserves, risk_counters
from livespot.rules.intent_ids import entry_intent_id
from livespot.rules.pnl import price_fee
from livespot.rules.quantize import OrderRefused, quantize_qty
from livespot.rules.quarantine import SymbolFaults
from livespot.rules.requests import EntryDraft, Mutation, entry_mutation
from livespot.rules.risk import RiskView, assess, held_elsewhere
from livespot.rules.risk_counters import Counters
from livespot.venue.params import list_params

_ACCOUNT = "demo"
_KINDS: dict[ListKind, EngineListKind] = {ListKind.OTOCO: "otoco", ListKind.OPOCO: "opoco"}
NOT_FILLED = "NOT_FILLED"
# Why an approved entry is not sent here: it would take at once, or the symbol allows no lists.
NOT_RESTING, NOT_ATTACHABLE = "NOT_RESTING", "NOT_ATTACHABLE"


@dataclass(slots=True, kw_only=True)
class Trade:
    """One entry from its order to its end; amounts in base and quote as the exchange reported them.

    `refused` is the last answer to a sale at market that was refused.
    """

    decision: Decision
    intent_id: str
    placed_ms: int
    roles: dict[str, IntentRole]
    cancel_ms: int
    entry_open: bool = True
    bought: Decimal = ZERO
    paid: Decimal = ZERO
    received: Decimal = ZERO
    fees_quote: Decimal = ZERO
    entered_ms: int = 0
    ended_ms: int = 0
    ended_by: str = ""
    refused: str = ""

    @property
    def symbol(self) -> str:
        return self.decision.symbol


class Desk:
    """One account on one engine, and the memory of risk."""

    def __init__(self, engine: Engine, feeds: Mapping[str, MinuteFeed], settings: Settings) -> None:
        self._engine = engine
        self._feeds = feeds
        self._settings = settings
        self._seeds = {symbol: SplitMix(symbol).bits() for symbol in feeds}
        # By symbol: the time up to which the engine has its events.
        self._seen_ms: dict[str, int] = {}
        self._reserves: reserves.Book = {}
        self._counters = Counters()
        self.running: dict[str, Trade] = {}
        self.ended: list[Trade] = []

    @property
    def counters(self) -> Counters:
        return self._counters

    @property
    def held(self) -> frozenset[str]:
        """Symbols of which something is held."""
        return frozenset(symbol for symbol, trade in self.running.items() if trade.bought)

    def mark(self, now_ms: int) -> None:
        """End a minute: update the day's figures with the best bids."""
        bids = self._bids()
        self._counters = risk_counters.day_rolled(self._counters, bids, now_ms)
        self._counters, _ = risk_counters.marked(self._counters, bids, self._settings.risk)

    def play(self, open_ms: int) -> None:
        """Play the minute's trades of every symbol with something open."""
        for symbol in tuple(self.running):
            for event in self._feeds[symbol].events:
                self._expire(symbol, event.t_ms)
                self._apply(symbol, event)
                self._settle(event.t_ms)
            self._expire(symbol, open_ms + MINUTE_MS)

    def weigh(self, decision: Decision, snapshot: Snapshot, now_ms: int) -> RiskVerdict:
        """The verdict of risk, from the same counters that the runtime keeps."""
        symbol = decision.symbol
        others = held_elsewhere(self._counters, self._reserves, symbol)
        view = RiskView(
            settings=self._settings,
            sysmode=SysMode.NORMAL,
            now_ms=now_ms,
            exchange_ms=now_ms,
            counters=self._counters,
            book=self._reserves,
            free_quote=self._free(self._settings.venue.quote_asset),
            bids=self._bids(),
            faults=SymbolFaults(symbol=symbol),
            info=self._info(symbol),
            latency_p90_ms=0,
            unfilled_orders_pct=0,
            returns=self._returns(others),
        )
        return assess(decision, snapshot, view)

    def enter(self, decision: Decision, snapshot: Snapshot, now_ms: int) -> str:
        """Send an approved entry; returns why it could not be sent, else an empty text."""
        symbol, plan, verdict = decision.symbol, decision.entry_plan, decision.risk_verdict
        if plan is None or verdict is None or verdict.verdict is not Verdict.ALLOW:
            raise Fatal(f"decision {decision.decision_id!r} is no approved entry")
        if plan.kind is not EntryKind.MAKER_FIRST:
            return NOT_RESTING
        intent_id = entry_intent_id(
            decision,
            action=IntentAction.SUBMIT,
            attempt=1,
            price=plan.limit_price,
            qty=verdict.approved_qty,
            order_type=OrderType.LIMIT_MAKER,
        )
        draft = EntryDraft(
            intent_id=intent_id,
            decision=decision,
            qty=verdict.approved_qty,
            attempt=1,
            order_type=OrderType.LIMIT_MAKER,
            info=self._info(symbol),
            base_fee_bps=snapshot.cost_inputs.base_fee_bps,
            recv_window_ms=self._settings.time.recv_window_ms,
            now_ms=now_ms,
        )
        mutation = entry_mutation(draft, self._settings.exit)
        if isinstance(mutation, OrderRefused):
            return mutation.reason.value
        if not isinstance(mutation.request, ListRequest):
            return NOT_ATTACHABLE
        return self._send(decision, mutation, mutation.request, now_ms)

    def _send(
        self, decision: Decision, mutation: Mutation, request: ListRequest, now_ms: int
    ) -> str:
        symbol, plan = decision.symbol, decision.entry_plan
        if plan is None or request.working is None:
            raise Fatal(f"decision {decision.decision_id!r} has no resting entry")
        # The engine may not have played this symbol yet: its last minute makes the book.
        seen_ms = self._seen_ms.get(symbol, 0)
        for event in self._feeds[symbol].events:
            if event.t_ms > seen_ms:
                self._apply(symbol, event)
        params = {name: str(value) for name, value in list_params(request).items()}
        try:
            self._engine.place_list(_ACCOUNT, _KINDS[request.kind], params, now_ms)
        except Rejection as refused:
            return f"REFUSED {refused.code} {refused.msg}"
        self.running[symbol] = Trade(
            decision=decision,
            intent_id=mutation.intent.order_intent_id,
            placed_ms=now_ms,
            roles={
                request.working.client_order_id: IntentRole.ENTRY,
                **{alias.client_order_id: alias.role for alias in mutation.aliases},
            },
            cancel_ms=now_ms + plan.ttl_ms,
        )
        reserve = reserves.reserved(
            decision.decision_id,
            symbol,
            request.working.qty * plan.limit_price,
            expires_at_ms=now_ms,
        )
        self._keep(reserves.bound(reserve, mutation.intent.order_intent_id))
        self._settle(now_ms)
        return ""

    # ---- what the exchange does

    def _apply(self, symbol: str, event: Happening) -> None:
        feed = self._feeds[symbol]
        self._seen_ms[symbol] = event.t_ms
        match event:
            case Quote():
                ladder = Ladder(self._seeds[symbol], event, feed.scale)
                self._engine.set_house(symbol, ladder, event.t_ms)
            case Print():
                self._engine.print_trade(
                    symbol,
                    event.price * feed.scale.tick_size,
                    event.qty * feed.scale.step_size,
                    buyer_is_maker=event.buyer_is_maker,
                    now_ms=event.t_ms,
                )
            case StatusTurn():
                self._engine.set_status(symbol, event.status, event.t_ms)

    def _expire(self, symbol: str, now_ms: int) -> None:
        """Cancel an entry whose time is over."""
        trade = self.running.get(symbol)
        if trade is None or not trade.entry_open or now_ms < trade.cancel_ms:
            return
        params = {"symbol": symbol, "origClientOrderId": ids.client_order_id(trade.intent_id)}
        self._engine.cancel_order(_ACCOUNT, params, trade.cancel_ms)
        self._settle(trade.cancel_ms)

    def _settle(self, now_ms: int) -> None:
        """Take in what the engine did, and end trades with nothing left open."""
        self._drain()
        for trade in tuple(self.running.values()):
            if not self._engine.open_orders(_ACCOUNT, {"symbol": trade.symbol}):
                self._close(trade, now_ms)

    def _drain(self) -> None:
        for event in self._engine.drain_events():
            if isinstance(event, ExecutionReport) and event.account_id == _ACCOUNT:
                self._take(self.running[event.symbol], event)

    def _take(self, trade: Trade, report: ExecutionReport) -> None:
        role = trade.roles[report.orig_client_id or report.client_id]
        if role is IntentRole.ENTRY:
            trade.entry_open = report.status in OPEN_STATUSES
        if report.execution_type != "TRADE":
            return
        fill = _fill(report)
        info = self._info(trade.symbol)
        fee = price_fee(
            fill,
            base_asset=info.base_asset,
            quote_asset=info.quote_asset,
            third_asset_price=None,
        )
        self._counters = risk_counters.filled(
            self._counters,
            fill,
            fee,
            decision_id=trade.decision.decision_id,
            role=role,
            settings=self._settings.risk,
        )
        trade.fees_quote += fee.quote
        quote = fill.price * fill.qty
        if fill.side is Side.SELL:
            trade.received += quote
            trade.ended_by, trade.ended_ms = role.value, fill.exchange_time_ms
            return
        trade.bought += fill.qty
        trade.paid += quote
        trade.entered_ms = trade.entered_ms or fill.exchange_time_ms
        reserve = self._reserves.get(trade.decision.decision_id)
        if reserve is not None:
            self._keep(reserves.converted(reserve, quote))

    def _close(self, trade: Trade, now_ms: int) -> None:
        """Sell what is held without protection; if the book is too thin, try again later."""
        qty = self._sellable(trade)
        if qty:
            self._sell(trade, qty, now_ms)
            qty = self._sellable(trade)
        if not qty:
            self._end(trade, now_ms)

    def _sellable(self, trade: Trade) -> Decimal:
        """How much of the trade could be sold at market now; 0 for dust."""
        info = self._info(trade.symbol)
        limits = info.constraints
        bid, _ = self._engine.best(trade.symbol)
        if not trade.bought or limits is None:
            return ZERO
        qty = quantize_qty(self._free(info.base_asset), limits, market=True)
        price = bid[0] if bid is not None else trade.paid / trade.bought
        return qty if qty >= limits.min_qty and qty * price >= limits.min_notional else ZERO

    def _sell(self, trade: Trade, qty: Decimal, now_ms: int) -> None:
        name = f"{ids.client_order_id(trade.intent_id)[:30]}_{len(trade.roles)}"
        trade.roles[name] = IntentRole.CLOSE
        params = {
            "symbol": trade.symbol,
            "side": "SELL",
            "type": "MARKET",
            "quantity": decimal_text(qty),
            "newClientOrderId": name,
        }
        try:
            self._engine.place_order(_ACCOUNT, params, now_ms)
        except Rejection as refused:
            # No market at present, such as a halt: the next event tries again.
            trade.refused = f"{refused.code} {refused.msg}"
        self._drain()

    def _end(self, trade: Trade, now_ms: int) -> None:
        reserve = self._reserves.get(trade.decision.decision_id)
        if reserve is not None:
            self._keep(reserves.ended(reserve))
        if trade.bought:
            held = self._counters.of(trade.symbol).held
            self._counters = risk_counters.exited(
                self._counters,
                trade.symbol,
                trade.decision.decision_id,
                held.realised_quote if held is not None else ZERO,
                now_ms=now_ms,
                settings=self._settings.risk,
            )
        else:
            trade.ended_ms, trade.ended_by = now_ms, NOT_FILLED
        del self.running[trade.symbol]
        self.ended.append(trade)

    # ---- readings

    def equity(self) -> Decimal:
        """Quote on the account plus everything held at its last best bid."""
        worth = self._total(self._settings.venue.quote_asset)
        for symbol, feed in self._feeds.items():
            if feed.bid is not None:
                worth += self._total(self._info(symbol).base_asset) * feed.bid
        return worth

    def _keep(self, reserve: reserves.Reserve) -> None:
        self._reserves = reserves.with_reserve(self._reserves, reserve)

    def _info(self, symbol: str) -> SymbolInfo:
        info = self._feeds[symbol].window.info
        if info is None:
            raise Fatal(f"{symbol} has no filters")
        return info

    def _bids(self) -> dict[str, Decimal]:
        books = ((symbol, feed.window.book) for symbol, feed in self._feeds.items())
        return {symbol: book.bid for symbol, book in books if book is not None}

    def _free(self, asset: str) -> Decimal:
        return self._engine.state.accounts[_ACCOUNT].balance(asset).free

    def _total(self, asset: str) -> Decimal:
        balance = self._engine.state.accounts[_ACCOUNT].balance(asset)
        return balance.free + balance.locked

    def _returns(self, symbols: frozenset[str]) -> dict[str, Returns]:
        known = sorted(symbol for symbol in symbols if symbol in self._feeds)
        return {symbol: self._feeds[symbol].window.returns(self._settings) for symbol in known}


def _fill(report: ExecutionReport) -> Fill:
    return Fill(
        symbol=report.symbol,
        trade_id=report.trade_id,
        order_id=report.order_id,
        client_order_id=report.client_id,
        side=Side(report.side),
        price=report.last_price,
        qty=report.last_qty,
        commission=report.commission,
        commission_asset=report.commission_asset or "",
        is_maker=report.is_maker,
        exchange_time_ms=report.time_ms,
        local_received_ms=report.time_ms,
    )
