"""I09b, I15, I23: funds, limits and ages, recomputed from the exchange's journal."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from livespot.contracts.ids import is_own_client_order_id
from livespot.contracts.settings import Settings
from livespot.evidence.findings import Finding, judged
from livespot.exchange.faults.plan import Delay
from livespot.exchange.journal import BalanceRow, FillRow, OrderRow, RequestRow
from livespot.testing.search.plan import loaded_for
from livespot.testing.search.witness import Witness

_ZERO = Decimal(0)
_OPEN = frozenset({"NEW", "PARTIALLY_FILLED"})
_REFUSED = "400 -2010"
# A sale of the moment before may have taken what this one asked for.
_SETTLES_WITHIN_MS = 15_000
_HEARD_WITHIN_MS = 1000
# A decision that was weighed in time may leave a little later: commits and scheduling.
_SLACK_MS = 1000
_DAY_MS = 86_400_000
_MIN_NOTIONAL = Decimal(5)
# Of the trades since the boot; the rule itself stands at a tenth.
_LATE_SHARE = Decimal("0.25")
_CERTAIN = 10_000


def settings_of(witness: Witness) -> Settings:
    return loaded_for(witness.plan.settings).settings


@dataclass(slots=True)
class _Held:
    """One symbol by the exchange's word: cost of what is held, and buys that stand."""

    qty: Decimal = _ZERO
    cost: Decimal = _ZERO
    buys: dict[int, Decimal] = field(default_factory=dict)

    @property
    def exposure(self) -> Decimal:
        return self.cost + sum(self.buys.values(), _ZERO)

    def book(self, row: FillRow) -> None:
        if row.side == "BUY":
            self.qty += row.qty
            self.cost += row.qty * row.px
            return
        left = max(_ZERO, self.qty - row.qty)
        self.cost = self.cost * left / self.qty if self.qty else _ZERO
        self.qty = left

    def stand(self, row: OrderRow) -> None:
        if row.status in _OPEN:
            if row.oid not in self.buys and self.qty * row.price < _MIN_NOTIONAL:
                # Too little to sell: dust, which belongs to no position any more.
                self.qty = self.cost = _ZERO
            self.buys[row.oid] = (row.qty - row.exec) * row.price
        else:
            self.buys.pop(row.oid, None)


