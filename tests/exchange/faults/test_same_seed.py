"""Same seed, same plan, same requests at the same times: the same journal, byte for byte."""

import hmac
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from click.testing import CliRunner

from livespot.exchange.faces import Faces
from livespot.exchange.faults.loader import plan_of
from livespot.exchange.journal import LifeRow, ModeRow, read_journal
from livespot.exchange.service import application, opened
from livespot.exchange.settings import DEMO_KEY, DEMO_SECRET, ExchangeSettings
from livespot.testing.clock import ManualClock
from livespot_cmd.exchange import exchange

START_MS = 1_618_919_220_000
SOL = frozenset({"SOLUSDT"})
MINUTES = 3
STEP_MS = 250

PLAN = {
    "seed": 11,
    "heal_after_ms": 150_000,
    "faults": [
        {
            "id": "lost-ack",
            "what": {
                "verb": "ex.accept_then",
                "then": {"verb": "net.drop_response", "target": "rest", "then": "close"},
            },
            "match": {"method": "POST"},
            "when": {"nth": 3},
        },
        {
            "id": "lost",
            "what": {"verb": "net.drop_request", "target": "rest", "then": "close"},
            "match": {"method": "DELETE"},
            "when": {"probability_x10000": 3000},
        },
        {
            "id": "errors",
            "what": {"verb": "ex.reply", "status": 503, "code": -1008, "msg": "busy"},
            "match": {"path": "*/openOrders"},
            "when": {"probability_x10000": 4000},
        },
        {
            "id": "slow",
            "what": {"verb": "net.delay", "target": "rest", "ms": 40, "leg": "reply"},
            "match": {"path": "*/order"},
            "when": {"probability_x10000": 2000},
        },
        {
            "id": "lag",
            "what": {"verb": "ex.read_lag", "ms": 25_000},
            "when": {"after_ms": 20_000, "for_ms": 40_000},
        },
        {
            "id": "expire",
            "what": {"verb": "ex.mass_expire", "types": ["LIMIT"]},
            "when": {"after_ms": 71_234},
        },
        {
            "id": "out",
            "what": {"verb": "ex.adjust_balance", "asset": "USDT", "delta": "-500.5"},
            "when": {"after_ms": 80_000},
        },
        {
            "id": "deaf",
            "what": {"verb": "ex.drop_events"},
            "match": {"event": "executionReport", "params": {"x": "TRADE"}},
            "when": {"probability_x10000": 5000},
        },
        {
            "id": "halt",
            "what": {"verb": "ex.halt"},
            "when": {"after_ms": 90_000, "for_ms": 10_000},
        },
        {
            "id": "skew",
            "what": {"verb": "clock.skew", "ppm": 900},
            "when": {"after_ms": 30_000, "for_ms": 60_000},
        },
    ],
}


async def call(app: Any, clock: ManualClock, method: str, path: str, **params: str) -> int:
    """One signed request without a socket; the status, or 0 when no answer came."""
    signed = urlencode({**params, "timestamp": clock.now_ms(), "recvWindow": 60_000})
    proof = hmac.new(DEMO_SECRET.encode(), signed.encode(), sha256).hexdigest()
    scope = {
        "type": "http",
        "method": method,
        "path": f"/api/v3/{path}",
        "raw_path": f"/api/v3/{path}".encode(),
        "query_string": f"{signed}&signature={proof}".encode(),
        "headers": [(b"x-mbx-apikey", DEMO_KEY.encode())],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 80),
        "scheme": "http",
        "root_path": "",
        "http_version": "1.1",
    }
    heard = [{"type": "http.request", "body": b"", "more_body": False}]
    statuses: list[int] = []

    async def receive() -> dict[str, object]:
        return heard.pop(0) if heard else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        statuses.extend([message["status"]] if "status" in message else [])

    await app(scope, receive, send)
    return statuses[0] if statuses else 0


