"""One walk along the event chain, comparing each event with its line in the JSONL trail."""

import gzip
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path

from livespot.contracts.canonical import sha256_hex
from livespot.contracts.chain import Link, problem_with
from livespot.contracts.errors import AuditUnwritable, PayloadInvalid
from livespot.evidence.rows import TrailCheck
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


async def walk(reader: Reader, trail_dir: Path) -> TrailCheck:
    """Read every event once. Raises `StoreBusy`, and `OSError` for the files."""
    seen = await _read(reader)
    present: dict[str, list[str]] = {}
    places: list[str] = []
    for name, day, content in _files(trail_dir):
        lines = _lines(content)
        present[day] = [sha256_hex(line) for line in lines]
        places += _first_place(name, content, present[day], seen.expected.get(day, []))
    places += [
        f"audit-{day}.jsonl is missing, {len(seen.expected[day])} events long"
        for day in sorted(seen.expected.keys() - present.keys())
    ]
    missing = unknown = 0
    for day in seen.expected.keys() | present.keys():
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
    )


async def _read(reader: Reader) -> _Walk:
    seen, before = _Walk(), None
    try:
        async for link in links(reader):
            seen.events += 1
            begins = before is None or before.run_id != link.run_id
            seen.runs += begins
            seen.problems.extend(_problems(link, before, begins=begins))
            owner = f"event {link.seq} of {link.run_id}"
            seen.expected.setdefault(_day(link), []).append((sha256_hex(link.line), owner))
            before = link
    except (PayloadInvalid, AuditUnwritable) as error:
        last = "the beginning" if before is None else f"event {before.seq} of {before.run_id}"
        seen.problems.insert(0, f"after {last}: {error}")
    return seen


def _files(directory: Path) -> Iterator[tuple[str, str, bytes]]:
    """Each day's file as (name, day, content); a damaged archive is what could be unpacked."""
    if not directory.is_dir():
        return
    for path in sorted(directory.glob("audit-*.jsonl*")):
        if path.suffix == ".jsonl":
            yield path.name, path.name[6:16], path.read_bytes()
        elif path.suffix == ".gz":
            yield path.name, path.name[6:16], _unpacked(path.read_bytes())


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
    name: str, content: bytes, present: list[str], expected: list[tuple[str, str]]
) -> Iterator[str]:
    """The first line of a file that is not the database's; none when all of it is."""
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
