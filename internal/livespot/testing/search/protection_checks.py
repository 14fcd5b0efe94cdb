"""I10 and I12: a position is protected on the exchange, or the runtime has paused and alerted."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from livespot.evidence.findings import Finding, judged
from livespot.exchange.journal import FillRow, OrderRow
from livespot.runtime.replay_run import Lived
from livespot.testing.search.limits_of_risk import settings_of
from livespot.testing.search.troubles import DiskBusy, DiskSlow, MachineSleeps
from livespot.testing.search.witness import Witness

T_PROTECT_MS = 5000
T_BOOT_MS = 15_000
# From a deadline to the durable change of mode: one tick of the loop, one commit, some slack.
_SLACK_MS = 1000
# A fill that no stream reports and no read shows: the pause for stale reads, and a boot's time.
_BLIND_MS = 60_000 + T_BOOT_MS
_HEADROOM = Decimal("1.02")
_BPS = 10_000
_HOLDING_UP = (MachineSleeps, DiskBusy)
_OPEN = frozenset({"NEW", "PARTIALLY_FILLED"})
STILL = frozenset({"PAUSE", "EXIT"})
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A span in which more than the smallest order was held without a stop on the exchange.

    While the entry still works, only a part large enough for a stop counts; a smaller one is left
    to grow. `known_ms` is when the ledger learned of what opened the gap; None when it never did.
    """

    symbol: str
    begin_ms: int
    end_ms: int
    known_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grain:
    """A symbol's step and smallest order, and the lowest price a sale of ours asked for on it."""

    step: Decimal
    least: Decimal
    lowest: Decimal

    def carries_a_stop(self, qty: Decimal) -> bool:
        """Whether a stop for `qty` surely passes: one step may go to a fee that is rounded up.

        A part of which rounding leaves more than is wished counts as well: a stop would hold the
        rest of it.
        """
        sellable = qty - qty % self.step
        return (sellable - self.step) * self.lowest >= _HEADROOM * self.least


@dataclass(slots=True, kw_only=True)
class _Book:
    """What one symbol holds and which stops stand for it."""

    held: Decimal = _ZERO
    price: Decimal = _ZERO
    grain: _Grain
    stops: dict[int, OrderRow] = field(default_factory=dict)
    sold: dict[int, Decimal] = field(default_factory=dict)
    entries: set[int] = field(default_factory=set)
    since_ms: int | None = None
    known_ms: int | None = None

    @property
    def is_bare(self) -> bool:
        uncovered = self._uncovered
        if self.grows:
            return self.grain.carries_a_stop(uncovered)
        return uncovered * self.price >= self.grain.least

    @property
    def is_small(self) -> bool:
        """A part that no stop would be accepted for yet, while its entry still works."""
        return self.grows and not self.is_bare and self._uncovered > 0

    @property
    def grows(self) -> bool:
        return bool(self.entries) and not self.stops

    @property
    def _uncovered(self) -> Decimal:
        lists: dict[str, Decimal] = {}
        for stop in self.stops.values():
            name = stop.list_cid or str(stop.oid)
            # By its fills: an order's row is written before theirs, and tells no time of its own.
            left = stop.qty - self.sold.get(stop.oid, _ZERO)
            lists[name] = max(lists.get(name, _ZERO), left)
        return self.held - sum(lists.values(), _ZERO)


def gaps(witness: Witness) -> Iterator[Gap]:
    """Every unprotected span, in the order they ended, in market time."""
    return _spans(witness, lambda book: book.is_bare)


def growing(witness: Witness) -> Iterator[Gap]:
    """Every span in which a working entry had bought only what no stop would be accepted for."""
    return _spans(witness, lambda book: book.is_small)


def _spans(witness: Witness, counts: Callable[[_Book], bool]) -> Iterator[Gap]:
    own = {alias.client_order_id for alias in witness.facts.aliases}
    books = {symbol: _Book(grain=grain) for symbol, grain in _grains(witness, own).items()}
    now_ms = witness.plan.start_ms
    for place, row in enumerate(witness.rows, 1):
        if isinstance(row, FillRow) and row.cid in own:
            now_ms = max(now_ms, witness.market_at(place, row.t_ms))
            key = (row.sym, row.tid)
            known_ms = witness.received.get(key)
            _book_fill(books[row.sym], row, witness.facts.quote_asset)
        elif isinstance(row, OrderRow) and row.cid in own:
            now_ms = max(now_ms, witness.market_at(place, max(row.t_new, row.t_end)))
            known_ms = witness.updated.get((row.sym, row.oid))
            _stand(books[row.sym], row)
        else:
            continue
        if known_ms is not None:
            known_ms = _learned_ms(witness, known_ms, now_ms)
        book = books[row.sym]
        yield from _turn(row.sym, book, (now_ms, known_ms), counts=counts(book))
    end_ms = witness.lives[-1].over_ms
    for symbol, book in books.items():
        if book.since_ms is not None:
            yield Gap(symbol=symbol, begin_ms=book.since_ms, end_ms=end_ms, known_ms=book.known_ms)


