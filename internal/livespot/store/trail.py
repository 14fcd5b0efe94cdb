"""The JSONL trail: one file per UTC day, appended after each commit, repaired from the database."""

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import msgspec

from livespot.contracts.audit import TrailRepair
from livespot.contracts.chain import SealedEvent
from livespot.runtime.disk import Disk
from livespot.store.chain import links
from livespot.store.reader import Reader, first

_DAY_MS = 86_400_000


class JsonlTrail:
    """Writes an event to the file of its stamp's UTC day: the files follow from the database."""

    def __init__(self, disk: Disk, directory: Path, reader: Reader) -> None:
        self._disk = disk
        self._directory = directory
        self._reader = reader

    def append(self, events: Sequence[SealedEvent]) -> None:
        """Append events in order, without a sync: `repair` restores what a crash loses."""
        for day, group in groupby(events, key=lambda event: event.place.ts_ms // _DAY_MS):
            lines = b"".join(event.line + b"\n" for event in group)
            self._disk.append(self.path_of(day), lines, durable=False)

    async def repair(self) -> TrailRepair:
        """Make the files of the newest two days, and any later ones, equal to the database.

        A whole line that the database does not know means that the database was put back to an
        earlier state; such lines are kept in `<file>.unknown`. Raises `OSError` and `StoreBusy`.
        """
        self._disk.make_directory(self._directory)
        added = removed = unknown = 0
        for day in await self._recent_days():
            if self._disk.exists(self.path_of(day).with_suffix(".jsonl.gz")):
                continue
            if await self._is_whole(day):
                continue
            done = await self._rebuild(day)
            added, removed = added + done.added, removed + done.removed
            unknown += done.unknown
        return TrailRepair(added=added, removed=removed, unknown=unknown)

    def path_of(self, day: int) -> Path:
        """Return the file of a day, which is counted from the epoch."""
        return self._directory / f"audit-{_day_text(day)}.jsonl"

    async def _recent_days(self) -> list[int]:
        row = await first(self._reader, "SELECT ts_ms FROM audit_events ORDER BY id DESC LIMIT 1")
        newest = None if row is None else int(row[0]) // _DAY_MS
        days = set() if newest is None else {newest - 1, newest}
        for name in self._disk.names(self._directory):
            day = _day_of(name)
            if day is not None and (newest is None or day >= newest):
                days.add(day)
        return sorted(days)

    async def _is_whole(self, day: int) -> bool:
        """Whether the file has a line for each event of the database and ends with the same one."""
        bounds = (day * _DAY_MS, (day + 1) * _DAY_MS)
        count = await first(
            self._reader, "SELECT count(*) FROM audit_events WHERE ts_ms >= ? AND ts_ms < ?", bounds
        )
        last = await first(
            self._reader,
            "SELECT hash FROM audit_events WHERE ts_ms >= ? AND ts_ms < ? ORDER BY id DESC LIMIT 1",
            bounds,
        )
        lines = 0
        newest = b""
        for line in self._lines(day):
            lines += 1
            newest = line
        expected = 0 if count is None else int(count[0])
        if lines != expected:
            return False
        return last is None or _hash_of(newest) == last[0]

    async def _rebuild(self, day: int) -> TrailRepair:
        present = list(self._lines(day))
        hashes = {found for found in map(_hash_of, present) if found}
        wanted: list[bytes] = []
        added = 0
        async for line, digest in self._expected(day):
            wanted.append(line)
            added += digest not in hashes
            hashes.discard(digest)
        stray = [line for line in present if _hash_of(line) in hashes]
        path = self.path_of(day)
        if stray:
            self._disk.append(
                path.with_name(path.name + ".unknown"), b"".join(line + b"\n" for line in stray)
            )
        self._disk.write_atomic(path, b"".join(line + b"\n" for line in wanted))
        removed = len(present) + added - len(wanted)
        return TrailRepair(added=added, removed=removed, unknown=len(stray))

    async def _expected(self, day: int) -> AsyncIterator[tuple[bytes, str]]:
        async for link in links(self._reader, from_ms=day * _DAY_MS, until_ms=(day + 1) * _DAY_MS):
            yield link.line, link.hash

    def _lines(self, day: int) -> Iterator[bytes]:
        """Yield a file's lines without their ends; a torn last line counts as one."""
        path = self.path_of(day)
        if not self._disk.exists(path):
            return
        rest = b""
        for chunk in self._disk.chunks(path):
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole
        if rest:
            yield rest


def _hash_of(line: bytes) -> str:
    """Return the hash that a line carries; empty when it is not a whole event."""
    try:
        event = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return str(event.get("hash", "")) if isinstance(event, dict) else ""


# Nearly every event is of the same day as the one before it.
@lru_cache(maxsize=4)
def _day_text(day: int) -> str:
    return datetime.fromtimestamp(day * _DAY_MS // 1000, UTC).strftime("%Y-%m-%d")


def _day_of(name: str) -> int | None:
    if not (name.startswith("audit-") and name.endswith(".jsonl")):
        return None
    try:
        moment = datetime.strptime(name[6:-6], "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return round(moment.timestamp() * 1000) // _DAY_MS
