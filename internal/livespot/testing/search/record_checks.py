"""I29, I30, I36, I38, I40: same history, the ledger's memory, money, faults and volume."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import combinations

from livespot.contracts.errors import ExitCode
from livespot.evidence.findings import Finding, judged
from livespot.exchange.faults.plan import AdjustBalance
from livespot.exchange.journal import BalanceRow, FillRow, OrderRow
from livespot.exchange.settings import DEMO_ACCOUNT
from livespot.testing.search.witness import Witness

_MOST_BYTES_PER_HOUR = {"database": 400_000_000, "trail": 200_000_000, "log": 50_000_000}
_LONGEST_ALERT = 1024
_MOST_REPEATS = 100
_ZERO = Decimal(0)
_HOUR_MS = 3_600_000


def same_history(first: str, second: str) -> Finding:
    """I29: two runs of one plan left the same journal and the same chain of events."""
    problems = [] if first == second else ["two runs of one plan left different bytes"]
    return judged("I29", "Same seed, same history", 1, problems)


def evidence_is_monotone(witness: Witness) -> Finding:
    """I30: what is known of an order never shrinks, and in the end equals the exchange's word."""
    problems = []
    known: dict[tuple[str, int], Decimal] = {}
    for symbol, order_id, text in witness.executed:
        qty = Decimal(text)
        if qty < known.get((symbol, order_id), _ZERO):
            problems.append(f"order {order_id} on {symbol} shrank to {qty}")
        known[symbol, order_id] = max(qty, known.get((symbol, order_id), _ZERO))
    last = {(row.sym, row.oid): row for row in witness.rows if isinstance(row, OrderRow)}
    for order in witness.facts.orders:
        theirs = last.get((order.symbol, order.order_id))
        if theirs is None:
            problems.append(f"the exchange knows no order {order.order_id} on {order.symbol}")
        elif (theirs.exec, bool(theirs.t_end)) != (order.executed_qty, not order.is_open):
            problems.append(
                f"order {order.order_id} on {order.symbol} is {order.status} "
                f"{order.executed_qty} in the ledger, {theirs.status} {theirs.exec} there"
            )
    return judged("I30", "Evidence is monotone", len(witness.facts.orders), problems)


def money_adds_up(witness: Witness) -> Finding:
    """I36: each asset's last balance is its first, plus what was traded, moved, less fees.

    And the daily summaries hold what the exchange's own record adds up to, to the last digit.
    """
    quote = witness.facts.quote_asset
    expected: dict[str, Decimal] = dict(DEMO_ACCOUNT.balances)
    last: dict[str, Decimal] = {}
    for row in witness.rows:
        if isinstance(row, BalanceRow):
            last[row.asset] = row.free + row.locked
        elif isinstance(row, FillRow):
            base = row.sym.removesuffix(quote)
            sign = 1 if row.side == "BUY" else -1
            expected[base] = expected.get(base, _ZERO) + sign * row.qty
            expected[quote] = expected.get(quote, _ZERO) - sign * row.qty * row.px
            expected[row.fee_asset] = expected.get(row.fee_asset, _ZERO) - row.fee
    fired = witness.fired()
    moved = [
        (fault.what.asset, fault.what.delta)
        for fault in witness.plan.faults
        if isinstance(fault.what, AdjustBalance) and fired[fault.id]
    ]
    problems = []
    for asset, total in last.items():
        deltas = [delta for name, delta in moved if name == asset]
        # A withdrawal of more than is free does not happen.
        sums = {
            sum(chosen, _ZERO)
            for size in range(len(deltas) + 1)
            for chosen in combinations(deltas, size)
        }
        if total - expected.get(asset, _ZERO) not in sums:
            problems.append(f"{asset} ends at {total}, fills leave {expected.get(asset, _ZERO)}")
    problems += _unequal_days(witness)
    return judged("I36", "Money adds up", len(last) + len(witness.days), problems)


def _unequal_days(witness: Witness) -> Iterator[str]:
    """What the runtime had heard of when it ended in order must stand in its summaries."""
    sums: defaultdict[str, dict[str, Fraction]] = defaultdict(dict)
    for row in witness.rows:
        if isinstance(row, FillRow) and (row.sym, row.tid) in witness.received:
            mine = sums[datetime.fromtimestamp(row.t_ms // 1000, UTC).date().isoformat()]
            flow = "paid" if row.side == "BUY" else "received"
            mine[flow] = mine.get(flow, Fraction()) + Fraction(row.qty) * Fraction(row.px)
            mine[row.fee_asset] = mine.get(row.fee_asset, Fraction()) + Fraction(row.fee)
    ended = witness.lives[-1].code in (ExitCode.CLEAN, ExitCode.PAUSED)
    if ended and not witness.days:
        yield "a run that ended in order left no summary of its day"
    for day in (sorted({*sums, *witness.days})) if ended else ():
        kept = witness.days.get(day, {})
        said = {name: Fraction(kept.get(name, 0)) for name in ("paid", "received")}
        said |= {asset: Fraction(fee) for asset, fee in kept.get("fees", {}).items()}
        for name in sorted({*said, *sums[day]}):
            theirs, ours = sums[day].get(name, Fraction()), said.get(name, Fraction())
            if theirs != ours:
                yield f"{day}: {name} differs by {float(ours - theirs)} from the exchange's record"


def faults_fired(witness: Witness) -> Finding:
    """I38: something of the plan happened; what did not is named and proves nothing.

    Somebody who looks at the panel is no mishap.
    """
    planned = [name for name, verb in witness.plan.mishaps if not verb.startswith("http.")]
    fired = witness.fired()
    idle = [name for name in planned if not fired[name]]
    note = f"never fired: {', '.join(idle)}" if idle else ""
    nothing = bool(planned) and len(idle) == len(planned)
    problems = ["no fault of the plan hit anything"] if nothing else []
    return judged("I38", "The faults fired", len(planned) - len(idle), problems, note=note)


def output_is_bounded(witness: Witness) -> Finding:
    """I40: files grow within a budget, alerts are short, and no line floods the log."""
    volume = witness.volume
    hours = Decimal(witness.plan.span_ms) / _HOUR_MS
    problems = [
        f"{name}: {size} bytes in {witness.plan.span_ms} ms"
        for name, size in volume.bytes_of.items()
        if size > _MOST_BYTES_PER_HOUR[name] * hours
    ]
    if volume.longest_alert > _LONGEST_ALERT:
        problems.append(f"an alert of {volume.longest_alert} characters")
    if volume.repeats_per_minute > _MOST_REPEATS:
        problems.append(f"{volume.repeated!r} {volume.repeats_per_minute} times in a minute")
    return judged("I40", "Output is bounded", sum(volume.bytes_of.values()), problems)


def verbs_fired(witness: Witness) -> Counter[str]:
    """How often each verb of the plan hit something."""
    fired = witness.fired()
    hits: Counter[str] = Counter()
    for name, verb in witness.plan.mishaps:
        hits[verb] += fired[name]
    return hits
