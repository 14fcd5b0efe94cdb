"""The risk actor's memory: days, streaks, cool-downs, churn and lots, one pure update per event."""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from livespot.contracts.amounts import ZERO
from livespot.contracts.base import Message
from livespot.contracts.canonical import canonical_json
from livespot.contracts.codes import ReasonCode
from livespot.contracts.orders import Fill
from livespot.contracts.settings import ChurnSettings, RiskSettings
from livespot.contracts.vocabulary import IntentAction, IntentRole, Side
from livespot.rules.pnl import Lot, PricedFee, apply_fill, total_unrealised

DAY_MS = 86_400_000
CHURN_WINDOW_MS = 10_000
# Enough to recognise a repeated fill of the newest orders; older ones are settled.
_TRADE_IDS_KEPT = 500
# A fill past midnight begins the day by its own stamp, before the exchange's time as measured says
# so. That is a matter of a second; a day that began earlier than this was never the exchange's.
_EARLY_MS = 3_600_000

_CANCELS = frozenset({IntentAction.CANCEL, IntentAction.OCO_CANCEL})
_STOP_ROLES = frozenset({IntentRole.SL, IntentRole.STOP})
# What sells at what the market gives: at a loss it has done what a stop does.
_FORCED_ROLES = frozenset({IntentRole.CLOSE, IntentRole.TRAIL})


class HeldLot(Message, frozen=True):
    """A lot with the decision it came from; mirrors `pnl.Lot` in a form that can be stored.

    `mark` is the last best bid it was valued at, zero before the first: after a restart it stands
    in until the market speaks again.
    """

    decision_id: str
    qty: Decimal = ZERO
    cost_quote: Decimal = ZERO
    realised_quote: Decimal = ZERO
    fees_quote: Decimal = ZERO
    fee_unpriced: bool = False
    mark: Decimal = ZERO

    @property
    def lot(self) -> Lot:
        return Lot(
            qty=self.qty,
            cost_quote=self.cost_quote,
            realised_quote=self.realised_quote,
            fees_quote=self.fees_quote,
            fee_unpriced=self.fee_unpriced,
        )


class SymbolCounters(Message, frozen=True):
    """What is remembered of one symbol. Times are the exchange's, lists oldest first."""

    held: HeldLot | None = None
    cooldown_until_ms: int = 0
    trades_ms: tuple[int, ...] = ()
    losses_in_row: int = 0
    streak_until_ms: int = 0
    cancel_replaces_ms: tuple[int, ...] = ()
    cancels_ms: tuple[int, ...] = ()
    new_orders_ms: tuple[int, ...] = ()
    churn_until_ms: int = 0
    churn_reasons: tuple[ReasonCode, ...] = ()
    trade_ids: tuple[int, ...] = ()
    closed_decision_id: str = ""


class Counters(Message, frozen=True):
    """The whole memory. Day figures belong to the UTC day `day` (days since the epoch).

    `fired` are the kill switches that fired today; the loss and drawdown ones block until the day
    ends.
    """

    day: int = 0
    trades_today: int = 0
    realised_today: Decimal = ZERO
    peak_equity: Decimal = ZERO
    fired: tuple[ReasonCode, ...] = ()
    fee_unpriced_today: bool = False
    symbols: dict[str, SymbolCounters] = msgspec.field(default_factory=dict)

    def of(self, symbol: str) -> SymbolCounters:
        return self.symbols.get(symbol, _EMPTY)

    @property
    def held(self) -> dict[str, HeldLot]:
        """What is held, by symbol, with the decision it came from."""
        return {
            symbol: counters.held
            for symbol, counters in self.symbols.items()
            if counters.held is not None
        }

    @property
    def lots(self) -> dict[str, Lot]:
        """What is held, by symbol."""
        return {symbol: held.lot for symbol, held in self.held.items()}


_EMPTY = SymbolCounters()


def to_json(counters: Counters) -> str:
    """Canonical JSON for the one durable row."""
    return canonical_json(counters).decode()


def from_json(text: str) -> Counters:
    """The memory a previous run left. Raises `msgspec.ValidationError` when it cannot be read."""
    return msgspec.json.decode(text, type=Counters)


def unrealised(counters: Counters, bids: Mapping[str, Decimal]) -> Decimal:
    """Open result at the best bids, or the last known ones; without any a lot counts at cost."""
    held = counters.held
    if not held:
        return ZERO
    known = {symbol: lot.mark for symbol, lot in held.items() if lot.mark}
    return total_unrealised(counters.lots, {**known, **bids})


