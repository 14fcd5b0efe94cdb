"""A run's summary in words: one aligned screen for a first reader."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from livespot.contracts.amounts import decimal_text
from livespot.evidence.round_trips import RoundTrip
from livespot.evidence.rows import Count
from livespot.evidence.summary import Reconciled, RunSummary, UnknownIntent
from livespot.rules.expectancy import LEAST_TRADES

_GOOD, _BAD, _DOUBT, _PLAIN = "green", "bold red", "yellow", ""
_TOP, _MOST_TRIPS, _MOST_STEPS, _MOST_NAMED = 4, 6, 3, 4
_CENT_OF_CENT = Decimal("0.0001")
_LABEL_WIDTH, _LONGEST = 14, 140

_RIGHTS = {
    "SHADOW": "it only watched. No order was sent and nothing filled; estimates are in explain"
}

# A label (empty when it continues the one above), the text, and its style.
Line = tuple[str, str, str]


def lines(summary: RunSummary) -> list[str]:
    """Return plain text, one item per line, for a pipe or a file."""
    return [f"{label:<{_LABEL_WIDTH}}{text}".rstrip() for label, text, _ in told(summary)]


def render(summary: RunSummary) -> RenderableType:
    """Return the same for a terminal; text from outside is never interpreted as markup."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True, min_width=_LABEL_WIDTH - 2)
    table.add_column(overflow="fold")
    for label, text, style in told(summary):
        table.add_row(Text(label), Text(text, style=style))
    title = Text(f"{summary.mode} run {summary.run_id}", style="bold")
    return Panel(Group(table), title=title, title_align="left", padding=(0, 1))


def told(summary: RunSummary) -> Iterator[Line]:
    """Yield the summary, from the headline to where to look next."""
    yield _headline(summary)
    yield from _rights(summary)
    yield from _decisions(summary)
    yield from _trading(summary)
    yield from _trips(summary)
    yield from _records(summary)
    yield from _faults(summary)
    yield from _proof(summary)
    yield from _next(summary)


def _headline(summary: RunSummary) -> Line:
    if not summary.ended_at_ms:
        return "run", f"{summary.run_id} has not ended", _DOUBT
    good = summary.clean and summary.exit_code == 0
    span = age(summary.ended_at_ms - summary.started_at_ms)
    begun = _moment(summary.started_at_ms, "%Y-%m-%d %H:%M")
    after = f"; run {summary.runs} on this database" if summary.runs > 1 else ""
    after += f", {summary.killed_before} killed before it" if summary.killed_before else ""
    text = f"{_ending(summary)} after {span} of market time from {begun} UTC{after}"
    return "run", text, _PLAIN if good else _DOUBT


def _rights(summary: RunSummary) -> Iterator[Line]:
    """Only for a run that may do less than its figures could suggest."""
    text = _RIGHTS.get(summary.mode)
    if text:
        yield "mode", f"{summary.mode}: {text}", _DOUBT


def _ending(summary: RunSummary) -> str:
    if not summary.clean:
        return "was killed"
    if summary.exit_code == 0:
        return "ended cleanly"
    why = f" because of {', '.join(summary.end_reasons)}" if summary.end_reasons else ""
    return f"ended with exit code {summary.exit_code}{why}"


def _decisions(summary: RunSummary) -> Iterator[Line]:
    counts = summary.counts
    modified = f", {counts.modified} changed by the gate" if counts.modified else ""
    blocked = "unknown how many" if counts.blocked < 0 else str(counts.blocked)
    cycles = "an unknown number of cycles" if counts.cycles < 0 else many(counts.cycles, "cycle")
    text = f"{counts.proposed} proposed, {blocked} blocked in {cycles}{modified}"
    yield "decisions", text, _PLAIN
    if min(counts.blocked, counts.cycles) < 0:
        yield "", f"what is unknown was {counts.pruned}", _DOUBT
    blocked_by = "unknown" if counts.blocked < 0 else "nothing"
    yield "blocked by", named(counts.strategy_reasons, _TOP) or blocked_by, _PLAIN
    yield "gate", _verdicts(counts.gate_verdicts, counts.gate_reasons), _PLAIN
    yield "risk", _verdicts(counts.risk_verdicts, counts.risk_reasons), _PLAIN


