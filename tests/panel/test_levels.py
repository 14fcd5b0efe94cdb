"""Stops and targets as they stood in time, from what was asked of the exchange."""

from dataclasses import replace
from typing import Any

from livespot.contracts.canonical import canonical_json
from livespot.panel.levels import StoredChange, levels_of
from livespot.panel.tabs import LevelView

_PLAN = {"want": "LIST", "sl_price": "98.00", "tp_price": "103.00"}


def _change(at_ms: int, phase: str = "PROTECTED", *wanted: dict[str, Any]) -> StoredChange:
    data = canonical_json({"phase": phase, "wanted": [*wanted]}).decode()
    return StoredChange(symbol="BTCUSDT", at_ms=at_ms, data=data)


def test_a_closed_position_ends_its_levels() -> None:
    levels = levels_of([_change(10, "PROTECTED", _PLAN), _change(90, "FLAT")], None, 0)

    assert levels == (
        LevelView(kind="STOP", price="98.00", from_ms=10, to_ms=90),
        LevelView(kind="TARGET", price="103.00", from_ms=10, to_ms=90),
    )


def test_a_stop_that_moves_is_a_staircase() -> None:
    moves = [
        _change(at, "TRAILING", {**_PLAN, "sl_price": price})
        for at, price in ((10, "98.00"), (20, "99.00"), (30, "99.000"), (40, "100.00"))
    ]

    stops = [
        level for level in levels_of(moves, ("100.00", "103.00", 5), 0) if level.kind == "STOP"
    ]

    assert [(s.price, s.from_ms, s.to_ms) for s in stops] == [
        ("98.00", 10, 20),
        ("99.00", 20, 40),
        ("100.00", 40, None),
    ]


def test_a_target_that_begins_to_trail_is_drawn_as_such() -> None:
    trail = {**_PLAN, "trailing_delta": 80}

    levels = levels_of(
        [_change(10, "PROTECTED", _PLAN), _change(20, "PROTECTED", trail)],
        ("98.00", "103.00", 5),
        0,
    )

    by_kind = {level.kind: level for level in levels}
    assert by_kind["TARGET"].to_ms == 20
    assert (by_kind["TRAIL"].to_ms, by_kind["TRAIL"].trailing_bps) == (None, 80)


def test_wishes_without_prices_draw_nothing() -> None:
    close = {"want": "CLOSE", "qty": "1", "limit_price": None}
    none = {"want": "STOP", "sl_price": "0", "tp_price": None}

    assert levels_of([_change(10, "CLOSING", close, none)], None, 0) == ()


def test_legs_that_came_with_the_entry_are_drawn_from_their_orders() -> None:
    armed = replace(_change(10), attached_stop="98.00", attached_target="103.00")
    trailing = replace(armed, attached_trail_bps=105)

    fixed = levels_of([armed, _change(90, "FLAT")], None, 0)
    native = levels_of([trailing, _change(90, "FLAT")], None, 0)

    assert fixed == (
        LevelView(kind="STOP", price="98.00", from_ms=10, to_ms=90),
        LevelView(kind="TARGET", price="103.00", from_ms=10, to_ms=90),
    )
    assert [(level.kind, level.trailing_bps) for level in native] == [
        ("STOP", None),
        ("TRAIL", 105),
    ]


def test_a_swapped_stop_begins_where_the_first_one_ends_and_has_no_target_beside_it() -> None:
    armed = replace(_change(10), attached_stop="98.00", attached_target="103.00")
    asked = _change(50, "PROTECTED", {"want": "SWAP", "sl_price": "101.00"})
    data = canonical_json({"phase": "TRAILING", "wanted": [], "swap_gap_ms": 0}).decode()
    done = replace(asked, at_ms=51, data=data, attached_stop="98.00", attached_target="103.00")

    levels = levels_of([armed, asked, done, _change(90, "FLAT")], None, 0)

    assert [(level.kind, level.price, level.from_ms, level.to_ms) for level in levels] == [
        ("STOP", "98.00", 10, 50),
        ("TARGET", "103.00", 10, 51),
        ("STOP", "101.00", 50, 90),
    ]


def test_a_position_older_than_the_changes_keeps_its_levels() -> None:
    levels = levels_of([], ("98.00", "103.00", 5), 40)

    assert [(level.kind, level.from_ms, level.to_ms) for level in levels] == [
        ("STOP", 40, None),
        ("TARGET", 40, None),
    ]
