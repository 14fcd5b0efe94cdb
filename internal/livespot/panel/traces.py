"""The answer of `/api/decisions/{id}` and `/api/intents/{id}`: one course, step by step."""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from livespot.contracts.base import Message
from livespot.contracts.schemas import schema_text
from livespot.panel.codes import CodeView

TRACE_VERSION = 1
SqlValue = str | int


class IdView(Message, frozen=True):
    """An id a person may want to copy; `name` says what it names."""

    name: str
    value: str


class StepView(Message, frozen=True):
    """One step of the course; every course has all steps, in the same order.

    `state` is DONE, STOPPED (the course ended here), NONE (nothing was recorded, `lines` say
    why) or WAITING (its outcome is not known yet). `facts` are the rows behind the words.
    """

    name: str
    title: str
    state: str
    lines: tuple[str, ...]
    codes: tuple[CodeView, ...] = ()
    facts: tuple[dict[str, Any], ...] = ()


class TraceView(Message, frozen=True):
    """A whole course; `kind` is DECISION or INTENT, `related` can be asked for in the same way."""

    schema_version: int
    kind: str
    id: str
    symbol: str
    headline: str
    at_ms: int
    ids: tuple[IdView, ...]
    steps: tuple[StepView, ...]
    related: tuple[IdView, ...] = ()


class RowReader(Protocol):
    """How a trace reads: every call sees the same state of the database."""

    async def rows(self, sql: str, values: Sequence[SqlValue] = ()) -> list[tuple[Any, ...]]: ...


class Traces(Protocol):
    """Reads courses from the database; None for an id that it does not hold."""

    async def decision(self, reader: RowReader, decision_id: str) -> TraceView | None: ...

    async def intent(self, reader: RowReader, order_intent_id: str) -> TraceView | None: ...


def trace_schema() -> str:
    """The published JSON Schema of a trace, as the text of its file."""
    return schema_text(msgspec.json.schema(TraceView))