def equity(counters: Counters, bids: Mapping[str, Decimal]) -> Decimal:
    """Trading result of the day: realised today plus what is open. Deposits do not enter it."""
    return counters.realised_today + unrealised(counters, bids)


def day_rolled(counters: Counters, bids: Mapping[str, Decimal], now_ms: int) -> Counters:
    """Start a new UTC day when one has begun: figures, peak and kill switches reset.

    `now_ms` is the exchange's time. A day does not begin twice. One that was begun too early, by a
    machine clock that was wrong, becomes today with all its figures: what is traded now counts.
    """
    today = now_ms // DAY_MS
    if counters.day * DAY_MS - now_ms > _EARLY_MS:
        return msgspec.structs.replace(counters, day=today)
    if today <= counters.day:
        return counters
    fresh = msgspec.structs.replace(
        counters,
        day=today,
        trades_today=0,
        realised_today=ZERO,
        fired=(),
        fee_unpriced_today=False,
    )
    return msgspec.structs.replace(fresh, peak_equity=equity(fresh, bids))


def marked(
    counters: Counters, bids: Mapping[str, Decimal], settings: RiskSettings
) -> tuple[Counters, tuple[ReasonCode, ...]]:
    """Move the peak and fire kill switches; returns the codes that fired just now.

    The peak moves only when every held symbol has a bid: a lot counted at cost would lift it.
    """
    counters = _with_marks(counters, bids)
    now = equity(counters, bids)
    if now > counters.peak_equity and all(symbol in bids for symbol in counters.lots):
        counters = msgspec.structs.replace(counters, peak_equity=now)
    hit = []
    if now <= settings.max_daily_loss:
        hit.append(ReasonCode.RISK_DAILY_LOSS_LIMIT)
    if counters.peak_equity - now >= settings.max_drawdown:
        hit.append(ReasonCode.RISK_DRAWDOWN_LIMIT)
    if counters.trades_today >= settings.max_trades_per_day:
        hit.append(ReasonCode.RISK_MAX_TRADES_DAY)
    return fire(counters, hit)


def fire(counters: Counters, codes: list[ReasonCode]) -> tuple[Counters, tuple[ReasonCode, ...]]:
    """Remember kill switches; the second value holds those that had not fired today."""
    new = tuple(code for code in codes if code not in counters.fired)
    if not new:
        return counters, ()
    return msgspec.structs.replace(counters, fired=(*counters.fired, *new)), new


def filled(
    counters: Counters,
    fill: Fill,
    fee: PricedFee,
    *,
    decision_id: str,
    role: IntentRole,
    settings: RiskSettings,
) -> Counters:
    """A fill of ours: lot, day's result, trade count, cool-down. A repeated trade id is ignored.

    So is one of a position that has ended: its end already carried the whole result. Result and
    trade belong to the UTC day the exchange executed them on, however late we hear of it, and
    cool-down and trades window begin then, too.
    """
    mine = counters.of(fill.symbol)
    if fill.trade_id in mine.trade_ids or decision_id == mine.closed_decision_id:
        return counters
    executed_on = fill.exchange_time_ms // DAY_MS
    if executed_on > counters.day:
        # The exchange's midnight came before ours.
        counters = day_rolled(counters, {}, fill.exchange_time_ms)
    of_today = executed_on >= counters.day
    before = mine.held or HeldLot(decision_id=decision_id)
    opens = mine.held is None and fill.side is Side.BUY
    lot = apply_fill(before.lot, fill, fee)
    gained = lot.realised_quote - before.realised_quote
    at_ms = fill.exchange_time_ms
    stopped = fill.side is Side.SELL and (
        role in _STOP_ROLES or (role in _FORCED_ROLES and gained < 0)
    )
    mine = msgspec.structs.replace(
        mine,
        held=_held(before, lot),
        trade_ids=(*mine.trade_ids, fill.trade_id)[-_TRADE_IDS_KEPT:],
        trades_ms=_trades(mine, at_ms, settings, opens=opens),
        cooldown_until_ms=(
            max(mine.cooldown_until_ms, at_ms + settings.cooldown_seconds * 1000)
            if stopped
            else mine.cooldown_until_ms
        ),
    )
    return msgspec.structs.replace(
        with_symbol(counters, fill.symbol, mine),
        realised_today=counters.realised_today + (gained if of_today else ZERO),
        trades_today=counters.trades_today + (opens and of_today),
        fee_unpriced_today=counters.fee_unpriced_today or fee.unpriced,
    )


