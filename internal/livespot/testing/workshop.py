"""Real processes for tests of the whole: an embedded exchange, and `livespot` commands on it."""

import hashlib
import hmac
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx
import psutil

from livespot.exchange.recorded import packaged_data
from livespot.exchange.settings import DEMO_KEY, DEMO_SECRET
from livespot.exchange.state_file import ExchangeState, read_state
from livespot.runtime.clock import ClockAnchor, ScaledClock, SystemClock
from livespot.runtime.paths import Paths
from livespot.store.migrate import migrate

T = TypeVar("T")

# Three minutes before the recorded moment at which the default strategy buys, rides and sells.
TRADING_START = "2021-04-22T00:02"
# A run that is to buy has eighteen seconds to start, and decides and orders in time on a busy
# machine too.
TRADING_SPEED = 10
# For what needs no trade: waits of market time are short.
SPEED = 20
# The pair that is bought then and the one that leads the market. Both sides of a test start in
# about half the time that all ten pairs take them.
PAIRS = ("BTCUSDT", "SOLUSDT")
_LOOK_SECONDS = 0.05

# Limits in market time shrink with the clock's speed; these leave a busy machine its pauses.
PATIENT = """
[health]
loop_stuck_ms_degrade = 60000
loop_stuck_ms_pause = 120000
ws_stale_ms_degrade = 60000
ws_stale_ms_pause = 120000
rest_stale_ms_degrade = 100000
rest_stale_ms_pause = 200000
watchdog_kill_ms = 600000
[audit]
writer_max_lag_ms = 60000
[time]
recv_window_ms = 60000
clock_drift_max_ms = 20000
[intents]
rest_query_timeout_ms = 60000
[panel]
port = 0
[ai_gate]
timeout_ms = 60000
[exit]
protection_deadline_ms = 30000
protection_pause_ms = 60000
[risk]
ws_latency_threshold_ms = 30000
[timing]
decision_max_age_ms = 60000
mutation_timeout_ms = 60000
entry_recv_window_ms = "9999"
"""
# The same without a panel's port in the way, and otherwise as shipped.
AS_SHIPPED = "[panel]\nport = 0\n"


