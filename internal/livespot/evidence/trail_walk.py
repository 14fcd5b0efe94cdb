"""One walk along the event chain, comparing each event with its line in the JSONL trail."""

import gzip
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from livespot.contracts.canonical import sha256_hex
from livespot.contracts.chain import Link, problem_with
from livespot.evidence.rows import TrailCheck
from livespot.store.chain import links
from livespot.store.reader import Reader

_MOST_PROBLEMS = 20
_DAY_MS = 86_400_000


async def walk(reader: Reader, trail_dir: Path) -> TrailCheck:
    """Read every event once. Raises `StoreBusy`, `AuditUnwritable`, and `OSError` for the files."""
    before: Link | None = None
    problems: list[str] = []
    expected: dict[str, list[str]] = {}
    events = runs = 0
    async for link in links(reader):
        events += 1
        begins = before is None or before.run_id != link.run_id
        runs += begins
        problems.extend(_problems(link, before, begins=begins))
        expected.setdefault(_day(link), []).append(sha256_hex(link.line))
        before = link
    present = {day: list(digests) for day, digests in trail_lines(trail_dir)}
    missing = unknown = 0
    for day in expected.keys() | present.keys():
        lost, stray = _difference(expected.get(day, []), present.get(day, []))
        missing, unknown = missing + lost, unknown + stray
    return TrailCheck(
        events=events,
        runs=runs,
        problems=tuple(problems[:_MOST_PROBLEMS]),
        files=len(present),
        lines=sum(len(digests) for digests in present.values()),
        missing=missing,
        unknown=unknown,
    )


def trail_lines(directory: Path) -> Iterator[tuple[str, Iterator[str]]]:
    """Each day's file as (day, digests of its lines); a torn last line is a line too."""
    if not directory.is_dir():
        return
    for path in sorted(directory.glob("audit-*.jsonl*")):
        if path.suffix == ".jsonl":
            yield path.name[6:16], _digests(path.read_bytes())
        elif path.suffix == ".gz":
            yield path.name[6:16], _digests(gzip.decompress(path.read_bytes()))


def _digests(content: bytes) -> Iterator[str]:
    return (sha256_hex(line) for line in content.split(b"\n") if line)


def _problems(link: Link, before: Link | None, *, begins: bool) -> Iterator[str]:
    broken = problem_with(link, before, link.prev_hash if before is None else "")
    place = f"event {link.seq} of {link.run_id}"
    if broken is not None:
        yield f"{place}: {broken.problem}"
    if before is None and (link.prev_hash or link.seq != 1):
        yield f"{place}: history begins here, but not with a first event"
    if begins and link.envelope["event_type"] != "RUN_STARTED":
        yield f"{place}: the run begins with {link.envelope['event_type']}"
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
    return datetime.fromtimestamp(day_s, UTC).strftime("%Y-%m-%d")
