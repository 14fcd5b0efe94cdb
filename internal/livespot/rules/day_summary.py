"""Sums up one UTC day of the ledger exactly: nothing is rounded, nothing is estimated."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal

from livespot.contracts.amounts import ZERO, nearest_rank
from livespot.contracts.day import DayRows, DaySummary, ModeStep, RunSpan, SymbolDay
from livespot.contracts.orders import Position
from livespot.contracts.queries import StoredFill
from livespot.contracts.vocabulary import Side

DAY_MS = 86_400_000
# A fill may be reported more than a minute late.
LATE_MS = 120_000
# Wide enough that sums of products of eight-decimal amounts lose no digit.
_EXACT = Context(prec=80)


def day_of(at_ms: int) -> str:
    """The UTC day of a moment, as `YYYY-MM-DD`."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).date().isoformat()


def span_of(day: str) -> tuple[int, int]:
    """The first moment of a UTC day and the first one after it, in epoch ms."""
    at = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
    begin_ms = int(at.timestamp()) * 1000
    return begin_ms, begin_ms + DAY_MS


def is_final(day: str, now_ms: int) -> bool:
    """Whether a summary of the day that is written now is final."""
    return now_ms >= span_of(day)[1] + LATE_MS


def days_due(final: Sequence[str], begun_ms: int | None, now_ms: int) -> tuple[str, ...]:
    """The days before today that follow the newest one with a final summary, oldest first.

    `final` are days on record with a final summary, oldest first. One that cannot be final yet was
    written by a clock that was ahead, and does not count. `begun_ms` is when the first run of all
    started, None when there was none; it is where to begin when no day is final.
    """
    over = [day for day in final if is_final(day, now_ms)]
    if over:
        first = date.fromisoformat(over[-1]) + timedelta(days=1)
    elif begun_ms is not None:
        first = date.fromisoformat(day_of(begun_ms))
    else:
        return ()
    today = date.fromisoformat(day_of(now_ms))
    return tuple((first + timedelta(days=n)).isoformat() for n in range((today - first).days))


def next_close_ms(now_ms: int) -> int:
    """When the summary of the current day, or of the one that has just ended, can be final."""
    return (now_ms - LATE_MS) // DAY_MS * DAY_MS + DAY_MS + LATE_MS


def summarise(day: str, rows: DayRows, *, now_ms: int) -> DaySummary:
    """The sums of the day, as of `now_ms`."""
    begin_ms, end_ms = span_of(day)
    symbols = tuple(_symbol_days(rows.fills))
    bare = [position.unprotected_ms for position in rows.closed]
    earned = [position.realised_quote for position in rows.closed]
    runs = [run for run in rows.runs if run.from_ms < end_ms and run.until_ms >= begin_ms]
    return DaySummary(
        day=day,
        until_ms=max(begin_ms, min(now_ms, end_ms)),
        complete=is_final(day, now_ms),
        fills=len(rows.fills),
        paid=_sum(symbol.paid for symbol in symbols),
        received=_sum(symbol.received for symbol in symbols),
        fees=_fees(rows.fills),
        fees_quote=_sum(fill.fee_quote for fill in rows.fills),
        unpriced_fees=sum(fill.fee_unpriced for fill in rows.fills),
        trades=len(earned),
        wins=sum(amount > 0 for amount in earned),
        losses=sum(amount < 0 for amount in earned),
        realised=_sum(earned),
        unprotected_max_ms=max(bare, default=None),
        unprotected_p99_ms=int(nearest_rank(bare, 99)) if bare else None,
        unprotected_total_ms=sum(bare),
        modes_ms=_modes_ms(runs, rows.modes, (begin_ms, min(now_ms, end_ms))),
        runs=len(runs),
        unclean_runs=sum(not run.clean for run in runs),
        alerts=rows.alerts,
        dust=_dust(rows.dust),
        held=tuple(sorted(position.symbol for position in rows.open)),
        symbols=symbols,
    )


def _symbol_days(fills: Sequence[StoredFill]) -> Iterator[SymbolDay]:
    by_symbol: defaultdict[str, list[StoredFill]] = defaultdict(list)
    for stored in fills:
        by_symbol[stored.fill.symbol].append(stored)
    for symbol, mine in sorted(by_symbol.items()):
        bought = [stored.fill for stored in mine if stored.fill.side is Side.BUY]
        sold = [stored.fill for stored in mine if stored.fill.side is Side.SELL]
        yield SymbolDay(
            symbol=symbol,
            buys=len(bought),
            sells=len(sold),
            bought=_sum(fill.qty for fill in bought),
            sold=_sum(fill.qty for fill in sold),
            paid=_sum(_EXACT.multiply(fill.qty, fill.price) for fill in bought),
            received=_sum(_EXACT.multiply(fill.qty, fill.price) for fill in sold),
            fees=_fees(mine),
        )


def _fees(fills: Iterable[StoredFill]) -> dict[str, Decimal]:
    fees: dict[str, Decimal] = {}
    for stored in fills:
        asset = stored.fill.commission_asset
        fees[asset] = _EXACT.add(fees.get(asset, ZERO), stored.fill.commission)
    return dict(sorted(fees.items()))


def _dust(positions: Iterable[Position]) -> dict[str, Decimal]:
    dust: dict[str, Decimal] = {}
    for position in positions:
        dust[position.symbol] = _EXACT.add(dust.get(position.symbol, ZERO), position.dust_qty)
    return dict(sorted((symbol, qty) for symbol, qty in dust.items() if qty > 0))


def _modes_ms(
    runs: Iterable[RunSpan], modes: Sequence[ModeStep], span: tuple[int, int]
) -> dict[str, int]:
    """Time in each mode within the span, over all runs in it, in ms."""
    spent: Counter[str] = Counter()
    for run in runs:
        steps = [step for step in modes if step.run_id == run.run_id]
        # A run that died at once never had a mode: one end, no steps.
        ends = [*(step.at_ms for step in steps[1:]), run.until_ms]
        for step, end_ms in zip(steps, ends, strict=False):
            spent[step.mode] += max(0, min(end_ms, span[1]) - max(step.at_ms, span[0]))
    return {mode: ms for mode, ms in sorted(spent.items()) if ms}


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    total = ZERO
    for amount in amounts:
        total = _EXACT.add(total, amount)
    return total
