"""What the manifest of a data set states besides what is needed to play it."""

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
    """Nothing is known from `from_ms` to just before `to_ms`."""

    from_ms: int
    to_ms: int
    cause: str

    @property
    def minutes(self) -> int:
        """Its length, rounded up."""
        return -(-(self.to_ms - self.from_ms) // MINUTE_MS)


class SourceFile(Message, frozen=True):
    """What a set was made of; `rows` as they were in the file."""

    file: str
    sha256: str
    rows: int


class Origin(Message, frozen=True):
    """Where a set comes from, and what is known to be wrong with it.

    `gaps` by symbol, in time order; `duplicates` counts rows that came twice and were left out.
    """

    source: str
    files: tuple[SourceFile, ...] = ()
    gaps: dict[str, tuple[Gap, ...]] = msgspec.field(default_factory=dict)
    duplicates: dict[str, int] = msgspec.field(default_factory=dict)
    notes: tuple[str, ...] = ()


class HeadWithOrigin(msgspec.Struct, frozen=True):
    """The part of a manifest every set has."""

    format: str
    id: str
    start_ms: int
    end_ms: int
    origin: Origin | None = None


def gaps_between(
    opens: Iterable[int], width_ms: int, span: tuple[int, int], causes: dict[int, str]
) -> tuple[Gap, ...]:
    """Every stretch of a span that no candle covers; `opens` in time order.

    `causes` says of single open times why they are missing.
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
    """As manifests print it."""
    return hashlib.sha256(content).hexdigest()


def require_fresh(directory: Path) -> None:
    """A set is never mixed with other files; raises `PreflightFailed`."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise PreflightFailed(
            f"{directory} exists and is not empty, so nothing was written.\n"
            "Next: name a new directory with --into"
        )
    directory.mkdir(parents=True, exist_ok=True)


def write_json(path: Path, document: object) -> bytes:
    """Readable, and the same bytes for the same content; answers what was written."""
    content = msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"
    path.write_bytes(content)
    return content


def rows_for(rows: Sequence[dict[str, object]], symbols: Iterable[str]) -> list[dict[str, object]]:
    """The rules of these symbols, in order; raises `PreflightFailed` when some are not there."""
    known = {str(row.get("symbol")): row for row in rows}
    wanted = sorted(symbols)
    absent = [symbol for symbol in wanted if symbol not in known]
    if absent:
        raise PreflightFailed(
            f"there are no trading rules of {', '.join(absent)}.\nNext: save the answer of "
            f"/api/v3/exchangeInfo?symbol={absent[0]} to a file and name it with --rules"
        )
    return [known[symbol] for symbol in wanted]
