"""Walks the event chain once, comparing each event with its line in the JSONL trail."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from livespot.contracts.chain import Link, bridged, problem_with
from livespot.contracts.errors import AuditUnwritable, PayloadInvalid
from livespot.contracts.records import ChainAnchor
from livespot.evidence.rows import TrailCheck
from livespot.evidence.trail_files import FilesComparison
from livespot.evidence.upkeep_events import Said, SignedOff, days_unsigned, upkeep_said
from livespot.store.anchors import AnchorPages, TrailDay, trail_days
from livespot.store.chain import links
from livespot.store.reader import Reader

_MOST_PROBLEMS = 20


@dataclass(slots=True)
class _Walk:
    """The state of the walk; `said` is what the upkeep's events state about packed days."""

    reader: Reader
    anchors: AnchorPages
    events: int = 0
    runs: int = 0
    pruned: int = 0
    problems: list[str] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    signed: SignedOff = field(default_factory=SignedOff)

    async def over(self, link: Link) -> dict[str, ChainAnchor]:
        """Return the anchors of what was pruned before an event, by the hash they follow."""
        return {anchor.prev_hash: anchor for anchor in await self._anchors_before(link.row)}

    async def _anchors_before(self, row: int) -> list[ChainAnchor]:
        try:
            found = await self.anchors.before(row)
        except (AuditUnwritable, PayloadInvalid) as error:
            self.cannot_read(error)
            return []
        for anchor in found:
            self._take(anchor)
        return found

    def hear(self, link: Link) -> None:
        """Note what an event states about the upkeep, if it is one of those."""
        for said in upkeep_said(link):
            if said.of_an_anchor:
                self.signed.stated(said.data)
            else:
                self.said.append(said)

    async def close(self) -> None:
        """Take the anchors after the last event, and check that an event vouches for each."""
        try:
            async for anchor in self.anchors.rest():
                self._take(anchor)
            self.problems += await self.signed.problems(self.reader, most=_MOST_PROBLEMS)
        except (AuditUnwritable, PayloadInvalid) as error:
            self.cannot_read(error)

    def cannot_read(self, error: Exception) -> None:
        self.problems.append(f"anchors or packed days of a pruned event cannot be read: {error}")

    def _take(self, anchor: ChainAnchor) -> None:
        self.pruned += anchor.last_seq - anchor.first_seq + 1
        self.signed.anchor(anchor)


async def walk(reader: Reader, trail_dir: Path) -> TrailCheck:
    """Read every event once. Raises `StoreBusy`, and `OSError` for the files."""
    seen = _Walk(reader, AnchorPages(reader))
    days: dict[str, TrailDay] = {}
    try:
        days = {day.day: day for day in await trail_days(reader)}
    except (AuditUnwritable, PayloadInvalid) as error:
        seen.cannot_read(error)
    files = FilesComparison(trail_dir, days)
    await _read(seen, files)
    await seen.close()
    seen.problems += days_unsigned(days.values(), seen.said)
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
        pruned=seen.pruned,
    )


async def _read(seen: _Walk, files: FilesComparison) -> None:
    """Read the chain. Raises `StoreBusy`; damage is noted as a problem and ends the reading."""
    before: Link | None = None
    try:
        async for link in links(seen.reader):
            seen.events += 1
            before = bridged(before, link, await seen.over(link))
            begins = before is None or before.run_id != link.run_id
            seen.runs += begins
            if len(seen.problems) < _MOST_PROBLEMS:
                seen.problems.extend(_problems(link, before, begins=begins))
            seen.hear(link)
            files.see(link)
            before = link
    except (PayloadInvalid, AuditUnwritable) as error:
        last = "the beginning" if before is None else f"event {before.seq} of {before.run_id}"
        seen.problems.insert(0, f"after {last}: {error}")


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
