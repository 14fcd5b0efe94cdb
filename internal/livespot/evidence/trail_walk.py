"""One walk along the event chain, comparing each event with its line in the JSONL trail."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from livespot.contracts.chain import Link, bridged, problem_with
from livespot.contracts.errors import AuditUnwritable, PayloadInvalid
from livespot.contracts.records import ChainAnchor
from livespot.evidence.rows import TrailCheck
from livespot.evidence.trail_files import FilesComparison
from livespot.evidence.upkeep_events import Said, unsigned, upkeep_said
from livespot.store.anchors import TrailDay, chain_anchors, trail_days
from livespot.store.chain import links
from livespot.store.reader import Reader

_MOST_PROBLEMS = 20


@dataclass(slots=True)
class _Walk:
    """What the walk has seen; `said` is what the upkeep's own events state."""

    events: int = 0
    runs: int = 0
    problems: list[str] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)


@dataclass(slots=True)
class _KeptUp:
    """What stands in for pruned segments and packed files."""

    anchors: tuple[ChainAnchor, ...] = ()
    days: tuple[TrailDay, ...] = ()
    problems: list[str] = field(default_factory=list)


async def walk(reader: Reader, trail_dir: Path) -> TrailCheck:
    """Read every event once. Raises `StoreBusy`, and `OSError` for the files."""
    kept = await _kept_up(reader)
    anchors, days = kept.anchors, {day.day: day for day in kept.days}
    files = FilesComparison(trail_dir, days)
    seen = await _read(reader, {anchor.prev_hash: anchor for anchor in anchors}, files)
    seen.problems += [*kept.problems, *unsigned(anchors, days.values(), seen.said)]
    compared = files.result()
    return TrailCheck(
        events=seen.events,
        runs=seen.runs,
        problems=tuple(seen.problems[:_MOST_PROBLEMS]),
        files=compared.files,
        lines=compared.lines,
        missing=compared.missing,
        unknown=compared.unknown,
        places=compared.places[:_MOST_PROBLEMS],
        pruned=sum(anchor.last_seq - anchor.first_seq + 1 for anchor in anchors),
    )


async def _kept_up(reader: Reader) -> _KeptUp:
    """Raises `StoreBusy`; what is damaged is a problem and counts as nothing."""
    found = _KeptUp()
    try:
        found.anchors = await chain_anchors(reader)
        found.days = await trail_days(reader)
    except (AuditUnwritable, PayloadInvalid) as error:
        found.problems.append(f"anchors or packed days of a pruned event cannot be read: {error}")
    return found


async def _read(
    reader: Reader, anchors: Mapping[str, ChainAnchor], files: FilesComparison
) -> _Walk:
    seen, before = _Walk(), None
    try:
        async for link in links(reader):
            seen.events += 1
            before = bridged(before, link, anchors)
            begins = before is None or before.run_id != link.run_id
            seen.runs += begins
            if len(seen.problems) < _MOST_PROBLEMS:
                seen.problems.extend(_problems(link, before, begins=begins))
            seen.said += upkeep_said(link)
            files.see(link)
            before = link
    except (PayloadInvalid, AuditUnwritable) as error:
        last = "the beginning" if before is None else f"event {before.seq} of {before.run_id}"
        seen.problems.insert(0, f"after {last}: {error}")
    return seen


def _problems(link: Link, before: Link | None, *, begins: bool) -> Iterator[str]:
    broken = problem_with(link, before, link.prev_hash if before is None else "")
    place = f"event {link.seq} of {link.run_id}"
    if broken is not None:
        yield f"{place}: {broken.problem}"
    if before is None and (link.prev_hash or link.seq != 1):
        yield f"{place}: history begins here, but not with a first event"
    if begins and link.envelope["event_type"] != "RUN_STARTED":
        yield f"{place}: the run begins with {link.envelope['event_type']}"
    if before is not None and link.row != before.row + 1:
        yield f"{place}: its row is {link.row}, after row {before.row}"
    if not begins and before is not None and link.envelope["ts_ms"] < before.envelope["ts_ms"]:
        yield f"{place}: its time lies before that of the event before it"
