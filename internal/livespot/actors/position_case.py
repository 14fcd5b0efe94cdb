"""What the position actor remembers, and how it becomes a scene, a row and audit entries."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import msgspec

from livespot.actors.mail import EntryEnded, FillBooked, MutationSettled, StopAsked
from livespot.contracts.amounts import ZERO
from livespot.contracts.audit import AuditDraft, AuditEntry
from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import SymbolInfo
from livespot.contracts.orders import AccountView, Balance, BalancesChanged, Position
from livespot.contracts.records import PositionRow
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import (
    EventType,
    ExitReason,
    IntentRole,
    OrderType,
    PositionPhase,
    SignalLevel,
    Stage,
    TrailingMode,
)
from livespot.rules import protection
from livespot.rules.position import (
    BookedFill,
    Cover,
    Holding,
    book,
    exit_prices,
    row_of,
    swap_from,
)
from livespot.rules.protection import (
    Cancel,
    Close,
    CloseCause,
    Command,
    Flight,
    Guard,
    Protect,
    Scene,
    Settlement,
    Swap,
)
from livespot.rules.protection_answers import settled
from livespot.rules.protection_prices import kept_stop, never_lowered, swap_gap_ms
from livespot.rules.trailing import trailing_form

_REASONS = {
    IntentRole.TP: ExitReason.TAKE_PROFIT,
    IntentRole.SL: ExitReason.STOP_LOSS,
    IntentRole.STOP: ExitReason.STOP_LOSS,
    IntentRole.TRAIL: ExitReason.TRAILING,
}
_CLOSE_REASONS = {
    CloseCause.TP_CROSSED: ExitReason.TAKE_PROFIT,
    CloseCause.TP_REMAINDER: ExitReason.TAKE_PROFIT,
    CloseCause.SL_CROSSED: ExitReason.STOP_LOSS,
    CloseCause.STOP_JUMPED: ExitReason.STOP_LOSS,
}
_TEN_SECONDS_MS = 10_000
_TREND_MS = 60_000
# Three reads of the account.
_BASE_READ_MS = 30_000
_SETTLED_PHASES = frozenset(
    {PositionPhase.FLAT, PositionPhase.DUST, PositionPhase.PROTECTED, PositionPhase.TRAILING}
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sight:
    """What one pass looked at; `is_like` tells whether another pass would look at the same."""

    holding: Holding
    guard: Guard
    info: SymbolInfo | None
    bid: Decimal | None
    base_total: Decimal | None
    trend_holds: bool

    def is_like(self, other: "Sight") -> bool:
        same = self.holding is other.holding and self.guard is other.guard
        same = same and self.info is other.info and self.trend_holds is other.trend_holds
        return same and (self.bid, self.base_total) == (other.bid, other.base_total)


@dataclass(slots=True)
class Case:
    """One symbol's position in work.

    `earlier_ms` is the unprotected time in earlier runs. A `recovered` case was not opened by this
    run, so the end of its entry may never be reported. `resting` is what the last pass looked at,
    if it found nothing to do and nothing to wait for.
    """

    holding: Holding
    guard: Guard = field(default_factory=Guard)
    row: Position | None = None
    earlier_ms: int = 0
    recovered: bool = False
    resting: Sight | None = None

    @property
    def is_open(self) -> bool:
        return not self.guard.over

    @property
    def is_safe(self) -> bool:
        """Whether nothing would be left unprotected if this process ended now."""
        if self.row is None or self.row.phase in _SETTLED_PHASES:
            return True
        entry = self.guard.entry
        idle = entry is None or not entry.live
        return self.row.phase is PositionPhase.OPENING and self.holding.lot.qty == 0 and idle


@dataclass(slots=True)
class Desk:
    """All cases by symbol, with the reference data they are judged by.

    `trends` holds whether a symbol's market allows a profit to trail, and when that was read.
    `unseen_news`: something was learned since all cases were last looked at; they are due again at
    `next_look_ms`.
    """

    cases: dict[str, Case] = field(default_factory=dict)
    unseen_news: bool = False
    next_look_ms: int = 0
    infos: dict[str, SymbolInfo] = field(default_factory=dict)
    bids: dict[str, Decimal] = field(default_factory=dict)
    bids_at_ms: int = 0
    trends: dict[str, tuple[bool, int]] = field(default_factory=dict)
    balances: dict[str, tuple[Balance, int]] = field(default_factory=dict)
    account_ms: int = -1
    account_read_ms: int = 0
    account_trades: bool | None = None
    stop: StopAsked | None = None
    stop_by_ms: int = 0

    def base_asset(self, symbol: str, quote_asset: str) -> str:
        """The base asset from the exchange's rules; before they are known, the symbol's prefix."""
        info = self.infos.get(symbol)
        return info.base_asset if info is not None else symbol.removesuffix(quote_asset)

    def trend_holds(self, symbol: str, now_ms: int) -> bool:
        """Whether the last deep scan allows trailing; False when it is older than a few scans."""
        holds, at_ms = self.trends.get(symbol, (False, 0))
        return holds and now_ms - at_ms <= _TREND_MS

    def learn_account(self, account: AccountView) -> None:
        """Take in a whole account: an asset it does not name is empty."""
        if account.update_time_ms < self.account_ms:
            return
        self.account_ms = account.update_time_ms
        self.account_read_ms = account.local_received_ms
        self.account_trades = account.can_trade
        for asset in [*self.balances, *account.balances]:
            empty = Balance(asset=asset, free=ZERO, locked=ZERO)
            self._learn(account.balances.get(asset, empty), account.update_time_ms)

    def learn_balances(self, change: BalancesChanged) -> None:
        for balance in change.balances:
            self._learn(balance, change.exchange_time_ms)

    def _learn(self, balance: Balance, as_of_ms: int) -> None:
        known = self.balances.get(balance.asset)
        if known is None or known[1] <= as_of_ms:
            self.balances[balance.asset] = (balance, as_of_ms)

    def base_total(self, holding: Holding) -> Decimal | None:
        """Free and locked base; None unless it was read after the position's last fill."""
        base = self._base(holding)
        return None if base is None else base.free + base.locked

    def base_free(self, case: Case, now_ms: int) -> Decimal | None:
        """Base that no order has locked, as last read less what our own orders took since.

        None when nothing was read lately, or an order of ours has ended since. `now_ms` is wall
        time.
        """
        base = self._base(case.holding)
        _, as_of = self.balances.get(case.holding.base_asset, (None, self.account_ms))
        late = now_ms - max(as_of, self.account_read_ms) > _BASE_READ_MS
        sells = case.guard.sells.items()
        since = {key: t for key, t in sells if t.order.exchange_time_ms > as_of}
        ended = any(t.order.status.is_terminal for t in since.values())
        if base is None or late or ended:
            return None
        return max(ZERO, base.free - protection.committed_qty(Guard(sells=since)))

    def _base(self, holding: Holding) -> Balance | None:
        asset = holding.base_asset
        balance, as_of = self.balances.get(asset, (None, self.account_ms))
        if as_of < max(holding.last_fill_ms, 1):
            return None
        return balance or Balance(asset=asset, free=ZERO, locked=ZERO)


