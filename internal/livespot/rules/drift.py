"""Compares belief with the exchange: what differs, what of it counts, and how much."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from livespot.contracts.amounts import ZERO
from livespot.contracts.codes import ReasonCode
from livespot.contracts.ids import is_own_client_order_id
from livespot.contracts.orders import Balance, Fill, OrderView, Position
from livespot.contracts.settings import ReconcileSettings
from livespot.contracts.system import ReconcileDiff
from livespot.contracts.vocabulary import OrderStatus, OrderType, PositionPhase, Side, SignalLevel
from livespot.rules.order_state import merge

ORDER_STATE_DRIFT = "ORDER_STATE_DRIFT"
MISSING_FILL = "MISSING_FILL"
BALANCE_DRIFT = "BALANCE_DRIFT"
PROTECTION_MISSING = "PROTECTION_MISSING"
FOREIGN_ORDER = "FOREIGN_ORDER"
PRICE_MISMATCH = "PRICE_MISMATCH"
FEE_MISMATCH = "FEE_MISMATCH"

CONFIRM_AFTER_MS = 2000

_ORDER_MISSING = 10_000
_ORDER_DIFFERS = 5_000
_FOREIGN = 5_000
_UNKNOWN_OWN = 50_000
_POSITION_DIFFERS = 20_000
_BALANCE_DIFFERS = 5_000
_PROTECTION = 50_000
_ORDERS_CAP = 40_000
_POSITIONS_CAP = 40_000
_BALANCES_CAP = 20_000

_STOPS = frozenset({OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT})
_STANDING = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})
_GUARDED = frozenset({PositionPhase.PROTECTED, PositionPhase.TRAILING})
_HELD = _GUARDED | {PositionPhase.UNPROTECTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """A difference seen once; it counts when it is seen again, unchanged and late enough."""

    diff: ReconcileDiff
    since_ms: int


Suspicions = Mapping[tuple[str, str, str], Suspicion]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The result of one pass: what to remember, what counts, and whether a second read is due."""

    suspicions: Suspicions
    confirmed: tuple[ReconcileDiff, ...]
    unconfirmed: bool


def is_news(known: OrderView, seen: OrderView) -> bool:
    """Whether the exchange's view adds to ours; one that lags behind ours is no difference."""
    return merge(known, seen) is not None


def order_differs(known: OrderView, seen: OrderView) -> ReconcileDiff | None:
    """Status or executed quantity moved on at the exchange; None when its view only lags."""
    if not is_news(known, seen):
        return None
    missed = seen.executed_qty > known.executed_qty
    return ReconcileDiff(
        mismatch=MISSING_FILL if missed else ORDER_STATE_DRIFT,
        symbol=known.symbol,
        subject=f"order {known.order_id}",
        before=f"{known.status} {known.executed_qty:f}",
        after=f"{seen.status} {seen.executed_qty:f}",
        score_x10000=_ORDER_DIFFERS,
        corrected=True,
    )


def price_differs(known: OrderView, seen: OrderView) -> ReconcileDiff | None:
    """The same order with another price or trigger; never corrected silently."""
    before, after = (known.price, known.stop_price), (seen.price, seen.stop_price)
    if known.status.is_terminal or before == after or OrderType.MARKET in (known.type, seen.type):
        return None
    return ReconcileDiff(
        mismatch=PRICE_MISMATCH,
        symbol=known.symbol,
        subject=f"price of order {known.order_id}",
        before=" ".join(f"{p:f}" for p in before),
        after=" ".join(f"{p:f}" for p in after),
        score_x10000=_ORDER_DIFFERS,
        corrected=False,
    )


def order_missing(known: OrderView) -> ReconcileDiff:
    """An order believed open that neither the open orders nor a read by id show."""
    return ReconcileDiff(
        mismatch=ORDER_STATE_DRIFT,
        symbol=known.symbol,
        subject=f"order {known.order_id}",
        before=str(known.status),
        after="unknown to the exchange",
        score_x10000=_ORDER_MISSING,
        corrected=False,
    )


def stranger(seen: OrderView, *, begun_ms: int) -> ReconcileDiff:
    """An open order without a ledger row: the operator's, or one of ours without explanation.

    If its id has our form and it was placed after this run began (`begun_ms`, the exchange's time),
    it belongs to another process. Older ones, and ones that have changed since, may be what a lost
    ledger left behind.
    """
    own = is_own_client_order_id(seen.own_id)
    untouched = seen.status is OrderStatus.NEW and seen.executed_qty == 0
    placed_since = untouched and seen.exchange_time_ms >= begun_ms
    return ReconcileDiff(
        mismatch=ORDER_STATE_DRIFT if own else FOREIGN_ORDER,
        symbol=seen.symbol,
        subject=f"order {seen.order_id}",
        before="no ledger row",
        after=f"{seen.side} {seen.orig_qty:f} {seen.status}",
        score_x10000=_UNKNOWN_OWN if own else _FOREIGN,
        corrected=False,
        reason=(
            ReasonCode.SECOND_INSTANCE
            if own and placed_since
            else ReasonCode.FOREIGN_ORDER_DETECTED
        ),
    )


