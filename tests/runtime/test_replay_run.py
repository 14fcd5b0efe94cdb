"""The whole runtime and its exchange in one thread on virtual time."""

import itertools
import os
import random
import secrets
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from livespot.contracts.errors import ExitCode
from livespot.evidence.summary import RunSummary, summarise
from livespot.exchange.faults.plan import DropResponse, Ending, Fault, FaultPlan, Match, When
from livespot.exchange.settings import ExchangeSettings
from livespot.runtime.config import load_settings
from livespot.runtime.paths import Paths
from livespot.runtime.replay_clock import VirtualClock
from livespot.runtime.replay_course import Death
from livespot.runtime.replay_life import Surroundings
from livespot.runtime.replay_loop import VirtualLoop
from livespot.runtime.replay_run import ReplayOrder, RunResult, run_virtual
from livespot.runtime.simulation_journal import read_rows
from livespot.testing.search.plan import loaded_for

_START_MS = int(datetime(2021, 4, 22, 0, 3, tzinfo=UTC).timestamp() * 1000)
_MINUTE_MS = 60_000
_UNCONTROLLED = (
    (time, ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "sleep")),
    (os, ("urandom", "getrandom")),
    (random, ("_urandom",)),
    (secrets, ("token_hex", "token_bytes")),
    (threading.Thread, ("start",)),
    (socket.socket, ("__init__",)),
)
# Both read the monotonic clock and let nothing depend on it: tenacity notes when attempts began and
# ended, which no rule of ours asks for, and statemachine asks whether an event without delay is due
# yet, which any clock that does not run backwards answers alike. They get a strange clock here.
_HARMLESS_READERS = ("tenacity", "statemachine")


def _order(directory: Path, **changes: Any) -> ReplayOrder:
    wanted: dict[str, Any] = {
        "paths": Paths(var=directory),
        "loaded": load_settings(None, path="defaults"),
        "start_ms": _START_MS,
        "span_ms": 3 * _MINUTE_MS,
        "seed": 7,
        "exchange": ExchangeSettings(symbols=frozenset({"SOLUSDT"})),
    }
    return ReplayOrder(**{**wanted, **changes})


def _rows(result: RunResult, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(result.database)) as connection:
        return connection.execute(sql).fetchall()


def _judged(result: RunResult) -> RunSummary:
    journal = read_rows(result.journal)
    return anyio.run(summarise, result.database, result.logs, result.run_ids[-1], journal)


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """Six and a half minutes around one round trip, with everything uncontrolled forbidden."""
    with pytest.MonkeyPatch.context() as patch:
        for owner, names in _UNCONTROLLED:
            for name in names:
                patch.setattr(owner, name, _forbidden(name))
        return run_virtual(
            _order(tmp_path_factory.mktemp("traded"), span_ms=6 * _MINUTE_MS + 30_000)
        )


def _forbidden(name: str) -> Any:
    strange = itertools.count(1, 977)

    def fail(*_: object, **__: object) -> int:
        reader = sys._getframe(1).f_globals["__name__"].partition(".")[0]
        assert reader in _HARMLESS_READERS, f"{reader} used {name}"
        return next(strange)

    return fail


@pytest.mark.slow
def test_a_replay_trades_a_round_trip_and_breaks_no_invariant(traded: RunResult) -> None:
    summary = _judged(traded)
    [(symbol, reason, opened_ms, closed_ms)] = _rows(
        traded, "SELECT symbol, exit_reason, opened_at_ms, closed_at_ms FROM positions"
    )

    assert summary.violations == ()
    assert traded.exit_code is ExitCode.CLEAN
    assert summary.clean
    assert (symbol, reason) == ("SOLUSDT", "STOP_LOSS")
    assert _clock_time(opened_ms) == "00:05:05"
    assert _clock_time(closed_ms) == "00:08:55"
    assert summary.fills.agree
    assert [mode for (mode,) in _rows(traded, "SELECT DISTINCT mode FROM runs")] == ["REPLAY"]


@pytest.mark.slow
def test_a_replay_ends_at_the_asked_minute_and_counts_what_it_did(traded: RunResult) -> None:
    assert 390_000 <= traded.virtual_ms < 391_000
    assert traded.points > traded.points_of[0] > 10_000
    assert traded.speed > 1


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_in_another_process(
    traded: RunResult, tmp_path: Path
) -> None:
    """Another directory, other addresses in memory, another order of string hashes."""
    environment = {**os.environ, "PYTHONHASHSEED": "4242"}
    program = (
        "import sys; from pathlib import Path; import test_replay_run as t; "
        "print(t.run_virtual(t._order(Path(sys.argv[1]), span_ms=390_000)).last_hash)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    said = subprocess.run(
        command, env=environment, cwd=Path(__file__).parent, capture_output=True, check=True
    )

    assert said.stdout.decode().strip() == traded.last_hash
    again = Paths(var=tmp_path).exchange_journal
    assert again.read_bytes() == traded.journal.read_bytes()
    [trail] = traded.logs.glob("audit-*.jsonl")
    assert (tmp_path / "logs" / trail.name).read_bytes() == trail.read_bytes()