def scene_of(
    desk: Desk, case: Case, settings: Settings, now_ms: int, exchange_ms: int = 0
) -> Scene:
    """What the ladder needs to know for one pass; `now_ms` is wall time.

    `exchange_ms` is the exchange's time. A bid older than the stream's pause limit is left out.
    """
    holding = case.holding
    info = desk.infos.get(holding.symbol)
    fresh = now_ms - desk.bids_at_ms <= settings.health.ws_stale_ms_pause
    tp_price, sl_price = exit_prices(holding)
    constraints = (info.constraints if info is not None else None) or holding.constraints
    # Not every symbol allows STOP_LOSS. Until its rules are known, use the form that all allow.
    stop_market = info is not None and OrderType.STOP_LOSS in info.order_types
    trail = holding.trail
    native = trail is not None and trail.mode is TrailingMode.NATIVE
    return Scene(
        qty=holding.lot.qty,
        booked_sales=holding.sold_by_order,
        fills_missing=holding.fills_missing,
        entry_open=holding.entry_open,
        base_total=desk.base_total(holding),
        bid=desk.bids.get(holding.symbol) if fresh else None,
        average_price=holding.average_fill_price,
        constraints=constraints,
        stop_market=stop_market and settings.exit.stop_kind != "STOP_LOSS_LIMIT",
        tp_price=tp_price,
        sl_price=kept_stop(sl_price, holding.stood_sl, constraints),
        exits=settings.exit,
        partial_grace_ms=settings.entry.partial_fill_grace_ms,
        wall_ms=now_ms,
        exchange_ms=exchange_ms,
        trail_form=trailing_form(info.order_types) if native and info else None,
        trailing_bps=trail.distance_bps if trail else 0,
        swap_from=swap_from(holding) if info and info.cancel_replace_allowed else None,
        swap_every_ms=_TEN_SECONDS_MS // max(1, settings.churn.max_cancel_replace_10s) + 1,
        trend_holds=desk.trend_holds(holding.symbol, now_ms),
        trading=info.is_trading if info is not None else None,
        base_free=desk.base_free(case, now_ms) if case.guard.barred is not None else None,
        account_trades=desk.account_trades,
    )