class Impatient(AssertionError):
    """What was waited for did not happen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One process of ours and what it said."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    @property
    def output(self) -> str:
        return self.out.read_text(encoding="utf-8", errors="replace")

    @property
    def errors(self) -> str:
        return self.err.read_text(encoding="utf-8", errors="replace")

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self, seconds: float = 30) -> int:
        """The exit code; negative when a signal ended it."""
        return await until(self.process.poll, seconds, "the process to end")


@dataclass(slots=True, kw_only=True)
class Workshop:
    """One state directory and every process that works on it."""

    paths: Paths
    config: Path
    children: list[Child] = field(default_factory=list)

    def start(self, *arguments: str) -> Child:
        """`livespot ARGUMENTS`, its output in files of its own."""
        place = self.config.parent / f"child-{len(self.children)}"
        child = _spawn([sys.executable, "-m", "livespot_cmd.main", *arguments], place)
        self.children.append(child)
        return child

    async def call(self, *arguments: str, seconds: float = 30) -> Child:
        """Run a command to its end."""
        child = self.start(*arguments)
        await child.ended(seconds)
        return child

    async def exchange(self, *, start: str = TRADING_START, speed: int = SPEED) -> Child:
        """An exchange as `livespot sim` starts it, but as fast as asked, and a fresh database."""
        place = ("--journal", str(self.paths.exchange_journal))
        state = ("--state-file", str(self.paths.exchange_state))
        market = (
            "--data",
            str(self._data()),
            "--start",
            start,
            "--speed",
            str(speed),
            "--seed",
            "7",
        )
        child = self.start("exchange", "--port", "0", *market, *place, *state)
        await until(lambda: self._listens(child), 30, "an exchange")
        self.paths.database.parent.mkdir(parents=True, exist_ok=True)
        migrate(self.paths.database, backup_dir=self.paths.backups, now_ms=1)
        return child

    def sim(self, *arguments: str, span: str = "100s") -> Child:
        """`livespot sim` on this directory; `--resume` trades on the exchange started before."""
        place = ("--var", str(self.paths.var), "--config", str(self.config))
        market = ("--data", str(self._data())) if "--resume" in arguments else ()
        return self.start("sim", "--for", span, *place, *market, *arguments)

    def rows(self, sql: str, *values: str | int) -> list[tuple[Any, ...]]:
        """What the database holds at this moment; nothing while it does not exist."""
        try:
            uri = f"{self.paths.database.as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True, timeout=5)) as connection:
                return connection.execute(sql, values).fetchall()
        except sqlite3.OperationalError:
            return []

    async def seen(
        self, sql: str, *values: str | int, by: Child, seconds: float = 60
    ) -> list[tuple[Any, ...]]:
        """Rows of a question once there are some; `by` must live until then."""

        def look() -> list[tuple[Any, ...]] | None:
            self._must_live(by)
            return self.rows(sql, *values) or None

        return await until(look, seconds, sql)

    async def mode(self, wanted: str, *, by: Child, life: int = 1, seconds: float = 60) -> None:
        """Wait until the newest mode of the `life`-th run is the wanted one."""
        newest = (
            "SELECT 1 FROM sysmodes WHERE id = (SELECT max(id) FROM sysmodes) AND mode = ? "
            "AND run_id = (SELECT run_id FROM runs ORDER BY rowid LIMIT 1 OFFSET ?)"
        )
        await self.seen(newest, wanted, life - 1, by=by, seconds=seconds)

    def state(self) -> ExchangeState:
        return read_state(self.paths.exchange_state)

    async def open_orders(self, symbol: str) -> list[dict[str, Any]]:
        """What the exchange itself says is open, asked with the demo key."""
        state = self.state()
        shared = state.clock
        if shared is None:
            raise Impatient("the exchange shares no clock")
        anchor = ClockAnchor(wall_ms=shared.wall_ms, market_ms=shared.market_ms, speed=shared.speed)
        stamp = ScaledClock(anchor).now_ms()
        query = urlencode({"symbol": symbol, "timestamp": stamp, "recvWindow": 60_000})
        signature = hmac.new(DEMO_SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.get(
                f"{state.address.rest_url}/api/v3/openOrders?{query}&signature={signature}",
                headers={"X-MBX-APIKEY": DEMO_KEY},
            )
        found: list[dict[str, Any]] = answer.raise_for_status().json()
        return found

    def processes(self) -> list[str]:
        """Command lines of all living processes that work on this directory."""
        return [" ".join(process.info["cmdline"]) for process in self._at_work()]

    def end(self) -> None:
        """Kill whatever still runs, also what our children started and left behind."""
        for child in self.children:
            if child.alive:
                child.process.kill()
            child.process.wait()
        for process in self._at_work():
            process.kill()

    def _at_work(self) -> list[psutil.Process]:
        mark = str(self.paths.var)
        return [
            process
            for process in psutil.process_iter(["cmdline", "status"])
            if process.info["status"] != psutil.STATUS_ZOMBIE
            and any(mark in word for word in process.info["cmdline"] or ())
        ]

    def _data(self) -> Path:
        """The recorded market of `PAIRS` alone, made when it is first wanted."""
        made = self.config.parent / "market"
        if not made.exists():
            _copy_pairs(packaged_data(), made)
        return made

    def _listens(self, child: Child) -> bool:
        self._must_live(child)
        return self.paths.exchange_state.exists()

    def _must_live(self, child: Child) -> None:
        """Raises when the process that should do what is waited for has ended."""
        if not child.alive:
            code = child.process.returncode
            raise Impatient(f"the process ended with {code}:\n{child.output}\n{child.errors}")


@asynccontextmanager
async def workshop(directory: Path, config: str = PATIENT) -> AsyncIterator[Workshop]:
    """A state directory below `directory`; no process outlives the block."""
    file = directory / "settings.toml"
    file.write_text(config, encoding="utf-8")
    shop = Workshop(paths=Paths(var=directory / "var"), config=file)
    try:
        yield shop
    finally:
        shop.end()


async def until(look: Callable[[], T | None], seconds: float, what: str) -> T:
    """Return the first result of `look` that is neither None nor False. Raises `Impatient`."""
    wall = SystemClock()
    deadline = wall.monotonic_ms() + round(seconds * 1000)
    while True:
        found = look()
        # Compared by identity: an exit code of 0 is a result.
        if found is not None and found is not False:
            return found
        if wall.monotonic_ms() > deadline:
            raise Impatient(f"waited {seconds} s for {what}")
        await wall.sleep(_LOOK_SECONDS)


def _copy_pairs(recorded: Path, made: Path) -> None:
    made.mkdir()
    manifest = json.loads((recorded / "manifest.json").read_bytes())
    manifest["series"] = {name: manifest["series"][name] for name in PAIRS}
    for it in (manifest["symbols_file"], *manifest["series"].values()):
        shutil.copy(recorded / it["file"], made)
    (made / "manifest.json").write_text(json.dumps(manifest), encoding="ascii")


def _spawn(command: Sequence[str], place: Path) -> Child:
    out, err = place.with_suffix(".out"), place.with_suffix(".err")
    with out.open("wb") as output, err.open("wb") as errors:
        process = subprocess.Popen(  # noqa: S603  our own program
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, start_new_session=True
        )
    return Child(process=process, out=out, err=err)
