"""A shadow run on a recorded hour in which a real one would have bought."""

import json
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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
    alerts = '[alerts]\nwebhook = ".webhook"\nwebhook_min_severity = "INFO"\n'
    return load_settings(f"[panel]\nport = 18796\n{alerts}", path="")


@contextmanager
def _webhook(beside: Path) -> Iterator[list[bytes]]:
    """A server whose address stands in the private file, and the bodies it was sent."""
    caught: list[bytes] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            caught.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on the console."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        beside.write_text(f"http://127.0.0.1:{server.server_port}/hook-of-{'x' * 24}")
        beside.chmod(0o600)
        try:
            yield caught
        finally:
            server.shutdown()
            serving.join()


@contextmanager
def _manager(monkeypatch: pytest.MonkeyPatch, path: Path) -> Iterator[set[str]]:
    """A service manager that reads at once; what it has heard, each word once."""
    heard: set[str] = set()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(path))
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))

        def listen() -> None:
            while (word := listening.recv(4096).decode()) != "over":
                heard.add(word)

        reading = threading.Thread(target=listen)
        reading.start()
        try:
            yield heard
        finally:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
                last.sendto(b"over", str(path))
            reading.join()


@pytest.mark.slow
def test_a_proposal_risk_allows_becomes_an_estimate_and_no_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
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
            with (
                _webhook(tmp_path / ".webhook") as posted,
                _manager(monkeypatch, tmp_path / "notify") as words,
            ):
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
    assert {"READY=1", "STATUS=NORMAL", "WATCHDOG=1", "STATUS=EXIT", "STOPPING=1"} <= words
    assert any(b"ENTER_NORMAL" in body and b"SHADOW" in body for body in posted)
    (folder,) = paths.runs.iterdir()
    kept = json.loads((folder / "summary.json").read_bytes())["shadow"]
    assert kept["model"] == "trade-through-1"
    # What is proposed as the span ends may have no estimate any more.
    assert len(wanted) - 1 <= kept["entries"] <= len(wanted)
    assert sum(count["count"] for count in kept["outcomes"]) == kept["entries"]
    assert (kept["net_quote"] is None) == bool(kept["unknown"])
    assert "nothing of it happened" in (folder / "report.md").read_text()
