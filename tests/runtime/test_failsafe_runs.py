"""Whole runs on virtual time, each through one fault: what the modes and the exchange say of it."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from livespot.evidence.summary import RunSummary, summarise
from livespot.exchange.faults.plan import (
    Blackhole,
    DropResponse,
    Ending,
    Fault,
    FaultPlan,
    Match,
    RevokeKey,
    When,
)
from livespot.exchange.journal import RequestRow, read_journal
from livespot.exchange.settings import ExchangeSettings
from livespot.runtime.config import LoadedSettings, load_settings
from livespot.runtime.paths import Paths
from livespot.runtime.replay_run import ReplayOrder, RunResult, run_virtual
from livespot.runtime.simulation_journal import read_rows
from livespot.testing.search.plan import loaded_for

_START_MS = int(datetime(2021, 4, 22, 0, 3, tzinfo=UTC).timestamp() * 1000)


def _run(
    directory: Path, *faults: Fault, span_ms: int, loaded: LoadedSettings | None = None
) -> RunResult:
    return run_virtual(
        ReplayOrder(
            paths=Paths(var=directory),
            loaded=loaded or load_settings(None, path="defaults"),
            start_ms=_START_MS,
            span_ms=span_ms,
            seed=11,
            exchange=replace(
                ExchangeSettings(symbols=frozenset({"SOLUSDT"})), plan=FaultPlan(faults=faults)
            ),
        )
    )


def _rows(result: RunResult, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(result.database)) as connection:
        return connection.execute(sql).fetchall()


def _reasons(result: RunResult) -> str:
    return " ".join(
        text for (text,) in _rows(result, "SELECT reasons || active_json FROM sysmodes")
    )


def _modes(result: RunResult) -> Sequence[str]:
    return [mode for (mode,) in _rows(result, "SELECT mode FROM sysmodes ORDER BY id")]


@pytest.mark.slow
def test_a_rejected_key_pauses_and_is_not_asked_about_without_end(tmp_path: Path) -> None:
    revoked = Fault(id="key", what=RevokeKey(), when=When(after_ms=30_000, for_ms=60_000))
    result = _run(tmp_path, revoked, span_ms=120_000)
    refused = [
        row
        for row in read_journal(result.journal)
        if isinstance(row, RequestRow) and "-2015" in row.outcome
    ]

    assert "API_KEY_REJECTED" in _reasons(result)
    assert _modes(result)[-2:] == ["PAUSE", "EXIT"]
    assert 1 <= len(refused) <= 8
    assert "LOOP_STUCK" not in _reasons(result)


@pytest.mark.slow
def test_a_socket_that_stops_answering_is_a_lost_stream_and_no_stuck_loop(tmp_path: Path) -> None:
    silent = Fault(
        id="silent", what=Blackhole(target="ws_user"), when=When(after_ms=20_000, for_ms=60_000)
    )
    result = _run(tmp_path, silent, span_ms=110_000)

    assert "USER_STREAM_LOST" in _reasons(result)
    assert "LOOP_STUCK" not in _reasons(result)


def _judged(result: RunResult) -> RunSummary:
    journal = read_rows(result.journal)
    return anyio.run(summarise, result.database, result.logs, result.run_ids[-1], journal)


def _mutations(result: RunResult) -> list[tuple[str, str]]:
    """Verb and way of every mutation, in order."""
    return [
        (request.verb, "WS" if request.method == "WS" else "REST")
        for request in read_rows(result.journal).requests
        if request.verb
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("setting", "way"), [("WS_API", "WS"), ("REST", "REST")])
def test_a_round_trip_is_traded_the_way_the_settings_say(
    tmp_path: Path, setting: str, way: str
) -> None:
    loaded = loaded_for({"venue.order_transport": setting})
    result = _run(tmp_path, span_ms=6 * 60_000, loaded=loaded)
    summary = _judged(result)

    assert summary.violations == ()
    assert summary.fills.agree
    assert {way for _, way in _mutations(result)} == {way}
    assert _rows(result, "SELECT exit_reason FROM positions") == [("STOP_LOSS",)]


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["hang", "reset"])
def test_an_entry_whose_answer_is_lost_on_the_socket_is_found_and_not_repeated(
    tmp_path: Path, ending: Ending
) -> None:
    lost = Fault(
        id="lost",
        what=DropResponse(target="ws_api", then=ending),
        match=Match(method="orderList.place.opoco"),
        when=When(count=1),
    )
    result = _run(tmp_path, lost, span_ms=170_000)
    summary = _judged(result)

    struck = [r.path for r in read_journal(result.journal) if isinstance(r, RequestRow) and r.fault]
    assert len(struck) == 1
    assert summary.violations == ()
    entries = _rows(result, "SELECT state FROM order_intents WHERE role = 'ENTRY'")
    assert entries == [("CONFIRMED",)]
    assert [way for verb, way in _mutations(result) if verb == "place_list"] == ["WS"]


@pytest.mark.slow
def test_after_an_order_met_a_dead_socket_the_engine_is_asked_about_it_by_rest(
    tmp_path: Path,
) -> None:
    """The socket dies a moment before the entry, and with it the events of the account."""
    gone = Fault(
        id="gone", what=Blackhole(target="ws_api"), when=When(after_ms=124_000, for_ms=120_000)
    )
    result = _run(tmp_path, gone, span_ms=300_000)
    summary = _judged(result)
    entries = _rows(result, "SELECT state FROM order_intents WHERE role = 'ENTRY'")

    assert summary.violations == ()
    assert entries == [("NOT_FOUND",)]
    assert set(_mutations(result)) == {("cancel", "REST")}


@pytest.mark.slow
def test_when_the_socket_is_lost_with_an_entry_working_the_cancel_goes_by_rest(
    tmp_path: Path,
) -> None:
    cut = Fault(
        id="cut",
        what=DropResponse(target="ws_api", then="reset"),
        match=Match(method="order.place"),
        when=When(count=1),
    )
    loaded = loaded_for({"venue.order_transport": "WS_API", "exit.attach": "SEPARATE"})
    result = _run(tmp_path, cut, span_ms=200_000, loaded=loaded)

    assert _judged(result).violations == ()
    assert _mutations(result)[:2] == [("place", "WS"), ("cancel", "REST")]
