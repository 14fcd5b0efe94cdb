"""One walk along the event chain, comparing each event with its line in the JSONL trail."""

import gzip
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path

from livespot.contracts.canonical import sha256_hex
from livespot.contracts.chain import Link, bridged, problem_with
from livespot.contracts.errors import AuditUnwritable, PayloadInvalid
from livespot.contracts.records import ChainAnchor
from livespot.evidence.rows import TrailCheck
from livespot.evidence.upkeep_events import Said, unsigned, upkeep_said
from livespot.store.anchors import TrailDay, chain_anchors, trail_days
from livespot.store.chain import links
from livespot.store.reader import Reader

_MOST_PROBLEMS = 20
_DAY_MS = 86_400_000
_NO_DAY = "a day that does not exist"


@dataclass(slots=True)
class _Walk:
    """What the walk has seen; `expected` holds each day's lines as (digest, whose line it is)."""

    events: int = 0
    runs: int = 0
    problems: list[str] = field(default_factory=list)
    expected: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    said: list[Said] = field(default_factory=list)


@dataclass(slots=True)
class _KeptUp:
    """What stands in for pruned segments and packed files."""

    anchors: tuple[ChainAnchor, ...] = ()
    days: tuple[TrailDay, ...] = ()
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class _DayFile:
    """One day of the trail: its lines, and the packed file as it lies there."""

    name: str
    day: str
    content: bytes
    packed: bytes | None


async def walk(reader: Reader, trail_dir: Path) -> TrailCheck:
    """Read every event once. Raises `StoreBusy`, and `OSError` for the files."""
    kept = await _kept_up(reader)
    anchors, days = kept.anchors, {day.day: day for day in kept.days}
    gone = {day.day for day in days.values() if day.removed_at_ms}
    seen = await _read(reader, {anchor.prev_hash: anchor for anchor in anchors})
    seen.problems += [*kept.problems, *unsigned(anchors, days.values(), seen.said)]
    present: dict[str, list[str]] = {}
    places: list[str] = []
    for file in _files(trail_dir, days):
        lines = _lines(file.content)
        present[file.day] = [sha256_hex(line) for line in lines]
        wrong = [*_first_place(file, present[file.day], seen.expected.get(file.day, []))]
        places += wrong or [*_other_bytes(file, days.get(file.day))]
    places += [
        f"audit-{day}.jsonl is missing, {len(seen.expected[day])} events long"
        for day in sorted(seen.expected.keys() - present.keys() - gone)
    ]
    missing = unknown = 0
    for day in (seen.expected.keys() | present.keys()) - gone:
        wanted = [digest for digest, _ in seen.expected.get(day, [])]
        lost, stray = _difference(wanted, present.get(day, []))
        missing, unknown = missing + lost, unknown + stray
    return TrailCheck(
        events=seen.events,
        runs=seen.runs,
        problems=tuple(seen.problems[:_MOST_PROBLEMS]),
        files=len(present),
        lines=sum(len(digests) for digests in present.values()),
        missing=missing,
        unknown=unknown,
        places=tuple(places[:_MOST_PROBLEMS]),
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


async def _read(reader: Reader, anchors: Mapping[str, ChainAnchor]) -> _Walk:
    seen, before = _Walk(), None
    try:
        async for link in links(reader):
            seen.events += 1
            before = bridged(before, link, anchors)
            begins = before is None or before.run_id != link.run_id
            seen.runs += begins
            seen.problems.extend(_problems(link, before, begins=begins))
            seen.said += upkeep_said(link)
            owner = f"event {link.seq} of {link.run_id}"
            seen.expected.setdefault(_day(link), []).append((sha256_hex(link.line), owner))
            before = link
    except (PayloadInvalid, AuditUnwritable) as error:
        last = "the beginning" if before is None else f"event {before.seq} of {before.run_id}"
        seen.problems.insert(0, f"after {last}: {error}")
    return seen


def _files(directory: Path, days: Mapping[str, TrailDay]) -> Iterator[_DayFile]:
    """Each day's lines but those of removed days; a damaged archive is what could be unpacked.

    A packed file beside a plain one was not finished, unless it is on record: then the plain one
    is about to go, or holds what came later.
    """
    if not directory.is_dir():
        return
    for day in sorted({path.name[6:16] for path in directory.glob("audit-*.jsonl*")}):
        plain = directory / f"audit-{day}.jsonl"
        archive = plain.with_name(plain.name + ".gz")
        known = days.get(day)
        if known is not None and known.removed_at_ms:
            continue
        later = plain.read_bytes() if plain.is_file() else None
        packed = archive.read_bytes() if archive.is_file() else None
        if packed is None or (later is not None and known is None):
            if later is not None:
                yield _DayFile(name=plain.name, day=day, content=later, packed=packed)
            continue
        content = _unpacked(packed)
        if later is not None and later != content:
            content += later
        yield _DayFile(name=archive.name, day=day, content=content, packed=packed)


def _other_bytes(file: _DayFile, known: TrailDay | None) -> Iterator[str]:
    """What unpacking does not see, such as a bit of the header that means nothing."""
    if known is None:
        return
    if file.packed is None or sha256_hex(file.packed) != known.sha256:
        yield f"{file.name}: not the bytes that were packed, {known.lines} lines long"


def _unpacked(content: bytes) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        # Nothing of it can be trusted: every line of that day counts as missing.
        return b""


def _lines(content: bytes) -> list[bytes]:
    """A torn last line is a line too, and so is an empty one in between."""
    *whole, torn = content.split(b"\n")
    return [*whole, torn] if torn else whole


def _first_place(
    file: _DayFile, present: list[str], expected: list[tuple[str, str]]
) -> Iterator[str]:
    """The first line of a file that is not the database's; none when all of it is."""
    name, content = file.name, file.content
    for number, (found, wanted) in enumerate(zip_longest(present, expected), start=1):
        if wanted is None:
            yield f"{name}, line {number}: no event of the database"
            return
        if found is None:
            yield f"{name}, line {number}: missing, {wanted[1]}"
            return
        if found != wanted[0]:
            yield f"{name}, line {number}: not what the database holds of {wanted[1]}"
            return
    if content and not content.endswith(b"\n"):
        yield f"{name}, line {len(present)}: its end is missing"


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


def _difference(expected: list[str], present: list[str]) -> tuple[int, int]:
    """Lines the files lack, and lines the database does not know; a wrong order is both."""
    if expected == present:
        return 0, 0
    wanted, found = Counter(expected), Counter(present)
    lost, stray = (wanted - found).total(), (found - wanted).total()
    return (lost, stray) if lost or stray else (1, 1)


def _day(link: Link) -> str:
    day_s = int(link.envelope["ts_ms"]) // _DAY_MS * (_DAY_MS // 1000)
    try:
        return datetime.fromtimestamp(day_s, UTC).strftime("%Y-%m-%d")
    except (ValueError, OverflowError, OSError):
        return _NO_DAY
