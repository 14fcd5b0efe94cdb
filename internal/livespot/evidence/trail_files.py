"""Compares events, as they are read, with the trail, holding one day's file at a time."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from livespot.contracts.canonical import sha256_hex
from livespot.contracts.chain import Link
from livespot.evidence.removed_days import RemovedDays
from livespot.store.anchors import TrailDay
from livespot.store.day_files import packed_name, plain_name, unpacked

_DAY_MS = 86_400_000
_NO_DAY = "a day that does not exist"


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesCheck:
    """How the files compare with the events, line by line and day by day.

    `places` are the first lines that differ, in the order of the days, then missing files.
    """

    files: int
    lines: int
    missing: int
    unknown: int
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """One day's file: its name, its lines, and what is wrong with it apart from the lines."""

    name: str
    lines: list[bytes]
    torn: bool
    other_bytes: str


@dataclass(slots=True, kw_only=True)
class _Day:
    """A day's comparison so far; after the first difference, the rest is kept as digests."""

    name: str
    lines: int
    torn: bool
    other_bytes: str
    events: int = 0
    place: str = ""
    wanted: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)


class FilesComparison:
    """Give it every event in the order of the chain, then ask for the result.

    A day whose file was removed at its age lacks no lines. Reading a file raises `OSError`.
    """

    def __init__(self, directory: Path, days: Mapping[str, TrailDay]) -> None:
        self._directory = directory
        self._known = days
        self._removed = RemovedDays(directory, days)
        self._days: dict[str, _Day | None] = {}
        self._without_file: Counter[str] = Counter()
        self._open_day = ""
        self._lines: list[bytes] = []

    def see(self, link: Link) -> None:
        """Compare the next event with the next line of its day."""
        day = _day_of(link)
        if day in self._removed:
            self._removed.see(day, link.line)
            return
        compared = self._turned_to(day)
        if compared is None:
            self._without_file[day] += 1
            return
        at = compared.events
        compared.events += 1
        line = link.line
        if not compared.place:
            if at < len(self._lines) and self._lines[at] == line:
                return
            self._differs(compared, at, f"event {link.seq} of {link.run_id}")
        compared.wanted[sha256_hex(line)] += 1

    def result(self) -> FilesCheck:
        """Return the result, once every event was seen."""
        for day in _days_in(self._directory):
            if day not in self._days and day not in self._removed:
                self._turned_to(day)
        present = [compared for _, compared in sorted(self._days.items()) if compared is not None]
        missing, unknown = sum(self._without_file.values()), 0
        places: list[str] = []
        for compared in present:
            lost, stray = _difference(compared)
            missing, unknown = missing + lost, unknown + stray
            place = compared.place or _place_at_the_end(compared)
            if place:
                places.append(place)
        strays = self._removed.places()
        places += strays
        places += [
            f"{plain_name(day)} is missing, {count} events long"
            for day, count in sorted(self._without_file.items())
        ]
        return FilesCheck(
            files=len(present),
            lines=sum(compared.lines for compared in present),
            missing=missing,
            unknown=unknown + len(strays),
            places=tuple(places),
        )

    def _turned_to(self, day: str) -> _Day | None:
        """Return the day with its file, None without one; a later run may return to a day."""
        if day == self._open_day:
            return self._days[day]
        file = _file(self._directory, day, self._known.get(day))
        self._open_day = day
        self._lines = [] if file is None else file.lines
        if day not in self._days:
            self._days[day] = None if file is None else _begun(file)
        return self._days[day]

    def _differs(self, compared: _Day, at: int, owner: str) -> None:
        wrong = "not what the database holds of" if at < len(self._lines) else "missing,"
        compared.place = f"{compared.name}, line {at + 1}: {wrong} {owner}"
        compared.found.update(sha256_hex(line) for line in self._lines[at:])


def _begun(file: _File) -> _Day:
    return _Day(name=file.name, lines=len(file.lines), torn=file.torn, other_bytes=file.other_bytes)


def _difference(compared: _Day) -> tuple[int, int]:
    """Return (lines the file lacks, lines the database lacks); a wrong order counts in both."""
    if not compared.place:
        return 0, compared.lines - compared.events
    lost = (compared.wanted - compared.found).total()
    stray = (compared.found - compared.wanted).total()
    return (lost, stray) if lost or stray else (1, 1)


def _place_at_the_end(compared: _Day) -> str:
    """Say what is wrong with a file whose lines match as far as there are events."""
    if compared.lines > compared.events:
        return f"{compared.name}, line {compared.events + 1}: no event of the database"
    if compared.torn:
        return f"{compared.name}, line {compared.lines}: its end is missing"
    return compared.other_bytes


def _days_in(directory: Path) -> Iterable[str]:
    return sorted({path.name[6:16] for path in directory.glob("audit-*.jsonl*")})


def _file(directory: Path, day: str, known: TrailDay | None) -> _File | None:
    """Read the lines of a day; a damaged archive has none.

    A packed file beside a plain one is unfinished, unless it is on record. If it is, the plain one
    is about to be removed or holds later events.
    """
    plain, archive = directory / plain_name(day), directory / packed_name(day)
    later = plain.read_bytes() if plain.is_file() else None
    packed = archive.read_bytes() if archive.is_file() else None
    name, content = plain.name, later
    if packed is not None and (later is None or known is not None):
        # Every line of a damaged archive counts as missing.
        name, content = archive.name, unpacked(packed) or b""
        if later is not None and later != content:
            content += later
    if content is None:
        return None
    *lines, torn = content.split(b"\n")
    return _File(
        name=name,
        lines=[*lines, torn] if torn else lines,
        torn=bool(torn),
        other_bytes=_other_bytes(name, packed, known),
    )


def _other_bytes(name: str, packed: bytes | None, known: TrailDay | None) -> str:
    """Say whether packed bytes differ in what unpacking ignores, such as a bit of the header."""
    if known is None or (packed is not None and sha256_hex(packed) == known.sha256):
        return ""
    return f"{name}: not the bytes that were packed, {known.lines} lines long"


def _day_of(link: Link) -> str:
    day_s = int(link.envelope["ts_ms"]) // _DAY_MS * (_DAY_MS // 1000)
    try:
        return datetime.fromtimestamp(day_s, UTC).strftime("%Y-%m-%d")
    except (ValueError, OverflowError, OSError):
        return _NO_DAY