@pytest.mark.slow
def test_another_interleaving_makes_the_same_trade(tmp_path: Path) -> None:
    result = run_virtual(_order(tmp_path, shuffled=True))
    summary = _judged(result)

    assert summary.violations == ()
    assert [position.symbol for position in summary.open_positions] == ["SOLUSDT"]


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["hang", "reset"])
def test_when_the_answer_to_the_entry_is_lost_the_order_is_found_and_not_repeated(
    tmp_path: Path, ending: Ending
) -> None:
    lost = Fault(
        id="lost",
        what=DropResponse(target="rest", then=ending),
        match=Match(method="POST", path="/api/v3/orderList*"),
        when=When(count=1),
    )
    order = _order(
        tmp_path,
        start_ms=_START_MS + _MINUTE_MS,
        span_ms=100_000,
        loaded=loaded_for({"venue.order_transport": "REST"}),
    )
    exchange = replace(order.exchange, plan=FaultPlan(faults=(lost,)))
    result = run_virtual(replace(order, exchange=exchange))
    summary = _judged(result)

    assert '"fault":"lost' in result.journal.read_text()
    assert summary.violations == ()
    assert _rows(result, "SELECT role, state FROM order_intents") == [("ENTRY", "CONFIRMED")]
    assert [position.phase for position in summary.open_positions] == ["PROTECTED"]


@pytest.mark.slow
def test_killed_with_a_position_open_the_next_life_takes_over(tmp_path: Path) -> None:
    death = Death(after_ms=2 * _MINUTE_MS + 30_000, down_ms=2000)
    result = run_virtual(_order(tmp_path, span_ms=4 * _MINUTE_MS, deaths=(death,)))
    summary = _judged(result)

    assert summary.violations == ()
    assert (summary.runs, summary.killed_before) == (2, 1)
    assert [position.symbol for position in summary.open_positions] == ["SOLUSDT"]
    assert _rows(result, "SELECT clean, exit_code FROM runs ORDER BY rowid") == [(0, -1), (1, 0)]
    assert len(_rows(result, "SELECT 1 FROM order_intents WHERE role = 'ENTRY'")) == 1


@pytest.mark.slow
def test_restarted_in_order_after_a_death_one_more_life_runs_to_the_end(tmp_path: Path) -> None:
    order = _order(
        tmp_path, span_ms=40_000, deaths=(Death(after_ms=10_000),), restarts_at_ms=(25_000,)
    )
    result = run_virtual(order)
    born = [life.born_ms - _START_MS for life in result.lives]

    assert [life.code for life in result.lives] == [None, ExitCode.CLEAN, ExitCode.CLEAN]
    assert born[:2] == [0, 11_000]
    assert born[2] >= 26_000
    assert result.lives[-1].over_ms - _START_MS >= 40_000
    assert result.run_ids == tuple(life.run_id for life in result.lives)
    assert _judged(result).violations == ()


@pytest.mark.slow
def test_killed_at_one_scheduling_point_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    results = [
        run_virtual(
            _order(
                tmp_path / name,
                start_ms=_START_MS + 2 * _MINUTE_MS - 10_000,
                span_ms=30_000,
                deaths=(Death(point=1000),),
            )
        )
        for name in ("first", "second")
    ]

    assert [result.points_of[0] for result in results] == [1000, 1000]
    assert results[0].last_hash == results[1].last_hash
    assert results[0].journal.read_bytes() == results[1].journal.read_bytes()
    assert _judged(results[0]).violations == ()


@pytest.mark.slow
def test_killed_around_each_step_of_its_first_order_it_never_orders_twice(tmp_path: Path) -> None:
    """Killed with the last breath of, and right after, the commits that create and send it."""
    order = _order(tmp_path / "whole", start_ms=_START_MS + _MINUTE_MS, span_ms=70_000)
    whole = run_virtual(order)
    steps = [c.point for c in whole.commits if c.rows & {"IntentCreated", "IntentMoved"}][:2]
    points = sorted({point + aside for point in steps for aside in (0, 1)})

    assert len(points) >= 3
    for point in points:
        again = _order(
            tmp_path / str(point),
            start_ms=order.start_ms,
            span_ms=80_000,
            deaths=(Death(point=point),),
        )
        result = run_virtual(again)
        orders = {o.client_order_id for o in read_rows(result.journal).orders if o.side == "BUY"}

        assert _judged(result).violations == ()
        assert len(orders) <= 1


def _clock_time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, tz=UTC).strftime("%H:%M:%S")


@pytest.mark.slow
def test_a_life_born_while_the_machines_clock_is_wrong_is_told_in_market_time(
    tmp_path: Path,
) -> None:
    def dressed(around: Surroundings, loop: VirtualLoop) -> Surroundings:
        clock = VirtualClock(loop, _START_MS)
        clock.step_ms = 41_000
        return replace(around, clock=clock)

    killed = Death(after_ms=3000, down_ms=1000)
    result = run_virtual(_order(tmp_path, span_ms=8000, deaths=(killed,), dress=dressed))

    spans = [(life.born_ms - _START_MS, life.over_ms - _START_MS) for life in result.lives]
    assert spans == [(0, 3000), (4000, 8000)]
    assert [life.cancelled_ms for life in result.lives] == [None, None]


@pytest.mark.slow
def test_a_life_that_is_cancelled_is_told_with_the_moment_from_which_on_it_says_no_more(
    tmp_path: Path,
) -> None:
    cancelled = Death(after_ms=3000, cancels=lambda: True)
    first, second = run_virtual(_order(tmp_path, span_ms=6000, deaths=(cancelled,))).lives

    assert (first.code, first.cancelled_ms) == (None, _START_MS + 3000)
    assert first.speaks_until_ms == _START_MS + 3000 <= first.over_ms
    assert (second.cancelled_ms, second.speaks_until_ms) == (None, second.over_ms)
