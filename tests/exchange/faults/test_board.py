"""Faults begin, hit and end when the plan says so, and always in the same way."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from livespot.exchange.faults.board import FaultBoard
from livespot.exchange.faults.loader import plan_of
from livespot.exchange.faults.matching import Subject

ORDER = Subject(
    kind="rest",
    leg="request",
    method="POST",
    path="/api/v3/order",
    params={"symbol": "SOLUSDT", "side": "BUY"},
)
PING = Subject(kind="rest", leg="request", method="GET", path="/api/v3/ping")
DROP = {"verb": "net.drop_response", "target": "rest"}


def board(*faults: dict[str, Any], seed: int = 0, now_ms: int = 1000, **plan: Any) -> FaultBoard:
    found = FaultBoard()
    rows = [{"id": f"f{number}", "what": DROP, **fault} for number, fault in enumerate(faults)]
    found.add(plan_of({"seed": seed, "faults": rows, **plan}), now_ms)
    return found


def run(found: FaultBoard, subjects: list[Subject], now_ms: int = 1000) -> list[int]:
    """Which of the subjects are hit."""
    list(found.advance(now_ms))
    return [number for number, subject in enumerate(subjects) if found.hit(subject)]


def test_without_a_time_a_fault_is_armed_from_the_start() -> None:
    assert run(board({}), [ORDER, PING]) == [0, 1]


def test_only_what_matches_is_hit() -> None:
    match = {"method": "POST", "path": "/api/v3/ord*", "params": {"side": "BUY"}}

    assert run(board({"match": match}), [PING, ORDER]) == [1]
    assert run(board({"match": {"symbol": "ADAUSDT"}}), [PING, ORDER]) == []


def test_the_nth_match_is_hit_once_unless_more_are_asked_for() -> None:
    assert run(board({"when": {"nth": 3}}), [PING] * 6) == [2]
    assert run(board({"when": {"nth": 3, "count": 2}}), [PING] * 6) == [2, 3]
    assert run(board({"when": {"count": 2}}), [PING] * 6) == [0, 1]


def test_a_window_opens_and_closes_at_its_planned_times() -> None:
    found = board({"when": {"after_ms": 500, "for_ms": 200}}, {"when": {"at_ms": 1600}})

    assert found.next_ms() == 1500
    assert run(found, [PING], 1499) == []
    turns = list(found.advance(5000))

    assert [(turn.course.fault.id, turn.at_ms, turn.begins) for turn in turns] == [
        ("f0", 1500, True),
        ("f1", 1600, True),
        ("f0", 1700, False),
    ]
    assert found.next_ms() is None


def test_healing_ends_everything_at_once() -> None:
    found = board({}, {"when": {"after_ms": 900}}, heal_after_ms=300)

    ends = [(turn.course.fault.id, turn.at_ms) for turn in found.advance(9000) if not turn.begins]

    assert ends == [("f0", 1300), ("f1", 1300)]


def test_chance_follows_the_seed() -> None:
    asked = {"when": {"probability_x10000": 3000}}

    first = run(board(asked, seed=5), [PING] * 300)

    assert first == run(board(asked, seed=5), [PING] * 300)
    assert first != run(board(asked, seed=6), [PING] * 300)
    assert 50 < len(first) < 130


@given(st.lists(st.integers(min_value=0, max_value=9000), max_size=12))
def test_the_course_of_a_plan_does_not_depend_on_when_it_is_looked_at(looks: list[int]) -> None:
    def history(times: list[int]) -> list[tuple[str, int, bool]]:
        found = board(
            {"when": {"after_ms": 40, "for_ms": 3000}},
            {"when": {"after_ms": 7000}},
            {"what": {"verb": "clock.step", "ms": 5}, "when": {"at_ms": 2000}},
        )
        return [
            (turn.course.fault.id, turn.at_ms, turn.begins)
            for at_ms in [*sorted(times), 10_000]
            for turn in found.advance(at_ms)
        ]

    assert history(looks) == history([])


def test_halts_concern_mutations_of_both_faces() -> None:
    halt = {"what": {"verb": "ex.halt", "cancels": False}}
    by_socket = Subject(kind="ws_api", leg="request", method="v3/order.place")
    cancel = Subject(kind="rest", leg="request", method="DELETE", path="/api/v3/order")
    test = Subject(kind="rest", leg="request", method="POST", path="/api/v3/order/test")

    assert run(board(halt), [ORDER, by_socket, PING, cancel, test]) == [0, 1]


def test_a_bare_reset_of_sockets_waits_for_connections_and_another_for_frames() -> None:
    connect = Subject(kind="ws_md", leg="connect", path="/stream")
    frame = Subject(kind="ws_md", leg="frame", stream="solusdt@trade", params={"s": "SOLUSDT"})
    reset = {"verb": "net.reset", "target": "ws_md"}

    assert run(board({"what": reset}), [connect, frame]) == [0]
    named = {"what": reset, "match": {"stream": "*@trade"}}
    assert run(board(named), [connect, frame]) == [1]


def test_the_next_turn_is_looked_for_anew_whenever_a_fault_comes_or_goes() -> None:
    found = board({"when": {"after_ms": 500}}, {"when": {"after_ms": 900}})
    assert found.next_ms() == 1500
    found.end(found.courses["f0"])
    assert found.next_ms() == 1900
    rows = [{"id": "sooner", "what": DROP, "when": {"at_ms": 1700}}]
    found.add(plan_of({"seed": 0, "faults": rows}), 1000)
    assert found.next_ms() == 1700
    assert [turn.at_ms for turn in found.advance(1800)] == [1700]
    assert found.next_ms() == 1900