def exited(
    counters: Counters,
    symbol: str,
    decision_id: str,
    realised_quote: Decimal,
    *,
    now_ms: int,
    settings: RiskSettings,
) -> Counters:
    """A position ended, flat or as dust, with this result. Counted once per decision.

    The result replaces what our own fills said: the last of them may still be on its way. A loss
    lengthens the streak; one that reaches the limit blocks the symbol for one trades window from
    `now_ms`, the exchange's time, and starts anew.
    """
    mine = counters.of(symbol)
    if mine.closed_decision_id == decision_id:
        return counters
    known = mine.held.realised_quote if mine.held is not None else ZERO
    losses = mine.losses_in_row + 1 if realised_quote < 0 else 0
    blocked_until = mine.streak_until_ms
    if losses >= settings.max_consecutive_losses:
        blocked_until, losses = now_ms + settings.trades_window_seconds * 1000, 0
    mine = msgspec.structs.replace(
        mine,
        held=None,
        losses_in_row=losses,
        streak_until_ms=blocked_until,
        closed_decision_id=decision_id,
    )
    return msgspec.structs.replace(
        with_symbol(counters, symbol, mine),
        realised_today=counters.realised_today + realised_quote - known,
    )


def mutated(
    counters: Counters, symbol: str, action: IntentAction, at_ms: int, settings: ChurnSettings
) -> Counters:
    """A mutation left for the exchange; reaching a limit blocks the symbol's entries a while.

    `at_ms` is the exchange's time.
    """
    mine = counters.of(symbol)
    replaces = _recent(mine.cancel_replaces_ms, at_ms, added=action is IntentAction.CANCEL_REPLACE)
    cancels = _recent(mine.cancels_ms, at_ms, added=action in _CANCELS)
    orders = _recent(
        mine.new_orders_ms,
        at_ms,
        added=action is not IntentAction.CANCEL_REPLACE and action not in _CANCELS,
    )
    hit = []
    if len(replaces) >= settings.max_cancel_replace_10s:
        hit.append(ReasonCode.RISK_CANCEL_REPLACE_LIMIT_HIT)
    if len(cancels) >= settings.max_cancel_10s or len(orders) >= settings.max_new_orders_10s:
        hit.append(ReasonCode.RISK_CHURN_LIMIT_HIT)
    mine = msgspec.structs.replace(
        mine, cancel_replaces_ms=replaces, cancels_ms=cancels, new_orders_ms=orders
    )
    if hit:
        mine = msgspec.structs.replace(
            mine,
            churn_until_ms=at_ms + settings.cooldown_seconds * 1000,
            churn_reasons=tuple(hit),
        )
    return with_symbol(counters, symbol, mine)


def trades_in_window(mine: SymbolCounters, now_ms: int, settings: RiskSettings) -> int:
    """How many entries of a symbol filled within the trades window."""
    since_ms = now_ms - settings.trades_window_seconds * 1000
    return len([at for at in mine.trades_ms if at > since_ms])


def with_symbol(counters: Counters, symbol: str, mine: SymbolCounters) -> Counters:
    """The memory with one symbol's part replaced."""
    return msgspec.structs.replace(counters, symbols={**counters.symbols, symbol: mine})


def _with_marks(counters: Counters, bids: Mapping[str, Decimal]) -> Counters:
    marked_now = {
        symbol: msgspec.structs.replace(
            mine, held=msgspec.structs.replace(mine.held, mark=bids[symbol])
        )
        for symbol, mine in counters.symbols.items()
        if mine.held is not None and symbol in bids and bids[symbol] != mine.held.mark
    }
    if not marked_now:
        return counters
    return msgspec.structs.replace(counters, symbols={**counters.symbols, **marked_now})


def _held(before: HeldLot, lot: Lot) -> HeldLot:
    return msgspec.structs.replace(
        before,
        qty=lot.qty,
        cost_quote=lot.cost_quote,
        realised_quote=lot.realised_quote,
        fees_quote=lot.fees_quote,
        fee_unpriced=lot.fee_unpriced,
    )


def _trades(
    mine: SymbolCounters, at_ms: int, settings: RiskSettings, *, opens: bool
) -> tuple[int, ...]:
    window_ms = settings.trades_window_seconds * 1000
    kept = tuple(at for at in mine.trades_ms if at_ms - at < window_ms)
    return (*kept, at_ms) if opens else kept


def _recent(times: tuple[int, ...], at_ms: int, *, added: bool) -> tuple[int, ...]:
    kept = tuple(at for at in times if at_ms - at < CHURN_WINDOW_MS)
    return (*kept, at_ms) if added else kept