def sight_of(desk: Desk, case: Case, settings: Settings, now_ms: int) -> Sight:
    """Everything a pass over this case would look at, except the time."""
    holding = case.holding
    fresh = now_ms - desk.bids_at_ms <= settings.health.ws_stale_ms_pause
    return Sight(
        holding=holding,
        guard=case.guard,
        info=desk.infos.get(holding.symbol),
        bid=desk.bids.get(holding.symbol) if fresh else None,
        base_total=desk.base_total(holding),
        trend_holds=desk.trend_holds(holding.symbol, now_ms),
    )


def depends_on_time(case: Case, now_ms: int) -> bool:
    """Whether another pass may act although nothing it looks at has changed.

    It cannot when no clock runs, nothing is awaited, and either all is over, or nothing is bought
    yet, or every unit is behind a stop of which nothing has sold.
    """
    guard, row = case.guard, case.row
    clocks = (
        guard.naked_since_ms,
        guard.lonely_since_ms,
        guard.jumped_since_ms,
        guard.leftover_since_ms,
    )
    unsettled = guard.flights or guard.close is not None or case.holding.fills_missing
    if unsettled or guard.level is not SignalLevel.CLEAR or any(c is not None for c in clocks):
        return True
    if now_ms < guard.next_swap_ms and not guard.over:
        # A raise of the stop may be waiting only for its pace.
        return True
    covered = row is not None and row.phase in (PositionPhase.PROTECTED, PositionPhase.TRAILING)
    whole = all(sell.order.executed_qty == 0 for sell in guard.sells.values())
    entering = case.holding.entry_open and case.holding.lot.qty == 0
    return not (guard.over or entering or (covered and whole))


def take_fill(case: Case, message: FillBooked) -> None:
    """Book a fill once; a late one reopens a settled case."""
    fill = message.fill
    role = message.role
    tracked = case.guard.sells.get(fill.order_id)
    if role is IntentRole.LIST and tracked is not None:
        role = tracked.role
    before = case.holding
    case.holding = book(
        before,
        BookedFill(
            fill=fill, role=role, fee_quote=message.fee_quote, fee_unpriced=message.fee_unpriced
        ),
    )
    if case.holding is before:
        return
    sold = case.holding.sold_by_order.get(fill.order_id, ZERO)
    guard = protection.sale_booked(case.guard, fill.order_id, sold)
    case.guard = replace(guard, over=False, unsellable=False) if guard.over else guard


def take_entry_end(case: Case, message: EntryEnded, now_ms: int, wall_ms: int) -> None:
    """The entry is over: from now on its legs protect the position, or we do."""
    attached = message.attached_list_id >= 0 and message.filled_qty > 0
    case.holding = replace(
        case.holding,
        entry_open=False,
        attached=attached,
        entry_filled_qty=message.filled_qty,
        entry_intent_id=message.order_intent_id or case.holding.entry_intent_id,
    )
    if attached:
        expect_legs(case, message.order_intent_id, message.filled_qty, (now_ms, wall_ms))


def expect_legs(case: Case, intent_id: str, qty: Decimal, now: tuple[int, int]) -> None:
    """Expect the attached legs of an entry; `now` is (monotonic, wall) in milliseconds."""
    flight = Flight(
        role=IntentRole.LIST,
        qty=qty,
        since_ms=now[0],
        since_wall_ms=now[1],
        intent_id=intent_id,
        attached=True,
    )
    case.guard = protection.legs_expected(case.guard, flight)


def take_settlement(case: Case, message: MutationSettled, scene: Scene, now_ms: int) -> None:
    settlement = Settlement(
        role=message.role,
        intent_id=message.order_intent_id,
        outcome=message.outcome,
        code=message.code,
        message=message.message,
        orders=message.orders,
    )
    case.guard = settled(case.guard, scene, settlement, now_ms)


def exit_reason(case: Case) -> ExitReason:
    """Why the position was sold: by the leg that filled, or by what forced a sale of ours."""
    role = case.holding.exit_role
    if role is None:
        return ExitReason.NONE
    if role is IntentRole.CLOSE:
        cause = case.guard.cause
        return (
            _CLOSE_REASONS.get(cause, ExitReason.CLOSE_SAFELY)
            if cause
            else (ExitReason.CLOSE_SAFELY)
        )
    trail = case.holding.trail
    if role is IntentRole.TP and trail is not None and trail.mode is TrailingMode.NATIVE:
        return ExitReason.TRAILING
    return _REASONS.get(role, ExitReason.CLOSE_SAFELY)


