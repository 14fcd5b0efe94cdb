"""JSON Schemas of the contracts that leave the program, generated from the types."""

import inspect
from typing import Any

import msgspec

from livespot.contracts.decision import AIGateResult, Decision
from livespot.contracts.market import Snapshot

_PUBLISHED = {"snapshot": Snapshot, "decision": Decision, "ai_gate_result": AIGateResult}


def published_schemas() -> dict[str, str]:
    """File name to indented JSON text, keys sorted, one trailing newline."""
    return {
        f"{name}.schema.json": schema_text(msgspec.json.schema(kind))
        for name, kind in _PUBLISHED.items()
    }


def schema_text(schema: dict[str, Any]) -> str:
    """A schema as it is stored in a file: the same on every version of Python."""
    encoded = msgspec.json.encode(_unindented(schema), order="sorted")
    return msgspec.json.format(encoded, indent=2).decode() + "\n"


def _unindented(value: Any) -> Any:
    # Descriptions come from docstrings, and only Python 3.13 and newer strip their indentation.
    match value:
        case dict():
            return {key: _unindented(part) for key, part in value.items()}
        case list() | tuple():
            return [_unindented(part) for part in value]
        case str():
            return inspect.cleandoc(value)
        case _:
            return value
