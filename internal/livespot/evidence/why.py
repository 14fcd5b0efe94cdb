"""Why a symbol was not traded at an instant, from the database alone."""

import msgspec

from livespot.contracts.base import Message
from livespot.contracts.settings import Settings
from livespot.evidence.links import Link, Passage, Question
from livespot.evidence.moments import Span, instant, nothing_ran, span_at, spans
from livespot.evidence.pruned import pruned
from livespot.evidence.why_decision import (
    cycle_links,
    holding_link,
    mode_link,
    own_link,
    quarantine_link,
)
from livespot.evidence.why_selection import selection_links
from livespot.store.reader import Reader, first

PRUNED = "scans, rankings and judgements of that time are past their age and were pruned"


class WhyNot(Message, frozen=True):
    """One sentence, and the chain of stages behind it."""

    symbol: str
    at_ms: int
    run_id: str
    headline: str
    links: tuple[Link, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        """Every code that stood in the way, in the order of the stages."""
        stopped = (link for link in self.links if link.passage is not Passage.PASSED)
        return tuple(dict.fromkeys(code for link in stopped for code in link.codes))


async def knows_symbol(reader: Reader, symbol: str) -> bool:
    """Whether any scan of any run listed the symbol."""
    sql = "SELECT 1 FROM universe_scans WHERE symbol = ? LIMIT 1"
    return await first(reader, sql, (symbol,)) is not None


async def known_symbols(reader: Reader) -> tuple[str, ...]:
    """Return every symbol that a scan ever listed."""
    found = await reader.rows("SELECT DISTINCT symbol FROM universe_scans ORDER BY symbol")
    return tuple(symbol for (symbol,) in found)


async def why_not(reader: Reader, symbol: str, at_ms: int | None) -> WhyNot:
    """Return the chain of a symbol at an instant; None means the last event on record.

    Raises `StoreBusy` or `AuditUnwritable` when the database cannot be read.
    """
    runs = await spans(reader)
    if at_ms is None:
        at_ms = max((run.last_event_ms for run in runs), default=0)
    run = span_at(runs, at_ms)
    if run is None:
        headline = f"{symbol} was not traded: {nothing_ran(runs, at_ms)}."
        return WhyNot(symbol=symbol, at_ms=at_ms, run_id="", headline=headline)
    settings, notes = _settings(run)
    ask = Question(reader=reader, symbol=symbol, at_ms=at_ms, run_id=run.run_id, settings=settings)
    if at_ms < (await pruned(reader)).scans_ms:
        links, notes = await _kept(ask), (*notes, PRUNED)
    else:
        links = await _chain(ask)
    return WhyNot(
        symbol=symbol,
        at_ms=at_ms,
        run_id=run.run_id,
        headline=_headline(ask, links),
        links=links,
        notes=notes,
    )


async def _kept(ask: Question) -> tuple[Link, ...]:
    """Return the links whose records are never pruned: mode and holdings."""
    held = await holding_link(ask)
    gone = Link(stage="UNIVERSE_SCAN", passage=Passage.NOT_REACHED, text=PRUNED)
    return (gone, await mode_link(ask), *(() if held is None else (held,)))


async def _chain(ask: Question) -> tuple[Link, ...]:
    """Return every stage in order; a symbol that is held needs no further reason."""
    selected = await selection_links(ask)
    mode, held = await mode_link(ask), await holding_link(ask)
    quarantined, own = await quarantine_link(ask), await own_link(ask)
    links = [*selected, mode, *(link for link in (quarantined, own, held) if link is not None)]
    if held is None and selected[-1].passage is Passage.PASSED and mode.passage is Passage.PASSED:
        links += await cycle_links(ask)
    return tuple(links)


def _headline(ask: Question, links: tuple[Link, ...]) -> str:
    when = instant(ask.at_ms)
    traded = next((link for link in links if link.passage is Passage.TRADED), None)
    if traded is not None:
        return f"{ask.symbol} was in trade at {when}: {traded.line}."
    stops = [link for link in links if link.passage is not Passage.PASSED]
    if not stops:
        last = links[-1]
        return f"{ask.symbol} was being traded at {when}: {last.line}."
    first_stop, text = stops[0], stops[0].line
    mode = next((link for link in stops if link.stage == "SYSMODE"), None)
    if mode is not None and mode is not first_stop:
        text += f"; and the mode was {mode.line}"
    return f"{ask.symbol} was not traded at {when}: {text}."


def _settings(run: Span) -> tuple[Settings, tuple[str, ...]]:
    try:
        return run.settings(), ()
    except msgspec.ValidationError as error:
        note = f"the run's settings cannot be read ({error}); limits shown are the defaults"
        return Settings(), (note,)
