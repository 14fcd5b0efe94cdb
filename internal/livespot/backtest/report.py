"""The report of a backtest: its figures, and their wording."""

from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal

from livespot.backtest.desk import NOT_FILLED
from livespot.backtest.play import Backtest
from livespot.contracts.amounts import ZERO
from livespot.contracts.base import Message
from livespot.contracts.vocabulary import IntentRole
from livespot.evidence.rows import Count
from livespot.evidence.telling import Line, age, many, money
from livespot.runtime.replay_request import Planned, moment
from livespot.runtime.replay_telling import seconds

PROFILE = "backtest"
NOTE = (
    "minute candles, four trades a minute, no latency, one attempt an entry, the model's gate off: "
    "an estimate, not a replay of the runtime"
)
_MOST = 6
_MS_PER_SECOND = 1000
_WAYS = {IntentRole.TP: "profit", IntentRole.SL: "stop", IntentRole.CLOSE: "market"}


class BacktestReport(Message, frozen=True):
    """One backtest. Times in ms, amounts in quote; `speed_x100` as for a replay.

    `net_quote` is the account's equity at the end less that at the start, fees included.
    `log_sha256` is that of the file with every decision and trade; two equal backtests have the
    same. Each reason counts once per decision cycle and symbol.
    """

    profile: str
    note: str
    data_id: str
    data_sha256: str
    config_hash: str
    symbols: tuple[str, ...]
    seed: int
    start_ms: int
    span_ms: int
    virtual_ms: int
    interrupted: bool
    cpu_ms: int
    speed_x100: int
    cycles: int
    looked_at: int
    rejected: tuple[Count, ...]
    blocked: tuple[Count, ...]
    proposed: int
    refused: tuple[Count, ...]
    unsent: tuple[Count, ...]
    entered: int
    filled: int
    ended_by: tuple[Count, ...]
    still_open: int
    won: int
    net_quote: Decimal
    fees_quote: Decimal
    drawdown_quote: Decimal
    log: str
    log_sha256: str


class About(Message, frozen=True):
    """What a backtest was made with, and where its files are."""

    seed: int
    config_hash: str
    log: str
    log_sha256: str


class Cost(Message, frozen=True):
    """How far it got, in market time and processor time, and its equity at the start."""

    virtual_ms: int
    cpu_ms: int
    began_quote: Decimal


def reported(plan: Planned, test: Backtest, cost: Cost, *, run: About) -> BacktestReport:
    """Counts, most frequent first, and sums over the closed trades."""
    tally, ended, running = test.tally, test.desk.ended, tuple(test.desk.running.values())
    bought = [trade for trade in ended if trade.bought]
    ways = Counter(trade.ended_by for trade in ended)
    return BacktestReport(
        profile=PROFILE,
        note=NOTE,
        data_id=plan.source.data_id,
        data_sha256=plan.source.sha256,
        config_hash=run.config_hash,
        symbols=tuple(sorted(plan.source.series)),
        seed=run.seed,
        start_ms=plan.start_ms,
        span_ms=plan.span_ms,
        virtual_ms=cost.virtual_ms,
        interrupted=cost.virtual_ms < plan.span_ms,
        cpu_ms=cost.cpu_ms,
        speed_x100=cost.virtual_ms * 100 // max(1, cost.cpu_ms),
        cycles=tally.cycles,
        looked_at=tally.looked_at,
        rejected=_counts(tally.rejected),
        blocked=_counts(tally.blocked),
        proposed=tally.proposed,
        refused=_counts(tally.refused),
        unsent=_counts(tally.unsent),
        entered=tally.entered,
        filled=len(bought),
        ended_by=_counts(ways),
        still_open=len(running),
        won=sum(trade.received - trade.paid > trade.fees_quote for trade in bought),
        net_quote=test.desk.equity() - cost.began_quote,
        fees_quote=sum((trade.fees_quote for trade in (*ended, *running)), ZERO),
        drawdown_quote=tally.drawdown,
        log=run.log,
        log_sha256=run.log_sha256,
    )


def told(report: BacktestReport) -> Iterator[Line]:
    """The report in words."""
    for label, text in _told(report):
        yield label, text, ""


def _told(report: BacktestReport) -> Iterator[tuple[str, str]]:
    names = ", ".join(report.symbols)
    yield "backtest", f"{report.data_id}, seed {report.seed}, {names}"
    end_ms = report.start_ms + report.virtual_ms
    stopped = "; interrupted" if report.interrupted else ""
    yield "", f"{moment(report.start_ms)} to {moment(end_ms)} UTC{stopped}"
    yield "is", report.note
    yield "looked", f"{many(report.cycles, 'cycle')}, {many(report.looked_at, 'look')} at a symbol"
    for label, counts in (("no snapshot", report.rejected), ("blocked by", report.blocked)):
        if counts:
            yield label, _listed(counts)
    yield "proposed", f"{report.proposed}, of which {report.entered} became orders"
    for label, counts in (("risk refused", report.refused), ("not sent", report.unsent)):
        if counts:
            yield label, _listed(counts)
    yield "trades", _trades(report)
    net = f"{money(report.net_quote)} after {report.fees_quote:.4f} of fees"
    yield "result", f"{net}, deepest drawdown {report.drawdown_quote:.4f}"
    times = f"{report.speed_x100 // 100}"
    spent = f"{age(report.virtual_ms)} of market time in {seconds(report.cpu_ms)}"
    yield "speed", f"{spent} of processor time, {times} times as fast"
    yield "log", report.log
    yield "", f"sha256 {report.log_sha256}"


def _trades(report: BacktestReport) -> str:
    ways = {count.name: count.count for count in report.ended_by}
    parts = [f"{ways[role.value]} by {word}" for role, word in _WAYS.items() if role.value in ways]
    ended = f" ({', '.join(parts)})" if parts else ""
    return (
        f"{many(report.filled, 'entry' if report.filled == 1 else 'entrie')} filled{ended}, "
        f"{report.won} won, {ways.get(NOT_FILLED, 0)} not filled, {report.still_open} still open"
    )


def _counts(counter: Counter[str]) -> tuple[Count, ...]:
    ordered = sorted(counter.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Count(name=str(name), count=count) for name, count in ordered)


def _listed(counts: Sequence[Count]) -> str:
    shown = ", ".join(f"{count.name} {count.count}" for count in counts[:_MOST])
    return shown + (f" and {len(counts) - _MOST} more" if len(counts) > _MOST else "")
