"""Whole runs on virtual time, each through one fault: what the modes and the exchange say of it."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from livespot.exchange.faults.plan import Blackhole, Fault, FaultPlan, RevokeKey, When
from livespot.exchange.journal import RequestRow, read_journal
from livespot.exchange.settings import ExchangeSettings
from livespot.runtime.config import load_settings
from livespot.runtime.paths import Paths
from livespot.runtime.replay_run import ReplayOrder, RunResult, run_virtual

_START_MS = int(datetime(2021, 4, 22, 0, 3, tzinfo=UTC).timestamp() * 1000)


def _run(directory: Path, *faults: Fault, span_ms: int) -> RunResult:
    return run_virtual(
        ReplayOrder(
            paths=Paths(var=directory),
            loaded=load_settings(None, path="defaults"),
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