def protection_missing(position: Position, own_views: Iterable[OrderView]) -> ReconcileDiff | None:
    """Stops believed to stand, while our open orders of the symbol cover less than believed.

    Only our own: a stop placed by somebody else is neither watched nor moved by us.
    """
    if position.phase not in _GUARDED:
        return None
    stops = (v for v in own_views if v.side is Side.SELL and v.type in _STOPS)
    covered = sum((v.orig_qty - v.executed_qty for v in stops if v.status in _STANDING), ZERO)
    if covered and covered >= position.protected_qty:
        return None
    return _differs(position, "protection", position.protected_qty, covered, _PROTECTION)


def balance_differences(
    position: Position, base: Balance, step: Decimal
) -> tuple[ReconcileDiff, ...]:
    """A position compared with the base on the account and the base its protection should lock."""
    if position.phase not in _HELD:
        return ()
    diffs = []
    total = base.free + base.locked
    if position.qty - total > step:
        diffs.append(_differs(position, "quantity", position.qty, total, _POSITION_DIFFERS))
    if position.phase in _GUARDED and position.protected_qty - base.locked > step:
        before = position.protected_qty
        diffs.append(_differs(position, "locked base", before, base.locked, _BALANCE_DIFFERS))
    return tuple(diffs)


def fill_differs(stored: Fill, seen: Fill) -> ReconcileDiff | None:
    """A booked trade that the exchange reports with other amounts; the ledger is not rewritten."""
    booked, told = (stored.price, stored.qty), (seen.price, seen.qty)
    fee, told_fee = ((f.commission.normalize(), f.commission_asset) for f in (stored, seen))
    if booked == told and fee == told_fee:
        return None
    return ReconcileDiff(
        mismatch=FEE_MISMATCH if booked == told else PRICE_MISMATCH,
        symbol=stored.symbol,
        subject=f"trade {stored.trade_id}",
        before=f"{stored.qty:f} at {stored.price:f} fee {fee[0]:f} {fee[1]}",
        after=f"{seen.qty:f} at {seen.price:f} fee {told_fee[0]:f} {told_fee[1]}",
        score_x10000=0,
        corrected=False,
    )


def confirm(
    known: Suspicions, seen: Iterable[ReconcileDiff], now_ms: int, *, read: frozenset[str]
) -> Findings:
    """Separate differences seen again, unchanged and late enough, from new ones.

    `read` are the symbols that this pass looked at; suspicions about others are kept as they are.
    `now_ms` is monotonic. A change of belief or reading in between restarts the wait.
    """
    suspicions = {key: s for key, s in known.items() if key[1] not in read}
    confirmed = []
    for diff in seen:
        key = (diff.mismatch, diff.symbol, diff.subject)
        earlier = known.get(key)
        same = earlier is not None and (earlier.diff.before, earlier.diff.after) == (
            diff.before,
            diff.after,
        )
        since = earlier.since_ms if earlier is not None and same else now_ms
        suspicions[key] = Suspicion(diff=diff, since_ms=since)
        if now_ms - since >= CONFIRM_AFTER_MS:
            confirmed.append(diff)
    waiting = any(now_ms - s.since_ms < CONFIRM_AFTER_MS for s in suspicions.values())
    return Findings(suspicions=suspicions, confirmed=tuple(confirmed), unconfirmed=waiting)


def score_of(diffs: Iterable[ReconcileDiff]) -> int:
    """The drift score: sums per class, each capped, except for unexplained orders of ours."""
    orders = unknown = positions = balances = protections = 0
    for diff in diffs:
        points = diff.score_x10000
        if diff.mismatch == PROTECTION_MISSING:
            protections += points
        elif diff.mismatch == BALANCE_DRIFT and points >= _POSITION_DIFFERS:
            positions += points
        elif diff.mismatch == BALANCE_DRIFT:
            balances += points
        elif points >= _UNKNOWN_OWN:
            unknown += points
        else:
            orders += points
    return (
        min(orders, _ORDERS_CAP)
        + unknown
        + min(positions, _POSITIONS_CAP)
        + min(balances, _BALANCES_CAP)
        + protections
    )


def label_of(score: int, limits: ReconcileSettings) -> str:
    if score <= 0:
        return "OK"
    return "WARN" if score < limits.drift_degrade_score_x10000 else "BAD"


def level_of(diffs: Iterable[ReconcileDiff], limits: ReconcileSettings) -> SignalLevel:
    """What the score demands of the governor; foreign orders alone never change the mode."""
    found = tuple(diffs)
    if all(d.mismatch == FOREIGN_ORDER for d in found):
        return SignalLevel.CLEAR
    score = score_of(found)
    if score >= limits.drift_pause_score_x10000:
        return SignalLevel.PAUSE
    if score >= limits.drift_degrade_score_x10000:
        return SignalLevel.DEGRADE
    return SignalLevel.CLEAR


def reasons_of(diffs: Iterable[ReconcileDiff]) -> tuple[ReasonCode, ...]:
    """The reason codes of a demand for these differences, the score's own code first."""
    told = (diff.reason for diff in diffs if diff.score_x10000)
    return tuple(dict.fromkeys((ReasonCode.DRIFT_LIMIT_EXCEEDED, *told)))


def _differs(
    position: Position, what: str, before: Decimal, after: Decimal, score: int
) -> ReconcileDiff:
    return ReconcileDiff(
        mismatch=PROTECTION_MISSING if score == _PROTECTION else BALANCE_DRIFT,
        symbol=position.symbol,
        subject=f"{what} of {position.position_id}",
        before=f"{before:f}",
        after=f"{after:f}",
        score_x10000=score,
        corrected=False,
    )
