"""Whole runs in which a limit or a refusal of the model stands: meanwhile nobody asks the model."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from livespot.contracts.codes import ReasonCode
from livespot.evidence.answers import check_answers, check_recomputed
from livespot.evidence.decision_trace import trace
from livespot.evidence.endings import check_endings
from livespot.evidence.summary import summarise
from livespot.evidence.why import why_not
from livespot.exchange.model_gate import ScriptedAnswer
from livespot.exchange.settings import ExchangeSettings
from livespot.runtime.paths import Paths
from livespot.runtime.replay_run import ReplayOrder, RunResult, run_virtual
from livespot.runtime.simulation_journal import read_rows
from livespot.store.inline import InlineReader
from livespot.testing.search.plan import loaded_for

pytestmark = pytest.mark.slow
_START_MS = int(datetime(2021, 4, 22, 0, 3, tzinfo=UTC).timestamp() * 1000)
_MINUTE_MS = 60_000
# A strategy that wants to buy for minutes on end.
_EAGER: dict[str, str | int] = {
    "strategy.min_edge_bps": 0,
    "strategy.pullback_min": 1,
    "strategy.pullback_max": 900,
    "strategy.min_imbalance_buy": 0,
    "strategy.max_delta_spread_bps_10s": 100,
    "strategy.trend_threshold": 5000,
    "risk.cooldown_seconds": 60,
}
_CALLS = "SELECT count(*) FROM ai_gate_events"


_BLOCK = ScriptedAnswer(
    content='{"verdict":"BLOCK","reasons":["SPREAD_OPENING"],"input_hash":"{input_hash}",'
    '"modified_decision":null}'
)


def _run(
    directory: Path, minutes: int, *, answers: tuple[ScriptedAnswer, ...] = (), **risk: int
) -> RunResult:
    limits = {f"risk.{name}": value for name, value in risk.items()}
    return run_virtual(
        ReplayOrder(
            paths=Paths(var=directory),
            loaded=loaded_for(_EAGER | limits),
            start_ms=_START_MS,
            span_ms=minutes * _MINUTE_MS,
            seed=7,
            exchange=ExchangeSettings(symbols=frozenset({"SOLUSDT"}), gate_answers=answers),
        )
    )


def _rows(result: RunResult, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(result.database)) as connection:
        return connection.execute(sql).fetchall()


def _asked(result: RunResult, question: Any, *values: Any) -> Any:
    async def ask() -> Any:
        return await question(InlineReader(result.database), *values)

    return anyio.run(ask)


@pytest.fixture(scope="module")
def used_up(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A quarter of an hour with one trade allowed, over after six minutes."""
    return _run(tmp_path_factory.mktemp("used-up"), 15, max_trades_per_day=1)


def test_a_used_up_day_costs_no_call_and_no_pause(used_up: RunResult) -> None:
    refused = [(set(codes), at_ms) for codes, at_ms in _refusals(used_up)]

    assert _rows(used_up, _CALLS) == [(1,)]
    # More than the budget of an hour allows, and each for the day's limit.
    assert len(refused) > 60
    assert all(ReasonCode.RISK_MAX_TRADES_DAY in codes for codes, _ in refused)
    assert {mode for (mode,) in _rows(used_up, "SELECT mode FROM sysmodes")} == {
        "DEGRADE",
        "NORMAL",
        "EXIT",
    }
    judged = anyio.run(
        summarise, used_up.database, used_up.logs, used_up.run_ids[-1], read_rows(used_up.journal)
    )
    assert judged.violations == ()


