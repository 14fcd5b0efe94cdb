"""A shadow run on a recorded hour in which a real one would have bought."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from livespot.contracts.errors import ExitCode
from livespot.evidence.decision_trace import trace
from livespot.evidence.summary import summarise
from livespot.evidence.telling import lines
from livespot.exchange.state_file import read_state
from livespot.runtime.clock import ClockAnchor, ScaledClock
from livespot.runtime.config import LoadedSettings, load_settings
from livespot.runtime.loops import run_loop
from livespot.runtime.paths import Paths
from livespot.runtime.shadow_run import ShadowOrder, run_shadow, without_gate
from livespot.runtime.simulation import on_exchange
from livespot.store.reader import ReadOnlyDatabase

# Two minutes before the proposal of 2021-04-22T00:05 that the demo buys.
_START = "2021-04-22T00:03"
_EXECUTING = ("orders", "order_intents", "fills", "positions")


def _settings() -> LoadedSettings:
    return load_settings("[panel]\nport = 18796\n", path="")


@pytest.mark.slow
def test_a_proposal_risk_allows_becomes_an_estimate_and_no_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths, state_file = Paths(var=tmp_path / "shadow"), tmp_path / "exchange.json"
    command = [
        *(sys.executable, "-m", "livespot_cmd.main", "exchange", "--port", "0"),
        *("--start", _START, "--speed", "5", "--seed", "7", "--state-file", str(state_file)),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as exchange:
        assert exchange.stdout is not None
        exchange.stdout.readline()
        state = read_state(state_file)
        assert state.clock is not None
        anchor = ClockAnchor(
            wall_ms=state.clock.wall_ms,
            market_ms=state.clock.market_ms,
            speed=state.clock.speed,
        )
        order = ShadowOrder(
            paths=paths,
            loaded=without_gate(on_exchange(_settings(), state.address)),
            span_seconds=30,
            clock=ScaledClock(anchor),
        )
        try:
            code = run_loop(run_shadow, order)
        finally:
            exchange.terminate()
    with sqlite3.connect(paths.database) as database:
        counts = {
            name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # noqa: S608
            for name in _EXECUTING
        }
        wanted = database.execute(
            "SELECT decision_id, run_id FROM decisions WHERE outcome = 'PROPOSED'"
        ).fetchall()
    database.close()
    said = capsys.readouterr().out

    assert code is ExitCode.CLEAN
    assert counts == dict.fromkeys(_EXECUTING, 0)
    assert wanted
    assert "orders sent 0, fills 0" in said
    assert "of the fill model trade-through-1; nothing of it happened" in said
    story = anyio.run(trace, ReadOnlyDatabase(paths.database), wanted[0][0])
    assert "SHADOW: nothing was sent" in story.headline
    (told,) = [section.lines for section in story.sections if section.name == "shadow"]
    assert "no order was sent; it would have been" in told[0]
    summary = anyio.run(summarise, paths.database, paths.logs, wanted[0][1], None)
    assert any(line.startswith("mode") and "SHADOW" in line for line in lines(summary))
