"""Payload samples by name, each as the bytes that would arrive."""

import json
from pathlib import Path

import pytest

_PAYLOADS = Path(__file__).parent / "payloads"


def _samples(name: str) -> dict[str, bytes]:
    whole = json.loads((_PAYLOADS / name).read_text(encoding="utf-8"))
    return {
        key: json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        for key, value in whole.items()
    }


@pytest.fixture(scope="session")
def rest() -> dict[str, bytes]:
    """REST bodies."""
    return _samples("rest.json")


@pytest.fixture(scope="session")
def sockets() -> dict[str, bytes]:
    """Frames of market streams and of the WebSocket API."""
    return _samples("sockets.json")
