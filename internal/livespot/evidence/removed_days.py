"""Checks files of days whose file was removed at its age: they may hold nothing unwritten."""

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from livespot.contracts.canonical import sha256_hex
from livespot.store.anchors import TrailDay
from livespot.store.day_files import packed_name, plain_name, unpacked


@dataclass(slots=True, kw_only=True)
class _Stray:
    """A file of such a day: what is wrong with it as a whole, and its unaccounted lines.

    `lines` maps the digest of each line that no event has accounted for yet to its number.
    """

    name: str
    other_bytes: str = ""
    lines: dict[str, int] = field(default_factory=dict)


class RemovedDays:
    """Give it every event of such a day, then ask for the places.

    A kill may leave the file of a day that is on record as removed, and a clock that was set back
    writes such a day anew; the next round of the upkeep settles both. Reading a file raises
    `OSError`.
    """

    def __init__(self, directory: Path, days: Mapping[str, TrailDay]) -> None:
        self._directory = directory
        self._days = {name: day for name, day in days.items() if day.removed_at_ms}
        self._strays: dict[str, tuple[_Stray, ...]] = {}

    def __contains__(self, day: str) -> bool:
        return day in self._days

    def see(self, day: str, line: bytes) -> None:
        """Account for the line of one event, if a file holds it."""
        strays = self._strays_of(day)
        if not strays:
            return
        digest = sha256_hex(line)
        for stray in strays:
            stray.lines.pop(digest, None)

    def places(self) -> tuple[str, ...]:
        """Return the first thing wrong with each file, in the order of the days."""
        found = []
        for day in sorted(self._days):
            for stray in self._strays_of(day):
                if stray.other_bytes:
                    found.append(stray.other_bytes)
                elif stray.lines:
                    first = min(stray.lines.values())
                    found.append(f"{stray.name}, line {first}: no event of the database")
        return tuple(found)

    def _strays_of(self, day: str) -> tuple[_Stray, ...]:
        if day not in self._strays:
            self._strays[day] = tuple(_strays(self._directory, self._days[day]))
        return self._strays[day]


def _strays(directory: Path, day: TrailDay) -> Iterator[_Stray]:
    plain, archive = directory / plain_name(day.day), directory / packed_name(day.day)
    packed = archive.read_bytes() if archive.is_file() else None
    whole = packed is not None and sha256_hex(packed) == day.sha256
    if packed is not None and not whole:
        name = archive.name
        yield _Stray(
            name=name,
            other_bytes=f"{name}: not the bytes that were packed, {day.lines} lines long",
        )
    if plain.is_file():
        content = plain.read_bytes()
        if sha256_hex(gzip.compress(content, mtime=0)) == day.sha256:
            return
        known = unpacked(packed) or b"" if packed is not None and whole else b""
        told = set(known.split(b"\n"))
        lines = enumerate(content.split(b"\n"), start=1)
        yield _Stray(
            name=plain.name,
            lines={sha256_hex(line): at for at, line in lines if line and line not in told},
        )