def _learned_ms(witness: Witness, stamp_ms: int, row_ms: int) -> int:
    """When the ledger learned of a row; its stamp may have been shown twice, and the first fits."""
    shown = (at_ms for at_ms in witness.in_market(stamp_ms) if at_ms >= row_ms - _SLACK_MS)
    return max(row_ms, min(shown, default=row_ms))


def _book_fill(book: _Book, row: FillRow, quote_asset: str) -> None:
    book.price = row.px
    book.held += row.qty if row.side == "BUY" else -row.qty
    if row.side == "SELL":
        book.sold[row.oid] = book.sold.get(row.oid, _ZERO) + row.qty
    book.held -= _base_fee(row, quote_asset)


def _base_fee(row: FillRow, quote_asset: str) -> Decimal:
    return row.fee if row.fee_asset == row.sym.removesuffix(quote_asset) else _ZERO


def _grains(witness: Witness, own: set[str]) -> dict[str, _Grain]:
    """Of every symbol on which an order of ours was made, by the exchange's rows alone."""
    settings = settings_of(witness)
    below = 1 - Decimal(settings.exit.stop_limit_offset_bps) / _BPS
    steps: dict[str, int] = {}
    asked: dict[str, Decimal] = {}
    for row in witness.rows:
        if not isinstance(row, OrderRow | FillRow) or row.cid not in own:
            continue
        digits = row.qty.normalize().as_tuple().exponent if row.qty else 0
        steps[row.sym] = min(steps.get(row.sym, 0), int(digits))
        price = row.px if isinstance(row, FillRow) else row.price or row.stop * below
        if price > 0:
            asked[row.sym] = min(asked.get(row.sym, price), price)
    return {
        symbol: _Grain(
            step=Decimal(1).scaleb(step),
            least=witness.least_order(symbol),
            lowest=asked.get(symbol, _ZERO),
        )
        for symbol, step in steps.items()
    }


def _stand(book: _Book, row: OrderRow) -> None:
    if row.side == "BUY":
        stands = row.status in _OPEN
        book.entries = book.entries | {row.oid} if stands else book.entries - {row.oid}
    elif row.type.startswith("STOP_LOSS") and row.status in _OPEN:
        book.stops[row.oid] = row
    else:
        book.stops.pop(row.oid, None)


def _turn(symbol: str, book: _Book, at: tuple[int, int | None], *, counts: bool) -> Iterator[Gap]:
    """`at` is (now, when the ledger knew)."""
    if counts and book.since_ms is None:
        book.since_ms, book.known_ms = at
    elif not counts and book.since_ms is not None:
        yield Gap(symbol=symbol, begin_ms=book.since_ms, end_ms=at[0], known_ms=book.known_ms)
        book.since_ms = None


def protected_or_paused(witness: Witness) -> Finding:
    """I10: no gap outlasts its deadline unless the mode is PAUSE or EXIT and an alert is CRIT.

    The deadline runs from when the ledger knew, only while a process lives, and starts anew with a
    longer allowance for each boot. Independently of what was known, it ends 75 s after the gap
    began. It stands still while the machine sleeps, and while another program holds the database:
    then neither an order nor a pause can be recorded, and nothing unrecorded may be sent. On a slow
    disk it starts when the ledger's knowledge can have become durable.
    """
    found = list(gaps(witness))
    problems = [problem for gap in found for problem in _exposed(witness, gap)]
    longest = max((gap.end_ms - gap.begin_ms for gap in found), default=0)
    note = f"longest gap {longest} ms" if found else ""
    return judged("I10", "Protected, or paused and shouting", len(found), problems, note=note)