def risk_limits_hold(witness: Witness) -> Finding:
    """I15: exposure, standing buys and trades of a day stay within the settings at every row."""
    risk = settings_of(witness).risk
    own = {alias.client_order_id for alias in witness.facts.aliases}
    books: dict[str, _Held] = defaultdict(_Held)
    days: dict[int, set[str]] = defaultdict(set)
    decision_of = {name: i.decision_id for name, i in witness.facts.intent_of().items()}
    problems, looked_at = [], 0
    for row in witness.rows:
        if not isinstance(row, FillRow | OrderRow) or row.cid not in own:
            continue
        if isinstance(row, FillRow):
            books[row.sym].book(row)
            if row.side == "BUY":
                days[row.t_ms // _DAY_MS].add(decision_of[row.cid])
            continue
        if row.side != "BUY":
            continue
        books[row.sym].stand(row)
        looked_at += 1
        one, total = books[row.sym].exposure, sum((b.exposure for b in books.values()), _ZERO)
        if one > risk.max_exposure_symbol:
            problems.append(f"{row.sym}: exposure {one} above {risk.max_exposure_symbol}")
        if total > risk.max_exposure_total:
            problems.append(f"exposure {total} above {risk.max_exposure_total}")
        if sum(len(book.buys) for book in books.values()) > risk.max_open_orders_total:
            problems.append(f"more than {risk.max_open_orders_total} entries stand")
    problems += [
        f"{len(made)} trades in a day, at most {risk.max_trades_per_day}"
        for made in days.values()
        if len(made) > risk.max_trades_per_day
    ]
    return judged("I15", "Risk limits hold on exchange data", looked_at, problems)


def nothing_offered_twice(witness: Witness) -> Finding:
    """I09b: no sale was refused for base that was not free, unless that was news.

    Some had just been sold, or locked by an order of somebody else's.
    """
    quote = witness.facts.quote_asset
    free: dict[str, Decimal] = {}
    sold_ms: dict[str, int] = {}
    locked_ms: dict[str, int] = {}
    problems, looked_at = [], 0
    for row in witness.rows:
        if isinstance(row, BalanceRow):
            free[row.asset] = row.free
        elif isinstance(row, FillRow) and row.side == "SELL":
            sold_ms[row.sym] = row.t_ms
        elif isinstance(row, OrderRow) and not is_own_client_order_id(row.cid):
            locked_ms[row.sym] = row.t_new
        elif isinstance(row, RequestRow) and _sells(row):
            looked_at += 1
            symbol, qty = row.params.get("symbol", ""), Decimal(row.params.get("quantity", "0"))
            there = free.get(symbol.removesuffix(quote), _ZERO)
            recently = (
                row.t_arrive - sold_ms.get(symbol, 0) < _SETTLES_WITHIN_MS
                or row.t_arrive - locked_ms.get(symbol, 0) < _HEARD_WITHIN_MS
            )
            if row.outcome == _REFUSED and not row.fault and qty > there and not recently:
                problems.append(f"{row.path} offered {qty} of {symbol}, {there} was free")
    return judged("I09b", "Nothing is offered twice", looked_at, problems)


def _sells(row: RequestRow) -> bool:
    return row.method == "POST" and row.params.get("side") == "SELL"


def decisions_are_fresh(witness: Witness) -> Finding:
    """I23: no entry left on an old decision, nor while many market trades came late."""
    settings = settings_of(witness)
    oldest_ms = settings.timing.decision_max_age_ms + _SLACK_MS
    decided = {decision.decision_id: decision.at_ms for decision in witness.facts.decisions}
    sent = witness.facts.sent_at()
    lagging = tuple(_lagging(witness, settings.risk.ws_latency_threshold_ms))
    first: dict[str, int] = {}
    for intent in (i for i in witness.facts.intents if i.is_entry):
        first[intent.decision_id] = min(
            intent.attempt, first.get(intent.decision_id, intent.attempt)
        )
    problems, looked_at = [], 0
    for intent in witness.facts.intents:
        left_ms = sent.get(intent.order_intent_id)
        if not intent.is_entry or left_ms is None:
            continue
        looked_at += 1
        age_ms = left_ms - decided.get(intent.decision_id, left_ms)
        if intent.attempt == 0 and age_ms > oldest_ms:
            problems.append(f"an entry left {age_ms} ms after its decision")
        if _late_share(witness, lagging, left_ms) > _LATE_SHARE:
            problems.append(f"an entry left at {left_ms} while the market's trades came late")
    return judged("I23", "No stale decision", looked_at, problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lag:
    begin_ms: int
    end_ms: int
    share: Decimal


def _lagging(witness: Witness, limit_ms: int) -> Iterator[_Lag]:
    """Spans in which a fault held market frames back for longer than the limit."""
    for fault in witness.plan.faults:
        what = fault.what
        if not isinstance(what, Delay) or what.target != "ws_md" or what.ms <= limit_ms:
            continue
        times = [row.t_ms for row in witness.turns_of(fault.id)]
        if times:
            share = Decimal(fault.when.probability_x10000 or _CERTAIN) / _CERTAIN
            yield _Lag(begin_ms=min(times), end_ms=max(times), share=share)


def _late_share(witness: Witness, lagging: tuple[_Lag, ...], at_ms: int) -> Decimal:
    """What part of the trades since the boot came late, on average."""
    born_ms = max((life.born_ms for life in witness.lives if life.born_ms <= at_ms), default=at_ms)
    late = sum(
        (
            lag.share * max(0, min(lag.end_ms, at_ms) - max(lag.begin_ms, born_ms))
            for lag in lagging
        ),
        _ZERO,
    )
    return late / max(1, at_ms - born_ms)
