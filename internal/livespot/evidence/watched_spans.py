"""For how long a watched symbol got no decision while entries were allowed."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from livespot.evidence.moments import Span, instant
from livespot.store.reader import Reader

Stretch: TypeAlias = tuple[int, int]

# The same block is recorded once a minute; add a few cycles of tolerance.
_REPEAT_MS = 60_000
_SLACK_CYCLES = 4
_SELECTIONS = """
SELECT e.ts_ms, s.symbol FROM audit_events e
LEFT JOIN cycle_selections s ON s.cycle_id = e.cycle_id AND s.chosen = 1
WHERE e.run_id = ? AND e.event_type = 'TOPK_SELECTION' ORDER BY e.id
"""
_JUDGED = """
SELECT symbol, at_ms FROM decisions WHERE run_id = ?
UNION ALL
SELECT symbol, ts_ms FROM audit_events WHERE run_id = ? AND symbol <> ''
AND event_type = 'UNIVERSE_ELIGIBILITY' AND stage = 'STATE_UPDATE'
"""
_MODES = "SELECT at_ms, mode FROM sysmodes WHERE run_id = ? ORDER BY id"
_BUSY = """
SELECT symbol, opened_at_ms, closed_at_ms FROM positions
UNION ALL
SELECT d.symbol, d.at_ms, coalesce((
    SELECT min(ts_ms) FROM audit_events e WHERE e.event_type = 'DECISION_PROPOSED'
    AND e.decision_id = d.decision_id AND e.decision_id <> ''
    AND json_extract(e.data, '$.outcome') = 'ENDED'
    AND e.ts_ms >= d.at_ms), 0)
FROM decisions d WHERE d.outcome = 'PROPOSED'
"""


async def silences(reader: Reader, run: Span) -> tuple[int, list[str]]:
    """Return how many spans of being watched were checked, and each silence that is too long."""
    limit_ms = _REPEAT_MS + _SLACK_CYCLES * run.settings().timing.decision_cycle_ms
    normal = _in_normal(await reader.rows(_MODES, (run.run_id,)), run.last_event_ms)
    busy: dict[str, list[Stretch]] = defaultdict(list)
    for symbol, begin, end in await reader.rows(_BUSY):
        busy[symbol].append((begin, end or run.last_event_ms))
    heard: dict[str, list[int]] = defaultdict(list)
    for symbol, at_ms in await reader.rows(_JUDGED, (run.run_id, run.run_id)):
        heard[symbol].append(at_ms)
    looked, problems = 0, list[str]()
    rows = await reader.rows(_SELECTIONS, (run.run_id,))
    for symbol, stretches in _watched(rows, run.last_event_ms).items():
        free = without(within(stretches, normal), busy[symbol])
        looked += len(free)
        for begin, end in free:
            marks = sorted(at for at in heard[symbol] if begin <= at <= end)
            for left, right in gaps(begin, end, marks):
                if right - left > limit_ms:
                    problems.append(
                        f"{symbol} was watched from {instant(left)} to {instant(right)} unjudged"
                    )
    return looked, problems


def within(stretches: Iterable[Stretch], allowed: Iterable[Stretch]) -> list[Stretch]:
    """Return the intersection of two sets of spans."""
    bounds = [*allowed]
    common = [(max(begin, low), min(end, high)) for begin, end in stretches for low, high in bounds]
    return [(begin, end) for begin, end in common if begin < end]


def without(stretches: Iterable[Stretch], taken: Iterable[Stretch]) -> list[Stretch]:
    """Return the first set of spans minus the second."""
    left = [*stretches]
    for low, high in taken:
        left = [
            part
            for begin, end in left
            for part in ((begin, min(end, low)), (max(begin, high), end))
            if part[0] < part[1]
        ]
    return sorted(left)


def gaps(begin: int, end: int, marks: Iterable[int]) -> Iterator[Stretch]:
    """Yield the spans between neighbouring marks, with `begin` and `end` as marks."""
    last = begin
    for mark in marks:
        yield last, mark
        last = mark
    yield last, end


def _in_normal(rows: Iterable[tuple[int, str]], last_ms: int) -> list[Stretch]:
    steps = [*rows]
    ends = [at_ms for at_ms, _ in steps[1:]] + [last_ms]
    return [
        (at_ms, end) for (at_ms, mode), end in zip(steps, ends, strict=False) if mode == "NORMAL"
    ]


def _watched(rows: Iterable[tuple[int, str | None]], last_ms: int) -> dict[str, list[Stretch]]:
    """Return for each symbol the spans over which consecutive selections chose it."""
    selections: dict[int, set[str]] = {}
    for at_ms, symbol in rows:
        selections.setdefault(at_ms, set()).update([symbol] if symbol else [])
    found: dict[str, list[Stretch]] = defaultdict(list)
    since: dict[str, int] = {}
    for at_ms, chosen in selections.items():
        for symbol in since.keys() - chosen:
            found[symbol].append((since.pop(symbol), at_ms))
        for symbol in chosen:
            since.setdefault(symbol, at_ms)
    for symbol, begin in since.items():
        found[symbol].append((begin, last_ms))
    return found
