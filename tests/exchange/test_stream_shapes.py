"""Frames have the members, types and decimals of frames recorded from the real exchange."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.exchange.stream_rig import Rig

_NUMBER = re.compile(r"-?\d+(?:\.(\d+))?")
SHAPES: dict[str, Any] = json.loads(
    (Path(__file__).parent / "payloads" / "stream_shapes.json").read_text()
)["shapes"]
# What no recording at hand holds, as the exchange documents it.
DOCUMENTED = {
    "miniTicker": ["e", "E", "s", "c", "o", "h", "l", "v", "q"],
    "avgPrice": ["e", "E", "s", "i", "w", "T"],
    "ticker_1h": list("eEspPohlcwvqOCFLn"),
    "ticker_4h": list("eEspPohlcwvqOCFLn"),
    "ticker_1d": list("eEspPohlcwvqOCFLn"),
}


def shape(value: object) -> object:
    """What a value looks like, without saying which it is; lists are known by their first."""
    match value:
        case bool():
            return "flag"
        case int():
            return "whole"
        case str():
            number = _NUMBER.fullmatch(value)
            if number is None:
                return "word"
            return f"decimal.{len(number[1])}" if number[1] else "digits"
        case list():
            return [shape(value[0])] if value else []
        case dict():
            return {name: shape(member) for name, member in value.items()}
        case _:
            return value


def spoken(kind: str) -> Any:
    """What a stream says while its symbol trades."""
    with Rig() as rig:
        ear = rig.ear(f"b000usdt@{kind}")
        rig.book("B000USDT", 100, 102, qty=7)
        rig.print("B000USDT", "102", "2")
        rig.to(4000)
        return ear.payloads()[0]


@pytest.mark.parametrize("kind", SHAPES)
def test_a_frame_looks_like_a_recorded_one(kind: str) -> None:
    payload = spoken(kind)

    assert shape(payload) == SHAPES[kind]
    assert list(payload) == list(SHAPES[kind])
    if "k" in payload:
        assert list(payload["k"]) == list(SHAPES[kind]["k"])


@pytest.mark.parametrize("kind", DOCUMENTED)
def test_a_frame_has_the_documented_members(kind: str) -> None:
    payload = spoken(kind)

    assert list(payload) == DOCUMENTED[kind]
    assert {shape(payload[name]) for name in payload if name in "cohlvqw"} <= {"decimal.8"}
