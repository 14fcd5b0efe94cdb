"""Actors that rest while nothing waits for time do the same as actors that never rest."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from livespot.actors import position
from livespot.actors.execution_life import ExecutionLife
from livespot.exchange.settings import ExchangeSettings
from livespot.rules.due import AT_ONCE
from livespot.runtime.config import load_settings
from livespot.runtime.paths import Paths
from livespot.runtime.replay_run import ReplayOrder, RunResult, run_virtual

_START_MS = int(datetime(2021, 4, 22, 0, 4, tzinfo=UTC).timestamp() * 1000)
_STORY = (
    "SELECT event_type, ts_ms / 100, symbol, data FROM audit_events "
    "WHERE event_type IN ('POSITION_CHANGED', 'PROTECTION_CHANGED', 'ORDER_SUBMIT', 'FILL')"
)


def _replayed(var: Path, seconds: int) -> RunResult:
    order = ReplayOrder(
        paths=Paths(var=var),
        loaded=load_settings(None, path="defaults"),
        start_ms=_START_MS,
        span_ms=seconds * 1000,
        seed=7,
        exchange=ExchangeSettings(symbols=frozenset({"SOLUSDT"})),
    )
    return run_virtual(order)


def _story(result: RunResult) -> list[tuple[Any, ...]]:
    """What happened to the position, to a tenth of a second."""
    with closing(sqlite3.connect(result.database)) as connection:
        return connection.execute(_STORY).fetchall()


@pytest.mark.slow
def test_a_position_that_rests_has_the_same_story_as_one_that_never_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resting = _replayed(tmp_path / "resting", 330)
    monkeypatch.setattr(position, "depends_on_time", lambda _case, _now_ms: True)
    restless = _replayed(tmp_path / "restless", 330)

    assert [row[0] for row in _story(resting)].count("FILL") == 2
    assert _story(resting) == _story(restless)
    assert resting.points < restless.points


@pytest.mark.slow
def test_an_execution_that_ticks_where_something_is_due_writes_the_audit_of_one_that_always_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From before an entry until its protection stands; every byte of the chain is the same."""
    skipping = _replayed(tmp_path / "skipping", 90)
    monkeypatch.setattr(ExecutionLife, "due_ms", lambda _life: AT_ONCE)
    ticking = _replayed(tmp_path / "ticking", 90)

    assert len(_story(skipping)) > 3
    assert skipping.last_hash == ticking.last_hash
    assert skipping.points < ticking.points