async def market_minutes(path: Path, seed: int) -> Path:
    """A scripted client through some minutes; the journal."""
    clock = ManualClock(START_MS)
    settings = ExchangeSettings(
        seed=seed,
        symbols=SOL,
        journal=path,
        plan=plan_of({**PLAN, "seed": seed}),
        start_ms=START_MS,
        stop_ms=START_MS + MINUTES * 60_000,
    )
    with opened(settings, clock) as (core, pump, _):
        app = application(core)
        for number in range(MINUTES * 60_000 // STEP_MS):
            clock.advance(STEP_MS)
            pump.step()
            assert core.faults is not None
            core.faults.advance()
            await act(app, clock, number)
    return path


async def act(app: Any, clock: ManualClock, number: int) -> None:
    """What the client does in one step."""
    sol, name = {"symbol": "SOLUSDT"}, f"order-{number // 16}"
    if number % 16 == 0:
        order = {"side": "BUY", "type": "MARKET", "quantity": "0.50"}
        await call(app, clock, "POST", "order", **sol, **order, newClientOrderId=f"m-{number}")
        order = {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.50"}
        price = {"price": "25.0000", "newClientOrderId": name}
        await call(app, clock, "POST", "order", **sol, **order, **price)
    elif number % 16 == 5:
        await call(app, clock, "GET", "openOrders", **sol)
        await call(app, clock, "GET", "order", **sol, origClientOrderId=name)
    elif number % 16 == 11 and number % 32 > 16:
        await call(app, clock, "DELETE", "order", **sol, origClientOrderId=name)


@pytest.mark.slow
async def test_a_run_is_repeated_byte_for_byte_and_another_seed_is_another_run(
    tmp_path: Path,
) -> None:
    paths = [
        await market_minutes(tmp_path / f"{number}.jsonl", seed)
        for number, seed in enumerate((11, 11, 12))
    ]

    first, again, other = map(Path.read_bytes, paths)
    assert first == again
    assert first != other
    rows = list(read_journal(paths[0]))
    fired = {row.fault for row in rows if isinstance(row, ModeRow) and row.event == "fire"}
    # The lag is asked for at its time, and every other fault has hit something.
    assert fired == {fault["id"] for fault in PLAN["faults"]}  # type: ignore[attr-defined]
    assert b":50000" not in first
    assert b'"conn":"rest-1"' in first


def test_without_plan_and_control_port_nothing_stands_in_the_way() -> None:
    clock = ManualClock(START_MS)
    with opened(ExchangeSettings(symbols=SOL), clock) as (core, _, _):
        assert core.faults is None
        assert core.clock is clock
        assert isinstance(application(core), Faces)


def test_a_plan_alone_decides_what_a_process_writes(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    faults = [
        {"id": "step", "what": {"verb": "clock.step", "ms": 5000}, "when": {"after_ms": 7000}},
        {"id": "in", "what": {"verb": "ex.adjust_balance", "asset": "USDT", "delta": "9"},
         "when": {"after_ms": 21_111}},
        {"id": "lag", "what": {"verb": "ex.read_lag", "ms": 9000},
         "when": {"after_ms": 30_000, "for_ms": 29_999}},
        {"id": "late", "what": {"verb": "ex.ban", "ms": 9000}, "when": {"after_ms": 60_001}},
    ]  # fmt: skip
    plan.write_bytes(msgspec.json.encode({"faults": faults}))

    def run(name: str) -> subprocess.Popen[bytes]:
        said = f"--port 0 --start 2021-04-20T11:47 --for 60s --speed 100 --seed 7 --plan {plan}"
        place = ["--journal", str(tmp_path / name), "--state-file", str(tmp_path / f"{name}.state")]
        command = "from livespot_cmd.main import main; main()"
        return subprocess.Popen(
            [sys.executable, "-c", command, "exchange", *said.split(), *place],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    for process in (run("first"), run("second")):
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output.decode()

    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    rows = list(read_journal(tmp_path / "first"))
    lives = [row.t_ms for row in rows if isinstance(row, LifeRow)]
    assert lives == [START_MS, START_MS + 60_000]
    modes = [row for row in rows if isinstance(row, ModeRow)]
    assert [(row.fault, row.event, row.t_ms - START_MS) for row in modes] == [
        ("step", "begin", 7000), ("step", "fire", 7000), ("step", "end", 7000),
        ("in", "begin", 21_111), ("in", "fire", 21_111), ("in", "end", 21_111),
        ("lag", "begin", 30_000), ("lag", "fire", 30_000), ("lag", "end", 59_999),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["{", '{"faults": [{"id": "x", "what": {"verb": "net.typo"}}]}'])
def test_the_command_names_what_is_wrong_with_a_plan(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)

    result = CliRunner().invoke(exchange, ["--port", "0", "--plan", str(path)])

    assert result.exit_code == 2
    assert "--plan" in result.output
    assert "Traceback" not in result.output
