"""JSON Schemas of the contracts that leave the program, generated from the types."""

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
    """A schema as it is stored in a file."""
    encoded = msgspec.json.encode(schema, order="sorted")
    return msgspec.json.format(encoded, indent=2).decode() + "\n"
