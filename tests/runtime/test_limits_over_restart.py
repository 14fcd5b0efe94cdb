"""A banned address stays silent until the ban is over, whatever happens to the process."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from livespot.exchange.faults.plan import Ban, Fault, FaultPlan, When
from livespot.exchange.journal import RequestRow, read_journal
from livespot.exchange.settings import ExchangeSettings
from livespot.runtime.config import load_settings
from livespot.runtime.paths import Paths
from livespot.runtime.replay_course import Death
from livespot.runtime.replay_run import ReplayOrder, RunResult, run_virtual

_START_MS = int(datetime(2021, 4, 22, 0, 3, tzinfo=UTC).timestamp() * 1000)
_BAN_MS = 90_000
_BANNED_AT_MS = 20_000
# An answer that was on its way when the first refusal arrived.
_FLIGHT_MS = 50


def _banned(directory: Path, deaths: Sequence[Death]) -> RunResult:
    ban = Fault(id="ban", what=Ban(ms=_BAN_MS), when=When(after_ms=_BANNED_AT_MS, count=1))
    return run_virtual(
        ReplayOrder(
            paths=Paths(var=directory),
            loaded=load_settings(None, path="defaults"),
            start_ms=_START_MS,
            span_ms=150_000,
            seed=11,
            exchange=replace(
                ExchangeSettings(symbols=frozenset({"SOLUSDT"})), plan=FaultPlan(faults=(ban,))
            ),
            deaths=tuple(deaths),
        )
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "deaths",
    [(), (Death(after_ms=30_000, down_ms=1000), Death(after_ms=20_000, down_ms=1000))],
    ids=["one life", "killed twice inside the ban"],
)
def test_no_request_is_sent_while_a_ban_lasts(tmp_path: Path, deaths: Sequence[Death]) -> None:
    result = _banned(tmp_path, deaths)
    asked = [
        row
        for row in read_journal(result.journal)
        if isinstance(row, RequestRow) and row.conn != "model"
    ]
    refused_ms = min(row.t_reply for row in asked if row.outcome.startswith("418"))
    over_ms = _START_MS + _BANNED_AT_MS + _BAN_MS
    inside = [row for row in asked if refused_ms + _FLIGHT_MS < row.t_arrive < over_ms]

    assert refused_ms < _START_MS + 30_000
    assert [(row.method, row.path, row.t_arrive - _START_MS) for row in inside] == []
    assert any(row.t_arrive >= over_ms and row.outcome.startswith("200") for row in asked)
