"""One stage between the universe and an order, as it stood for a symbol at an instant."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from livespot.contracts.base import Message
from livespot.contracts.settings import Settings
from livespot.evidence.moments import instant
from livespot.store.reader import Reader, Row, first


class Passage(StrEnum):
    """How a symbol fared at a stage."""

    PASSED = "PASSED"
    STOPPED = "STOPPED"
    TRADED = "TRADED"
    NOT_REACHED = "NOT_REACHED"


class Link(Message, frozen=True):
    """A stage: how the symbol fared there, why, and since when (0: at that moment)."""

    stage: str
    passage: Passage
    text: str
    codes: tuple[str, ...] = ()
    since_ms: int = 0
    ids: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The text, with the time since when it holds."""
        return f"{self.text} (since {instant(self.since_ms)})" if self.since_ms else self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A symbol at an instant of a run, with that run's settings."""

    reader: Reader
    symbol: str
    at_ms: int
    run_id: str
    settings: Settings

    async def first(self, sql: str, *values: str | int) -> Row | None:
        return await first(self.reader, sql, values)

    async def newest(self, columns: str, table: str, condition: str = "1") -> Row | None:
        """Return the symbol's newest row of a table in this run, at or before the instant."""
        return await self.first(
            f"SELECT {columns} FROM {table} "  # noqa: S608  literals of this package
            f"WHERE symbol = ? AND run_id = ? AND at_ms <= ? AND {condition} "
            "ORDER BY at_ms DESC, rowid DESC LIMIT 1",
            self.symbol,
            self.run_id,
            self.at_ms,
        )

    async def cycle(self, event_type: str, stage: str) -> tuple[str, int] | None:
        """Return the newest cycle of a kind at or before the instant, with its time."""
        row = await self.first(
            "SELECT cycle_id, ts_ms FROM audit_events WHERE event_type = ? AND stage = ? "
            "AND run_id = ? AND ts_ms <= ? ORDER BY id DESC LIMIT 1",
            event_type,
            stage,
            self.run_id,
            self.at_ms,
        )
        return None if row is None else (row[0], row[1])


def codes_of(text: str) -> tuple[str, ...]:
    """Decode a stored array of reasons."""
    return tuple(msgspec.json.decode(text, type=list[str]))


def tree_of(text: str) -> dict[str, Any]:
    """Decode a stored object."""
    return msgspec.json.decode(text, type=dict[str, Any])


def listed(parts: Sequence[str]) -> str:
    return "; ".join(parts)
