"""What a data set's manifest states beyond what playing it needs."""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import msgspec

from livespot.contracts.base import Message
from livespot.contracts.errors import PreflightFailed
from livespot.exchange.candle import MINUTE_MS

MISSING = "missing in the source"
TOO_SMALL = "volume too small to play"
UNLISTED = "before or after the source's files"


class Gap(Message, frozen=True):
    """A stretch without data: `from_ms` is in it, `to_ms` is not."""

    from_ms: int
    to_ms: int
    cause: str

    @property
    def minutes(self) -> int:
        """Its length in minutes, rounded up."""
        return -(-(self.to_ms - self.from_ms) // MINUTE_MS)


class SourceFile(Message, frozen=True):
    """A file that a set was made of; `rows` counts those in the file."""

    file: str
    sha256: str
    rows: int


class Origin(Message, frozen=True):
    """Where a set comes from, and its known defects.

    `gaps` are by symbol, in time order; `duplicates` counts repeated rows, which were left out.
    """

    source: str
    files: tuple[SourceFile, ...] = ()
    gaps: dict[str, tuple[Gap, ...]] = msgspec.field(default_factory=dict)
    duplicates: dict[str, int] = msgspec.field(default_factory=dict)
    notes: tuple[str, ...] = ()


class HeadWithOrigin(msgspec.Struct, frozen=True):
    """The part of a manifest that every set has."""

    format: str
    id: str
    start_ms: int
    end_ms: int
    origin: Origin | None = None


def gaps_between(
    opens: Iterable[int], width_ms: int, span: tuple[int, int], causes: dict[int, str]
) -> tuple[Gap, ...]:
    """Return every stretch of a span that no candle covers; `opens` are in time order.

    `causes` says for single open times why their candle is missing.
    """
    found: list[Gap] = []
    for before, after in pairwise((span[0] - width_ms, *opens, span[1])):
        outer = before < span[0] or after >= span[1]
        for at in range(before + width_ms, after, width_ms):
            cause = causes.get(at, UNLISTED if outer else MISSING)
            if found and found[-1].to_ms == at and found[-1].cause == cause:
                found[-1] = Gap(from_ms=found[-1].from_ms, to_ms=at + width_ms, cause=cause)
            else:
                found.append(Gap(from_ms=at, to_ms=at + width_ms, cause=cause))
    return tuple(found)


def sha256_of(content: bytes) -> str:
    """Return a content's SHA-256 in the form that manifests use."""
    return hashlib.sha256(content).hexdigest()


def require_fresh(directory: Path) -> None:
    """Refuse a directory with other files in it. Raises `PreflightFailed`."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise PreflightFailed(
            f"{directory} exists and is not empty, so nothing was written.\n"
            "Next: name a new directory with --into"
        )
    directory.mkdir(parents=True, exist_ok=True)


def write_json(path: Path, document: object) -> bytes:
    """Write indented JSON, byte for byte the same for the same content; returns the bytes."""
    content = msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"
    path.write_bytes(content)
    return content


def rows_for(rows: Sequence[dict[str, object]], symbols: Iterable[str]) -> list[dict[str, object]]:
    """Return the rules of these symbols, in order.

    Raises `PreflightFailed` when some are missing.
    """
    known = {str(row.get("symbol")): row for row in rows}
    wanted = sorted(symbols)
    absent = [symbol for symbol in wanted if symbol not in known]
    if absent:
        raise PreflightFailed(
            f"there are no trading rules of {', '.join(absent)}.\nNext: save the answer of "
            f"/api/v3/exchangeInfo?symbol={absent[0]} to a file and name it with --rules"
        )
    return [known[symbol] for symbol in wanted]