def _verdicts(verdicts: Sequence[Count], reasons: Sequence[Count]) -> str:
    why = f" because of {named(reasons, _TOP)}" if reasons else ""
    return (named(verdicts) or "never asked") + why


def _trading(summary: RunSummary) -> Iterator[Line]:
    total = sum(item.count for item in summary.orders)
    yield "orders", f"{total}" + (f": {named(summary.orders)}" if total else ""), _PLAIN
    fills = summary.fills
    if fills.exchange < 0:
        yield "fills", f"{fills.of_this_run} (no exchange journal to compare with)", _PLAIN
    else:
        word = "they agree to the last digit" if fills.agree else "THEY DIFFER"
        text = f"database {fills.database} = exchange journal {fills.exchange}, {word}"
        yield (
            "fills",
            text if fills.agree else text.replace(" = ", " / "),
            _GOOD if fills.agree else _BAD,
        )
    dust = f", dust left from {many(summary.dust, 'position')}" if summary.dust else ""
    result, fees = money(summary.pnl_quote), plain(summary.fees_quote)
    yield "result", f"{result} {summary.quote_asset} realised, after {fees} of fees{dust}", _PLAIN


def _trips(summary: RunSummary) -> Iterator[Line]:
    count = len(summary.trips)
    complete = summary.complete_trips
    yield (
        "round trips",
        f"{count} completed, {complete} of them protected and reconciled",
        _PLAIN if complete == count else _DOUBT,
    )
    for trip in summary.trips[-_MOST_TRIPS:]:
        yield "", _trip(trip, summary.quote_asset), _PLAIN if trip.complete else _DOUBT
    if count > _MOST_TRIPS:
        yield "", f"and {count - _MOST_TRIPS} before these", _PLAIN
    for held in summary.open_positions:
        guarded = held.protected_qty > 0
        protection = (
            f"protected between {plain(held.sl_price)} and {plain(held.tp_price)}"
            if guarded
            else "NOT PROTECTED"
        )
        yield (
            "still open",
            f"{held.symbol}  {plain(held.qty)} at {plain(held.avg_price)}, {protection}",
            _PLAIN if guarded else _BAD,
        )


def _records(summary: RunSummary) -> Iterator[Line]:
    """Say what all trades in this database show about their kind, however little that is."""
    label = "hit rate"
    for record in summary.records:
        kind = f"{record.strategy_id} {record.strategy_version} in {record.regime}"
        reached = f"{kind}: {record.hits} of {many(record.trades, 'trade')} reached the target"
        said = f"unmeasured below {LEAST_TRADES} trades"
        if record.is_measured:
            said = f"95 % interval {percent(record.low_x10000)} to {percent(record.high_x10000)}"
        yield label, f"{reached}, {said}", _PLAIN
        label = ""


