"""One run as a report: the same sections as Markdown and as one self-contained page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape

from livespot.contracts.amounts import decimal_text
from livespot.evidence import charts
from livespot.evidence.fingerprint import Distribution, Fingerprint, answer_times, slippages
from livespot.evidence.manifest import RunManifest
from livespot.evidence.moments import instant
from livespot.evidence.particulars import Particulars
from livespot.evidence.round_trips import RoundTrip
from livespot.evidence.rows import Count, Facts
from livespot.evidence.shadow_estimates import ShadowEstimates
from livespot.evidence.summary import RunSummary
from livespot.evidence.survival import Survival, end_of
from livespot.evidence.telling import lines

_MOST_TRADES = 200
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{padding:.15rem .6rem;border-bottom:1px solid #ddd;"
    "text-align:left;vertical-align:top}svg{max-width:100%;height:auto}svg text{font:12px "
    "system-ui,sans-serif}.none{color:#666}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that the report shows."""

    manifest: RunManifest
    summary: RunSummary
    fingerprint: Fingerprint
    survival: Survival
    facts: Facts
    particulars: Particulars
    shadow: ShadowEstimates | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading, an SVG that only the page shows, and rows under column names."""

    title: str
    chart: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    nothing: str = "nothing"


def markdown(report: Report) -> str:
    """Return sections with tables; the charts are in the page only."""
    parts = [f"# Run {report.summary.run_id}", ""]
    parts += ["```", *lines(report.summary), "```", ""]
    for section in sections(report):
        if not section.columns:
            continue
        parts += [f"## {section.title}", ""]
        if section.rows:
            parts.append(_row(section.columns))
            parts.append(_row(["---"] * len(section.columns)))
            parts += [_row(row) for row in section.rows]
        else:
            parts.append(section.nothing[:1].upper() + section.nothing[1:] + ".")
        parts.append("")
    return "\n".join(parts)


def page(report: Report) -> str:
    """Return one HTML file that needs nothing but a browser."""
    title = escape(f"Run {report.summary.run_id}")
    told = "\n".join(escape(line) for line in lines(report.summary))
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1><pre>{told}</pre>",
    ]
    for section in sections(report):
        parts.append(f"<h2>{escape(section.title)}</h2>{section.chart}")
        if section.rows:
            parts.append(_table(section))
        elif section.columns:
            parts.append(f'<p class="none">{escape(section.nothing)}</p>')
    return "\n".join([*parts, "</body></html>", ""])


def sections(report: Report) -> Iterator[Section]:
    """Yield the sections, from the result to the inputs that it rests on."""
    summary, facts = report.summary, report.facts
    quote = summary.quote_asset
    equity = _equity(report)
    yield Section(
        title=f"Result of closed trades, {quote} (cumulative, after fees)",
        chart=charts.steps(equity, quote, "no trade was closed"),
    )
    yield Section(
        title=f"Drawdown, {quote}",
        chart=charts.steps(_drawdown(equity), quote, "no trade was closed"),
    )
    yield _trades(summary)
    if report.shadow is not None:
        yield _shadow(report.shadow, quote)
    yield _bare(summary, facts)
    yield _blocks(summary)
    yield Section(
        title="Modes over time",
        chart=charts.timeline(_spans(facts), "no mode is recorded"),
        columns=("from", "mode", "seconds"),
        rows=tuple(
            (instant(start), mode, str((end - start) // 1000)) for mode, start, end in _spans(facts)
        ),
    )
    yield from _times(report)
    yield _survival(report.survival)
    yield Section(
        title="What it ran on",
        columns=("what", "value"),
        rows=tuple(_origins(report.manifest)),
    )


def _equity(report: Report) -> list[tuple[int, Decimal]]:
    total = Decimal(0)
    points = [(report.summary.started_at_ms, total)]
    for trip in report.summary.trips:
        total += trip.pnl_quote
        points.append((trip.exit_at_ms, total))
    if len(points) > 1:
        points.append((max(points[-1][0], end_of(report.facts.run())), total))
    return points


def _drawdown(equity: Sequence[tuple[int, Decimal]]) -> list[tuple[int, Decimal]]:
    peak, points = Decimal(0), []
    for at, value in equity:
        peak = max(peak, value)
        points.append((at, value - peak))
    return points


def _trades(summary: RunSummary) -> Section:
    return Section(
        title="Trades",
        columns=("closed", "symbol", "quantity", "entry", "exit", "result", "fees", "ended by"),
        rows=tuple(
            (
                instant(trip.exit_at_ms),
                trip.symbol,
                decimal_text(trip.qty),
                decimal_text(trip.entry_price),
                decimal_text(trip.exit_price),
                decimal_text(trip.pnl_quote),
                decimal_text(trip.fees_quote),
                trip.exit_reason,
            )
            for trip in summary.trips[:_MOST_TRADES]
        ),
        nothing="no trade was closed",
    )


def _bare(summary: RunSummary, facts: Facts) -> Section:
    """Each position's time without a stop, by our ledger and by the exchange's journal."""
    trips = {trip.position_id: trip for trip in summary.trips}
    held = [position for position in facts.positions if position.run_id == facts.run_id]
    return Section(
        title="Time without a stop",
        columns=("opened", "symbol", "phase", "by our clock", "from fill to protection", "seen by"),
        rows=tuple(
            (
                instant(position.opened_at_ms),
                position.symbol,
                position.phase,
                f"{position.unprotected_ms} ms",
                *_protected(trips.get(position.position_id)),
            )
            for position in held[-_MOST_TRADES:]
        ),
        nothing="no position was held",
    )


def _protected(trip: RoundTrip | None) -> tuple[str, str]:
    if trip is None:
        return "known once it is closed", ""
    seen_by = {"journal": "the exchange", "ledger": "our ledger"}[trip.protection_source]
    return (f"{trip.protected_after_ms} ms" if trip.protected else "never seen"), seen_by


def _blocks(summary: RunSummary) -> Section:
    counts = summary.counts
    found = [
        Count(name=f"{stage} {count.name}", count=count.count)
        for stage, named in (
            ("strategy", counts.strategy_reasons),
            ("gate", counts.gate_reasons),
            ("risk", counts.risk_reasons),
        )
        for count in named
    ]
    unknown = f"unknown how often, {counts.pruned}" if counts.blocked < 0 else ""
    nothing = f"strategy: {unknown}" if unknown else "nothing was blocked"
    return Section(
        title="Blocks by reason",
        chart=charts.bars(found, nothing),
        columns=("stage and first reason", "times"),
        rows=(
            *((("strategy", unknown),) if unknown and found else ()),
            *((count.name, str(count.count)) for count in found),
        ),
        nothing=nothing,
    )


def _spans(facts: Facts) -> list[tuple[str, int, int]]:
    steps = [mode for mode in facts.modes if mode.run_id == facts.run_id]
    ends = [step.at_ms for step in steps[1:]] + [end_of(facts.run())]
    return [
        (step.mode, step.at_ms, max(step.at_ms, end))
        for step, end in zip(steps, ends, strict=False)
    ]


def _times(report: Report) -> Iterator[Section]:
    found, facts, particulars = report.fingerprint, report.facts, report.particulars
    drawn: tuple[tuple[str, Sequence[int], str, Distribution], ...] = (
        ("Answers of the exchange, ms", answer_times(facts), "ms", found.answer_ms),
        ("Fills, from the exchange to us, ms", _late(particulars), "ms", found.fill_ms),
        ("Model gate, ms", particulars.gate_ms, "ms", found.gate_ms),
        ("Slippage against the plan, bps", slippages(particulars), "bps", found.slippage_bps),
    )
    for title, values, unit, spread in drawn:
        yield Section(
            title=title,
            chart=charts.histogram(values, unit, spread.unknown),
            columns=("count", "p50", "p95", "p99", "most"),
            rows=() if not spread.count else (_quantiles(spread),),
            nothing=spread.unknown,
        )


def _late(particulars: Particulars) -> list[int]:
    return [fill.late_ms for fill in particulars.fills]


def _quantiles(spread: Distribution) -> tuple[str, ...]:
    return tuple(
        str(value) for value in (spread.count, spread.p50, spread.p95, spread.p99, spread.most)
    )


def _survival(survival: Survival) -> Section:
    names = (
        "uptime_ms",
        "internal_failures",
        "between_failures_ms",
        "restart_ms",
        "unprotected_p50_ms",
        "unprotected_p99_ms",
        "unprotected_max_ms",
        "unprotected_total_ms",
        "unknown_intents",
        "unresolved_intents",
        "resolve_max_ms",
        "missed_fills",
        "drift_corrections",
    )
    rows = [(name, _value(getattr(survival, name), survival.unknown.get(name))) for name in names]
    rows += [(f"in {count.name}, ms", str(count.count)) for count in survival.modes_ms]
    return Section(title="Survival", columns=("figure", "value"), rows=tuple(rows))


def _shadow(found: ShadowEstimates, quote: str) -> Section:
    rows = [("entries it would have sent", str(found.entries))]
    rows += [(f"would have been {count.name}", str(count.count)) for count in found.outcomes]
    for name in ("net_quote", "fees_quote"):
        amount = getattr(found, name)
        text = None if amount is None else f"{decimal_text(amount)} {quote} over {found.known}"
        rows.append((name, _value(text, found.unknown.get(name))))
    title = f"Estimates of the fill model {found.model}; nothing of it happened"
    return Section(title=title, columns=("estimate", "value"), rows=tuple(rows))


def _origins(manifest: RunManifest) -> Iterator[tuple[str, str]]:
    for name in (
        "mode",
        "version",
        "git_commit",
        "python",
        "sqlite",
        "platform",
        "config_hash",
        "prompt_hash",
        "data_set_id",
        "data_set_sha256",
        "seed",
        "previous_run",
        "positions_quality",
        "impedance_fidelity",
        "internal_collapse_detected",
        "completed_by",
    ):
        yield name, _value(getattr(manifest, name), manifest.unknown.get(name))


def _value(value: object, why: str | None) -> str:
    return f"unknown: {why}" if value is None else str(value)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _table(section: Section) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in section.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in section.rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"