def test_each_refusal_is_told_and_follows_again(used_up: RunResult) -> None:
    [(decision_id, at_ms)] = _rows(
        used_up, "SELECT decision_id, at_ms FROM risk_verdicts ORDER BY id DESC LIMIT 1"
    )

    told = _asked(used_up, why_not, "SOLUSDT", at_ms + 1000)
    course = _asked(used_up, trace, decision_id)
    recomputed = _asked(used_up, check_recomputed)

    assert "RISK_MAX_TRADES_DAY" in told.codes
    assert "trades today 1 >= trades per day max 1" in told.headline
    sections = {section.name: section.lines for section in course.sections}
    assert "gate" not in sections
    assert "BLOCK before the model was asked: RISK_MAX_TRADES_DAY" in sections["risk"][0]
    assert "risk said no: RISK_MAX_TRADES_DAY" in course.headline
    assert recomputed.proven, recomputed.detail
    assert recomputed.looked_at > 60
    assert [f.detail for f in _asked(used_up, check_endings) if not f.proven] == []
    assert _asked(used_up, partial(check_answers, every_ms=17_011)).proven


def test_when_the_limit_has_ended_the_model_is_asked_and_the_symbol_bought(tmp_path: Path) -> None:
    result = _run(tmp_path, 16, max_trades_per_window=1, trades_window_seconds=420)
    [(first_ms,), (second_ms,)] = _rows(
        result, "SELECT at_ms FROM ai_gate_events WHERE verdict = 'ALLOW' ORDER BY id LIMIT 2"
    )
    fills = "SELECT exchange_time_ms FROM fills WHERE side = 'BUY' ORDER BY exchange_time_ms"
    [bought_ms, *later] = [at_ms for (at_ms,) in _rows(result, fills)]
    refused = [(codes, at_ms) for codes, at_ms in _refusals(result) if at_ms < second_ms]

    assert first_ms < bought_ms
    assert len(refused) > 10
    assert {codes[0] for codes, _ in refused} == {
        ReasonCode.RISK_COOLDOWN_ACTIVE,
        ReasonCode.RISK_MAX_TRADES_WINDOW,
    }
    # The next decision cycle but one at the latest.
    assert 420_000 <= second_ms - bought_ms < 420_000 + 10_000
    assert later


def test_a_model_that_refuses_everything_is_asked_less_and_less(tmp_path: Path) -> None:
    result = _run(tmp_path, 12, answers=(_BLOCK,) * 100)
    calls = _rows(result, "SELECT verdict, at_ms FROM ai_gate_events ORDER BY id")
    times = [at_ms for _, at_ms in calls]
    held_back = _rows(
        result,
        "SELECT decision_id, ts_ms FROM audit_events WHERE event_type = 'DECISION_PROPOSED' "
        "AND reasons = '[\"AIGATE_BLOCK_STANDS\"]' ORDER BY id",
    )
    decision_id, ended_ms = held_back[-1]
    told = _asked(result, why_not, "SOLUSDT", ended_ms + 1000)

    assert {verdict for verdict, _ in calls} == {"BLOCK"}
    assert 4 <= len(calls) <= 10
    assert all(
        later - sooner >= pause
        for (sooner, later), pause in zip(
            pairwise(times), (30_000, 60_000, 120_000, 240_000), strict=False
        )
    )
    # Each of these was a call before; with them the budget of an hour would have been used up.
    assert len(calls) + len(held_back) > 60
    assert "PAUSE" not in {mode for (mode,) in _rows(result, "SELECT mode FROM sysmodes")}
    assert told.codes == (ReasonCode.AIGATE_BLOCK_STANDS,)
    assert "rejected an entry in this symbol and regime" in told.headline
    assert _asked(result, trace, decision_id).headline.endswith("it ended: AIGATE_BLOCK_STANDS.")
    assert [f.detail for f in _asked(result, check_endings) if not f.proven] == []


def _refusals(result: RunResult) -> list[tuple[tuple[ReasonCode, ...], int]]:
    rows = _rows(result, "SELECT reasons, at_ms FROM risk_verdicts WHERE verdict = 'BLOCK'")
    return [(msgspec.json.decode(codes, type=tuple[ReasonCode, ...]), at) for codes, at in rows]