def percent(share_x10000: int) -> str:
    """Format a share with one decimal."""
    whole, tenths = divmod((share_x10000 + 5) // 10, 10)
    return f"{whole}.{tenths} %"


def _trip(trip: RoundTrip, quote_asset: str) -> str:
    shield = f"protected after {age(trip.protected_after_ms)}"
    return (
        f"{_moment(trip.entry_at_ms)} to {_moment(trip.exit_at_ms)}  {trip.symbol}  "
        f"{plain(trip.qty)} at {plain(trip.entry_price)} sold at {plain(trip.exit_price)}  "
        f"{money(trip.pnl_quote)} {quote_asset}  {trip.exit_reason or 'no reason'}, "
        f"{shield if trip.protected else 'PROTECTION NOT SEEN'}, "
        f"{'reconciled' if trip.reconciled else 'NOT RECONCILED'}"
    )


def _faults(summary: RunSummary) -> Iterator[Line]:
    unknown = summary.unknown_intents
    if unknown:
        open_ones = sum(not intent.resolved for intent in unknown)
        left = f"{open_ones} NOT RESOLVED" if open_ones else "all resolved"
        yield (
            "unknown",
            f"{many(len(unknown), 'order')} in doubt, {left}",
            _BAD if open_ones else _GOOD,
        )
        yield from (("", _intent(item), _PLAIN) for item in unknown[-_MOST_STEPS:])
    else:
        yield "unknown", "no order was ever in doubt", _PLAIN
    steps = summary.mode_steps
    yield (
        "modes",
        f"{many(len(steps), 'change')}, the last mode is {summary.last_sysmode or '—'}",
        _PLAIN,
    )
    tightened = [step for step in steps if step.mode in ("DEGRADE", "PAUSE")]
    for step in tightened[-_MOST_STEPS:]:
        why = f" because of {step.reason}" if step.reason else ""
        yield "", f"{_moment(step.at_ms)}  {step.previous} -> {step.mode}{why}", _PLAIN
    yield "alerts", named(summary.alerts, _TOP) or "none beyond the mode changes", _PLAIN
    yield "reconciled", _reconciled(summary.reconciled), _PLAIN


def _reconciled(found: Reconciled) -> str:
    if not found.passes:
        return "never"
    whole, tenths = divmod(found.worst_drift_x10000 // 1000, 10)
    return (
        f"{many(found.passes, 'time')} ({named(found.labels)}), "
        f"{many(found.diffs, 'difference')}, "
        f"worst drift score {whole}.{tenths}"
    )


def _intent(intent: UnknownIntent) -> str:
    took = f" after {age(intent.after_ms)}" if intent.resolved else ""
    why = f": {intent.evidence}" if intent.evidence else ""
    name = f"{intent.symbol} {intent.role} {intent.order_intent_id[:12]}"
    return f"{name} {intent.resolved_as}{took}{why}"


def _proof(summary: RunSummary) -> Iterator[Line]:
    violations, unseen = summary.violations, summary.unseen
    count = len(summary.findings)
    yield (
        "invariants",
        f"{count} checked, {len(violations)} violated"
        + (f", {len(unseen)} had nothing to look at" if unseen else ""),
        _BAD if violations else _GOOD,
    )
    for finding in violations:
        yield "", f"✗ {finding.id} {finding.title}: {_cut(finding.detail)}", _BAD
    if unseen:
        more = f" +{len(unseen) - _MOST_NAMED}" if len(unseen) > _MOST_NAMED else ""
        titles = ", ".join(f"{f.id} {f.title.lower()}" for f in unseen[:_MOST_NAMED])
        yield "", f"not exercised: {titles}{more}", _PLAIN


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _next(summary: RunSummary) -> Iterator[Line]:
    var = Path(summary.database).parent.parent
    yield "look next", f"livespot status --var {var}", _PLAIN
    yield "every event", f"{Path(summary.trail) / 'audit-*.jsonl'}", _PLAIN
    yield "all records", f"{summary.database} ({summary.counts.events} events of this run)", _PLAIN
    if summary.journal:
        yield "the exchange", f"{summary.journal}", _PLAIN


def named(counts: Sequence[Count], most: int = 8) -> str:
    """Format as `NAME 3, OTHER 1 +2`: the most frequent, then how many names are left out."""
    more = f" +{len(counts) - most}" if len(counts) > most else ""
    return ", ".join(f"{item.name} {item.count}" for item in counts[:most]) + more


def many(count: int, noun: str) -> str:
    """Format a count with its noun in the right number."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def money(value: Decimal) -> str:
    """Format a gain or loss to four decimals, with its sign."""
    rounded = value.quantize(_CENT_OF_CENT)
    return f"+{decimal_text(rounded)}" if rounded > 0 else decimal_text(rounded)


def plain(value: Decimal) -> str:
    """Format an amount to at most eight decimals, without trailing zeros."""
    text = decimal_text(value.quantize(Decimal("0.00000001")))
    return text.rstrip("0").rstrip(".") or "0"


def age(ms: int) -> str:
    """Format a span of time: 450 ms, 12 s, 3 min 20 s, 2 h 05 min."""
    if ms < 1000:
        return f"{ms} ms"
    seconds = ms // 1000
    if seconds < 120:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 120:
        return f"{minutes} min {seconds % 60:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _moment(at_ms: int, form: str = "%H:%M:%S") -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime(form)