def _exposed(witness: Witness, gap: Gap) -> Iterator[str]:
    due_ms = _due(witness.lives, gap.begin_ms, _BLIND_MS, _BLIND_MS)
    if gap.known_ms is not None:
        known_ms = _durable_ms(witness, gap.known_ms)
        due_ms = min(due_ms, _due(witness.lives, known_ms, T_PROTECT_MS, T_BOOT_MS))
    due_ms = _held_up(witness, gap, due_ms) + _SLACK_MS
    if gap.end_ms <= due_ms:
        return
    mode = witness.mode_at(due_ms)
    place = f"{gap.symbol} bare from {gap.begin_ms} for {gap.end_ms - gap.begin_ms} ms"
    if mode not in STILL:
        yield f"{place}, and the mode was {mode or 'none'} at {due_ms}"
    elif not any(
        alert.severity == "CRIT" and gap.begin_ms <= at_ms <= due_ms + _SLACK_MS
        for alert in witness.facts.alerts
        for at_ms in witness.in_market(alert.at_ms)
    ):
        yield f"{place}, and no CRIT alert said so"


def _durable_ms(witness: Witness, known_ms: int) -> int:
    """Return when knowledge of this time is durable at the latest, and sent to the position keeper.

    It waits for the commit that is under way, and for its own.
    """
    slow = {t.id: t.what.ms for t in witness.plan.troubles if isinstance(t.what, DiskSlow)}
    at_work = {
        hit.id
        for hit in witness.hits
        if hit.id in slow and abs(hit.t_ms - known_ms) <= slow[hit.id]
    }
    return known_ms + 2 * sum(slow[name] for name in at_work)


def _held_up(witness: Witness, gap: Gap, due_ms: int) -> int:
    """The deadline, later by what of the gap passed before it while the process could not act."""
    troubles = {t.id: t for t in witness.plan.troubles if isinstance(t.what, _HOLDING_UP)}
    first_ms: dict[str, int] = {}
    for hit in witness.hits:
        first_ms.setdefault(hit.id, hit.t_ms)
    for name, begin_ms in sorted(first_ms.items(), key=lambda item: item[1]):
        if name in troubles and begin_ms < due_ms:
            end_ms = begin_ms + troubles[name].for_ms
            due_ms += max(0, end_ms - max(begin_ms, gap.begin_ms))
    return due_ms


_NEVER = 2**62


def _due(lives: Iterable[Lived], from_ms: int, allowed_ms: int, boot_ms: int) -> int:
    """When an allowance that only living processes use up has been used up."""
    left = allowed_ms
    for life in lives:
        if life.over_ms <= from_ms:
            continue
        if life.born_ms > from_ms:
            left = boot_ms
        begin_ms = max(life.born_ms, from_ms)
        if life.over_ms - begin_ms >= left:
            return begin_ms + left
        left -= life.over_ms - begin_ms
    return _NEVER


def protection_only_tightens(witness: Witness) -> Finding:
    """I12: a list's stop lies below its target; later stops of one position are never lower."""
    own = {alias.client_order_id for alias in witness.facts.aliases}
    best: dict[str, Decimal] = {}
    held: dict[str, Decimal] = defaultdict(Decimal)
    targets: dict[str, Decimal] = {}
    stops: dict[str, OrderRow] = {}
    seen: set[tuple[str, int]] = set()
    problems = []
    for row in witness.rows:
        if isinstance(row, FillRow) and row.cid in own:
            held[row.sym] += row.qty if row.side == "BUY" else -row.qty
            held[row.sym] -= _base_fee(row, witness.facts.quote_asset)
            if held[row.sym] * row.px < witness.least_order(row.sym):
                best.pop(row.sym, None)
                if row.side == "SELL":
                    # What rounding leaves of each position adds up over weeks.
                    held[row.sym] = _ZERO
        if not isinstance(row, OrderRow) or row.cid not in own or row.side != "SELL":
            continue
        if not row.type.startswith("STOP_LOSS"):
            targets[row.list_cid] = row.price or row.stop
        elif row.status in _OPEN and (row.sym, row.oid) not in seen:
            seen.add((row.sym, row.oid))
            stops[row.list_cid or str(row.oid)] = row
            if row.stop < best.get(row.sym, _ZERO):
                problems.append(f"{row.sym}: a stop at {row.stop} after one at {best[row.sym]}")
            best[row.sym] = max(row.stop, best.get(row.sym, _ZERO))
    problems += [
        f"{row.sym}: stop {row.stop} is not below target {targets[name]}"
        for name, row in stops.items()
        if name in targets and row.stop >= targets[name]
    ]
    return judged("I12", "Protection is sane and only tightens", len(seen), problems)