def present_row(case: Case, scene: Scene) -> Position:
    """The position as it is to be stored and announced now."""
    guard = case.guard
    sizes = protection.measure(guard, scene)
    stops = protection.standing_stops(guard)
    stop = stops[0] if stops else None
    # A restart takes the price from the row: it holds the last one until the position is over.
    kept = ZERO if guard.over else never_lowered(guard, scene).sl_price
    profit = next(
        (t for t in guard.sells.values() if stop and t.group == stop.group and not t.is_stop), None
    )
    cover = Cover(
        phase=protection.phase_of(guard, scene, sizes),
        exit_reason=exit_reason(case),
        list_id=stop.order.order_list_id if stop else -1,
        intent_id=stop.intent_id if stop else "",
        protected_qty=sizes.covered,
        tp_price=(profit.order.stop_price or profit.order.price) if profit else ZERO,
        sl_price=stop.order.stop_price if stop else kept,
        unprotected_since_ms=guard.naked_since_wall_ms,
        unprotected_ms=case.earlier_ms + guard.naked_total_ms,
    )
    present = sizes.sellable + sizes.away
    return row_of(case.holding, cover, sellable=present, at_ms=scene.wall_ms)


def differs(row: Position, known: Position | None) -> bool:
    """Whether anything but the time of writing has changed."""
    if known is None:
        return True
    same_times = msgspec.structs.replace(
        row, updated_at_ms=known.updated_at_ms, closed_at_ms=known.closed_at_ms
    )
    return same_times != known


def entry_of(
    row: Position, known: Position | None, commands: tuple[Command, ...], guard: Guard
) -> AuditEntry:
    """One event and the row; PROTECTION_CHANGED if the protection changed or was asked for."""
    wanted = [_described(c) for c in commands if isinstance(c, Protect | Swap | Close | Cancel)]
    covers = known is not None and (
        (known.protected_qty, known.protection_list_id, known.protection_intent_id)
        != (row.protected_qty, row.protection_list_id, row.protection_intent_id)
    )
    about_cover = bool(wanted) or covers
    # A sale or a requested close takes the cover away on purpose.
    bare = row.phase is PositionPhase.UNPROTECTED and row.protected_qty == 0
    lost = bare and known is not None and known.protected_qty > 0
    draft = AuditDraft(
        event_type=EventType.PROTECTION_CHANGED if about_cover else EventType.POSITION_CHANGED,
        stage=Stage.POSITION_MANAGE,
        ts_ms=row.updated_at_ms,
        decision_id=row.decision_id,
        order_intent_id=row.entry_intent_id,
        symbol=row.symbol,
        reasons=(ReasonCode.PROTECTION_INSTALL_FAILED,) if lost else (),
        data={
            "position_id": row.position_id,
            "phase": row.phase.value,
            "phase_before": known.phase.value if known is not None else "",
            "qty": row.qty,
            "protected_qty": row.protected_qty,
            "dust_qty": row.dust_qty,
            "unprotected_ms": row.unprotected_ms,
            "exit_reason": row.exit_reason.value,
            "close_cause": guard.close.value if guard.close is not None else "",
            "swap_gap_ms": swap_gap_ms(guard),
            "wanted": wanted,
        },
    )
    return AuditEntry(draft=draft, records=(PositionRow(position=row),))


def _described(command: Protect | Swap | Close | Cancel) -> dict[str, Any]:
    match command:
        case Swap():
            return {
                "want": "SWAP",
                "order_id": command.order_id,
                "qty": command.qty,
                "sl_price": command.sl_price,
                "stop_limit_price": command.stop_limit_price,
            }
        case Protect():
            return {
                "want": command.role.value,
                "qty": command.qty,
                "tp_price": command.tp_price,
                "sl_price": command.sl_price,
                "stop_limit_price": command.stop_limit_price,
                "tp_type": command.tp_type.value,
                "tp_limit_price": command.tp_limit_price,
                "trailing_delta": command.trailing_delta,
            }
        case Close():
            return {"want": "CLOSE", "qty": command.qty, "limit_price": command.limit_price}
        case Cancel():
            return {"want": "CANCEL", "order_id": command.order_id, "purpose": command.purpose}
