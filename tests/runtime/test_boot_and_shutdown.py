"""How a run begins after another, and how it ends: whole runs on virtual time."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import ExitCode
from livespot.contracts.system import OperatorCommand
from livespot.contracts.vocabulary import OperatorAction
from livespot.exchange.faults.plan import (
    AcceptThen,
    Blackhole,
    Delay,
    DropRequest,
    DropResponse,
    Fault,
    Match,
    Reply,
    RevokeKey,
    When,
)
from livespot.exchange.journal import OrderRow, RequestRow, read_journal
from livespot.runtime.replay_life import Surroundings
from livespot.runtime.replay_loop import NS_PER_MS, VirtualLoop
from livespot.runtime.replay_run import ReplayOrder, RunResult, run_virtual
from livespot.runtime.system import System
from livespot.testing.search.kill_scenarios import scenario_named
from livespot.testing.search.plan import DeathPlan, order_of
from livespot.testing.search.troubles import ActorRaises, DiskFull, Trouble

# From the first life's birth; the entry fills at about 65 800.
_FILLED_MS = 65_900
# A revoked key ends the stream of the account first.
_TO_PAUSE = ("DEGRADE", "NORMAL", "DEGRADE", "PAUSE")
_ENTRIES = "SELECT order_intent_id FROM order_intents WHERE role = 'ENTRY'"


def _order(
    directory: Path,
    scenario: str,
    *faults: Fault,
    died_ms: int = 0,
    restart_ms: int = 90_000,
    troubles: tuple[Trouble, ...] = (),
    by_socket: bool = False,
) -> ReplayOrder:
    """One trade; its first life ends suddenly at `died_ms` if given, a later one in order.

    Faults end with the orderly stop; with orders `by_socket`, with the last life.
    """
    found = scenario_named(scenario)
    assert found is not None
    deaths = (DeathPlan(after_ms=died_ms, down_ms=1000),) if died_ms else ()
    plan = msgspec.structs.replace(
        found.plan(*deaths),
        faults=faults,
        troubles=troubles,
        safety_ms=restart_ms + (6000 if by_socket else 0),
    )
    transport = {"venue.order_transport": "WS_API"} if by_socket else {}
    plan = msgspec.structs.replace(plan, settings={**plan.settings, **transport})
    order = order_of(plan, directory, found.market())
    return replace(order, restarts_at_ms=(restart_ms,), span_ms=restart_ms + 6000)


def _rows(result: RunResult, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(result.database)) as connection:
        return connection.execute(sql).fetchall()


def _choices(result: RunResult) -> list[str]:
    """What each life chose, oldest first."""
    sql = "SELECT data FROM audit_events WHERE event_type = 'STAGE_CHANGED' ORDER BY id"
    told = [json.loads(data) for (data,) in _rows(result, sql)]
    return [data["choice"] for data in told if "choice" in data]


def _modes(result: RunResult, life: int) -> list[str]:
    """The modes of a life, beginning with the one it began in."""
    runs = [run for (run,) in _rows(result, "SELECT run_id FROM runs ORDER BY rowid")]
    rows = _rows(result, "SELECT run_id, mode FROM sysmodes ORDER BY id")
    return [mode for run, mode in rows if run == runs[life - 1]]


def _placed(result: RunResult) -> list[tuple[int, str]]:
    """When and where anything was placed or cancelled."""
    rows = [r for r in read_journal(result.journal) if isinstance(r, RequestRow)]
    return [(r.t_arrive, r.path) for r in rows if r.path.startswith("/api/") and r.method != "GET"]


def _stops_standing(result: RunResult) -> bool:
    last = {r.oid: r for r in read_journal(result.journal) if isinstance(r, OrderRow)}
    return any(r.status == "NEW" and r.type.startswith("STOP_LOSS") for r in last.values())


def _crit(result: RunResult) -> set[str]:
    sql = "SELECT reasons FROM audit_events WHERE event_type = 'ALERT_RAISED'"
    sql += " AND json_extract(data, '$.severity') = 'CRIT'"
    return {code for (codes,) in _rows(result, sql) for code in json.loads(codes)}


@pytest.mark.slow
def test_with_nothing_left_behind_a_killed_run_is_followed_by_a_clean_one(tmp_path: Path) -> None:
    result = run_virtual(_order(tmp_path, "attached-list", died_ms=20_000, restart_ms=60_000))

    assert _choices(result) == ["CLEAN"] * 3
    assert _modes(result, 2)[:2] == ["DEGRADE", "NORMAL"]
    assert _placed(result) == []


@pytest.mark.slow
def test_a_protected_position_is_managed_on_and_nothing_is_sent(tmp_path: Path) -> None:
    result = run_virtual(_order(tmp_path, "attached-list", died_ms=_FILLED_MS + 4000))

    assert _choices(result) == ["CLEAN", "RESUME_MANAGE_ONLY", "RESUME_MANAGE_ONLY"]
    assert _modes(result, 2) == ["DEGRADE", "NORMAL", "EXIT"]
    assert len(_placed(result)) == 1
    assert _stops_standing(result)


@pytest.mark.slow
def test_a_bare_position_that_cannot_be_verified_pauses_and_calls_for_a_person(
    tmp_path: Path,
) -> None:
    born_ms, blind_ms = _FILLED_MS + 1100, 60_000
    unclear = Fault(
        id="unclear",
        what=Reply(status=503),
        match=Match(method="POST", path="/api/v3/orderList*"),
        when=When(after_ms=60_000, for_ms=blind_ms),
    )
    blind = Fault(
        id="blind",
        what=Reply(status=503),
        match=Match(method="GET", path="/api/v3/openOrders"),
        when=When(after_ms=60_000, for_ms=blind_ms),
    )
    result = run_virtual(
        _order(tmp_path, "oco-install", unclear, blind, died_ms=born_ms - 1000, restart_ms=150_000)
    )

    assert _choices(result)[1] == "AMBIGUOUS_PAUSE"
    assert _modes(result, 2)[:2] == ["DEGRADE", "PAUSE"]
    assert "NORMAL" not in _modes(result, 2)
    assert "PAUSE_NEEDS_MANUAL" in _crit(result)


@pytest.mark.slow
def test_a_run_that_died_in_pause_is_followed_by_one_that_begins_in_pause(tmp_path: Path) -> None:
    revoked = Fault(id="key", what=RevokeKey(), when=When(after_ms=20_000, for_ms=10_000))
    result = run_virtual(
        _order(tmp_path, "attached-list", revoked, died_ms=50_000, restart_ms=75_000)
    )

    assert _choices(result) == ["CLEAN", "STAY_PAUSED", "STAY_PAUSED"]
    assert _modes(result, 2) == ["PAUSE", "EXIT"]
    # The minute in which the first life would have bought passed meanwhile.
    assert _placed(result) == []


@pytest.mark.slow
def test_once_the_key_is_taken_again_a_resume_leads_back_to_normal(tmp_path: Path) -> None:
    revoked = Fault(id="key", what=RevokeKey(), when=When(after_ms=20_000, for_ms=10_000))
    order = _order(tmp_path, "attached-list", revoked, restart_ms=170_000)
    wanted = OperatorCommand(
        action=OperatorAction.RESUME, reason="the key is good again", nonce="n", at_ms=1
    )

    def resume(system: System) -> None:
        assert system.house.wires.governor.offer(wanted)

    result = run_virtual(_with(order, (60_000, resume)))

    assert _modes(result, 1) == [*_TO_PAUSE, "DEGRADE", "NORMAL", "EXIT"]
    assert _rows(result, "SELECT outcome FROM operator_commands") == [("accepted",)]


@pytest.mark.slow
def test_a_stop_at_the_moment_of_the_fill_protects_before_it_ends(tmp_path: Path) -> None:
    order = _order(tmp_path, "oco-install", restart_ms=65_802)
    result = run_virtual(order)

    (ended_ms, code), *_ = _rows(result, "SELECT ended_at_ms, exit_code FROM runs ORDER BY rowid")
    (protected_ms,) = _rows(
        result, "SELECT min(created_at_ms) FROM order_intents WHERE role = 'LIST'"
    )[0]
    assert code == 0
    assert order.start_ms + order.restarts_at_ms[0] <= protected_ms < ended_ms
    assert _stops_standing(result)
    assert [path for _, path in _placed(result)].count("/api/v3/orderList/oco") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signals", "least_ms", "most_ms"), [(1, 9_000, 11_500), (2, 1_500, 3_500)]
)
def test_an_answer_that_does_not_come_is_waited_for_ten_seconds_or_two_after_a_second_signal(
    tmp_path: Path, signals: int, least_ms: int, most_ms: int
) -> None:
    """Then the order is left to the next life, and the trail is whole all the same."""
    stop_ms = 65_300
    nowhere = Fault(
        id="nowhere",
        what=Blackhole(target="rest"),
        match=Match(),
        when=When(after_ms=65_005, for_ms=30_000),
    )
    order = _order(tmp_path, "attached-list", nowhere, restart_ms=stop_ms)
    again = [(stop_ms + 100 * n, _stop) for n in range(1, signals)]
    result = run_virtual(replace(_with(order, *again), span_ms=180_000))

    ends = _rows(result, "SELECT ended_at_ms, clean FROM runs ORDER BY rowid")
    took_ms = ends[0][0] - order.start_ms - stop_ms
    assert ends[0][1] == 1
    assert least_ms <= took_ms <= most_ms
    assert _states_at(result, ends[0][0]) == ["SENT_UNKNOWN"]
    assert "SENT_UNKNOWN" not in str(_rows(result, "SELECT state FROM order_intents"))


@pytest.mark.slow
@pytest.mark.parametrize("done", [False, True])
def test_a_request_that_is_on_its_way_at_a_second_signal_is_left_to_the_next_boot(
    tmp_path: Path, *, done: bool
) -> None:
    """It does not hold the process for its own limit.

    Of an order that was done the account's events tell, and it is cancelled; of one that was not,
    only time tells.
    """
    stop_ms = 65_300
    unanswered = AcceptThen(then=DropResponse(target="rest", then="hang"))
    hangs = Fault(
        id="hangs",
        what=unanswered if done else DropRequest(target="rest", then="hang"),
        match=Match(method="POST", path="/api/v3/order*"),
        when=When(nth=1),
    )
    order = _order(tmp_path, "attached-list", hangs, restart_ms=stop_ms)
    result = run_virtual(replace(_with(order, (stop_ms + 100, _stop)), span_ms=180_000))

    (ended_ms, clean), *_ = _rows(result, "SELECT ended_at_ms, clean FROM runs ORDER BY rowid")
    assert clean == 1
    assert 1500 <= ended_ms - order.start_ms - stop_ms <= 3500
    assert _states_at(result, ended_ms) == ["CONFIRMED" if done else "SENT_UNKNOWN"]
    assert _said_of(result, "ORDER_SUBMIT") == ([] if done else ["left to the next boot"])
    states = "SELECT state FROM order_intents WHERE role = 'ENTRY'"
    assert _rows(result, states) == [("CONFIRMED" if done else "NOT_FOUND",)]
    last = {r.oid: r for r in read_journal(result.journal) if isinstance(r, OrderRow)}
    assert [r.status for r in last.values() if r.side == "BUY"] == (["CANCELED"] if done else [])


@pytest.mark.slow
def test_an_answer_by_the_socket_is_heard_before_its_connection_ends(tmp_path: Path) -> None:
    """The stream told of the cancel at once; only the answer says what else ended with it."""
    stop_ms = 65_300
    late = Fault(
        id="late",
        what=AcceptThen(then=Delay(target="ws_api", ms=3000)),
        match=Match(method="order*.cancel*"),
        when=When(nth=1),
    )
    order = _order(tmp_path, "attached-list", late, restart_ms=stop_ms, by_socket=True)
    result = run_virtual(order)

    ended_ms, clean = _rows(result, "SELECT ended_at_ms, clean FROM runs ORDER BY rowid")[0]
    told = _rows(
        result,
        "SELECT json_extract(data, '$.outcome') FROM audit_events e JOIN runs USING (run_id)"
        " WHERE event_type = 'ORDER_CANCEL' AND runs.rowid = 1",
    )
    assert told == [("ACCEPTED",)]
    assert clean == 1
    assert 3000 <= ended_ms - order.start_ms - stop_ms < 4000


@pytest.mark.slow
def test_an_actor_that_breaks_three_times_ends_the_process_and_the_next_one_takes_over(
    tmp_path: Path,
) -> None:
    broken = tuple(
        Trouble(id=f"break-{n}", what=ActorRaises(actor="risk"), after_ms=20_000 + 5000 * n)
        for n in range(3)
    )
    result = run_virtual(_order(tmp_path, "attached-list", troubles=broken, restart_ms=60_000))

    codes = [code for (code,) in _rows(result, "SELECT exit_code FROM runs ORDER BY rowid")]
    assert codes[:2] == [ExitCode.WATCHDOG, ExitCode.CLEAN]
    assert _modes(result, 1)[:3] == ["DEGRADE", "NORMAL", "DEGRADE"]
    assert "ACTOR_FAILED" in str(_rows(result, "SELECT end_reasons FROM runs"))


@pytest.mark.slow
def test_on_a_full_disk_nothing_is_sent_and_the_next_process_goes_on(tmp_path: Path) -> None:
    """What cannot be written is not done: no order, no goodbye."""
    full = Trouble(id="full", what=DiskFull(), after_ms=60_000, for_ms=8000)
    result = run_virtual(_order(tmp_path, "attached-list", troubles=(full,), restart_ms=90_000))

    first, second = _rows(result, "SELECT clean, exit_code FROM runs ORDER BY rowid")[:2]
    assert first == (0, -1)
    assert second == (1, 0)
    assert _placed(result) == []
    assert "NORMAL" in _modes(result, 2)
    assert _last_words(result) == ("CRIT", "DISK_LOW_PAUSE", ("AUDIT_WRITE_FAILED",))


@pytest.mark.slow
def test_a_position_on_a_disk_that_is_full_keeps_its_stop_and_the_next_process_takes_it_over(
    tmp_path: Path,
) -> None:
    full = Trouble(id="full", what=DiskFull(), after_ms=_FILLED_MS + 5000, for_ms=8000)
    result = run_virtual(_order(tmp_path, "attached-list", troubles=(full,), restart_ms=90_000))

    assert result.lives[0].code is ExitCode.AUDIT_UNWRITABLE
    assert _last_words(result)[1] == "DISK_LOW_PAUSE"
    assert _stops_standing(result)
    assert len(_placed(result)) == 1
    assert _choices(result)[1] == "RESUME_MANAGE_ONLY"


@pytest.mark.slow
def test_a_disk_that_fills_slowly_degrades_then_pauses_before_it_is_full(tmp_path: Path) -> None:
    def free(room: int, system: System) -> None:
        setattr(system.seams.host, "free_bytes", lambda: room)  # noqa: B010

    order = _order(tmp_path, "attached-list", restart_ms=60_000)
    filling = ((20_000, partial(free, 2**30)), (35_000, partial(free, 2**29)))
    result = run_virtual(_with(order, *filling))

    rows = _rows(result, "SELECT mode, reasons FROM sysmodes ORDER BY id")
    first = rows[: len(_modes(result, 1))]
    told = [(mode, json.loads(reasons)[1:]) for mode, reasons in first]
    assert told[2:4] == [("DEGRADE", ["DISK_LOW_DEGRADE"]), ("PAUSE", ["DISK_LOW_PAUSE"])]
    assert _placed(result) == []
    assert result.lives[0].code is ExitCode.PAUSED


def _last_words(result: RunResult) -> tuple[str, str, tuple[str, ...]]:
    """What the first life said at its very end."""
    said = [alert for alert in result.alerts if alert.at_ms <= result.lives[0].over_ms]
    return said[-1].severity.value, said[-1].code.value, tuple(said[-1].reasons)


def _said_of(result: RunResult, event_type: str) -> list[str]:
    """What the first life wrote down of its requests."""
    sql = (
        "SELECT event_type, json_extract(data, '$.message') FROM audit_events"
        " JOIN runs USING (run_id) WHERE runs.rowid = 1"
    )
    return [message for kind, message in _rows(result, sql) if kind == event_type]


def _stop(system: System) -> None:
    system.stop(ReasonCode.OPERATOR_STOP, "again")


def _states_at(result: RunResult, at_ms: int) -> list[str]:
    """The states of the entries' rows then."""
    sql = "SELECT order_intent_id, to_state, at_ms FROM intent_transitions ORDER BY rowid"
    entries = {i for (i,) in _rows(result, _ENTRIES)}
    moves = [row for row in _rows(result, sql) if row[0] in entries and row[2] <= at_ms]
    return list({intent_id: state for intent_id, state, _ in moves}.values())


def _with(order: ReplayOrder, *acts: tuple[int, Callable[[System], None]]) -> ReplayOrder:
    """Let something be done to the first life, so many milliseconds after its birth."""

    def dress(around: Surroundings, loop: VirtualLoop) -> Surroundings:
        waiting = list(acts)

        def furnished(system: System) -> None:
            while waiting:
                after_ms, act = waiting.pop(0)
                loop.call_at_ns(after_ms * NS_PER_MS, partial(act, system), None)

        return replace(around, furnished=furnished)

    return replace(order, dress=dress)
