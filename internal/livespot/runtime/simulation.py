"""Starts, finds and stops the embedded exchange of `livespot sim`, a process of its own."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psutil

from livespot.contracts.errors import PreflightFailed
from livespot.contracts.ports import Clock
from livespot.contracts.secret import Secret
from livespot.exchange.settings import DEMO_KEY, DEMO_SECRET
from livespot.exchange.state_file import ExchangeAddress, ExchangeState, read_state
from livespot.runtime.clock import ClockAnchor, ScaledClock, SystemClock
from livespot.runtime.config import LoadedSettings, rehashed
from livespot.runtime.disk import RealDisk
from livespot.runtime.environment import Secrets, environment_of_a_child
from livespot.runtime.paths import Paths

_POLL_SECONDS = 0.05
_PATIENCE_MS = 30_000
_KEPT = ("livespot.toml", "livespot.lock", "previous", "leaving")
# Everything that a simulation writes, except for what is kept.
_OURS = (
    *("MOVED", "RESTORED", "STOP", "backups", "control", "data", "logs", "receipts", "runs"),
    *("exchange-journal.jsonl", "exchange.json", "exchange.json.new"),
    *("exchange-plan.json", "readiness.json"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """A running embedded exchange; `started` tells whether this process started it."""

    state: ExchangeState
    clock: Clock
    started: bool


def demo_secrets() -> Secrets:
    """Return the worthless key of the embedded exchange's demo account."""
    return Secrets(
        binance_api_key=Secret(DEMO_KEY),
        binance_api_secret=Secret(DEMO_SECRET),
        openai_api_key=Secret(""),
    )


def on_exchange(loaded: LoadedSettings, address: ExchangeAddress) -> LoadedSettings:
    """Return the settings with the embedded exchange's addresses."""
    settings = loaded.settings
    replaced = msgspec.structs.replace(
        settings,
        venue=msgspec.structs.replace(
            settings.venue,
            rest_url=address.rest_url,
            ws_url=address.stream_url,
            ws_api_url=address.ws_api_url,
        ),
        ai_gate=msgspec.structs.replace(settings.ai_gate, base_url=address.model_url),
    )
    return rehashed(loaded, replaced)


@contextmanager
def set_aside(paths: Paths) -> Iterator[None]:
    """Move the last simulation's files to `previous/`, so that a new one starts from nothing.

    When the block raises `PreflightFailed`, they are put back. Raises `PreflightFailed`, changing
    nothing, when the directory holds files that no simulation wrote.
    """
    _require_simulation(paths)
    leaving, previous = paths.var / "leaving", paths.var / "previous"
    if leaving.exists():
        # An interrupted start left this; it holds the last complete simulation.
        _remove(previous)
        leaving.replace(previous)
    present = _left_behind(paths)
    _move(present, leaving)
    try:
        yield
    except PreflightFailed:
        for path in _left_behind(paths):
            _remove(path)
        _move(_children(leaving), paths.var)
        _remove(leaving)
        raise
    if present:
        _remove(previous)
        leaving.replace(previous)


def _require_simulation(paths: Paths) -> None:
    """Refuse a directory with other files. Raises `PreflightFailed`.

    What is set aside is deleted one simulation later.
    """
    names = [path.name for path in _children(paths.var)]
    foreign = [name for name in names if name not in (*_KEPT, *_OURS) and not name.startswith(".")]
    if foreign:
        raise PreflightFailed(
            f"{paths.var} holds what no simulation wrote ({', '.join(foreign[:3])}); "
            "give --var an empty or new directory"
        )
    marks = (paths.database, paths.exchange_journal, paths.logs / "exchange.log")
    if _left_behind(paths) and not any(mark.exists() for mark in marks):
        raise PreflightFailed(
            f"{paths.var} holds files but no simulation; give --var an empty or new directory"
        )


def _left_behind(paths: Paths) -> list[Path]:
    return [path for path in _children(paths.var) if path.name in _OURS]


def _move(paths: list[Path], target: Path) -> None:
    if paths:
        target.mkdir(parents=True, exist_ok=True)
    for path in paths:
        path.replace(target / path.name)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


async def start_exchange(
    paths: Paths, *, start_ms: int, speed: int, seed: int, data: Path | None, plan: str = ""
) -> Simulation:
    """Start the exchange in a session of its own and wait until it serves.

    `plan` is the JSON text of its fault plan. Raises `PreflightFailed` when it does not serve in
    time, or ends first; the error quotes its last words.
    """
    RealDisk().make_directory(paths.var)
    RealDisk().make_directory(paths.logs)
    log = paths.logs / "exchange.log"
    command = [
        # -P: a file in the working directory must not stand in for a module of ours.
        *(sys.executable, "-P", "-m", "livespot_cmd.main", "exchange", "--port", "0"),
        *("--start", iso_utc(start_ms), "--speed", str(speed), "--seed", str(seed)),
        *("--journal", str(paths.exchange_journal), "--state-file", str(paths.exchange_state)),
        *(("--data", str(data)) if data is not None else ()),
        *(("--plan", str(paths.exchange_plan)) if plan else ()),
    ]
    if plan:
        RealDisk().write_atomic(paths.exchange_plan, plan.encode())
    with log.open("ab") as output:
        # A session of its own: Ctrl-C in the terminal or a killed runtime does not end it.
        process = subprocess.Popen(  # noqa: ASYNC220, S603  starting is short; arguments are ours
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            # The exchange needs no key, and others can read a process's arguments and environment.
            env=environment_of_a_child(),
        )
    try:
        await _answering(paths, process, log)
    except BaseException:
        # After a refusal or an interruption nobody would know of the process any more.
        process.kill()
        process.wait()
        paths.exchange_state.unlink(missing_ok=True)
        raise
    return _found(paths, started=True)


async def _answering(paths: Paths, process: "subprocess.Popen[bytes]", log: Path) -> None:
    wall = SystemClock()
    until = wall.monotonic_ms() + _PATIENCE_MS
    while not paths.exchange_state.exists():
        if process.poll() is not None:
            raise PreflightFailed(f"the embedded exchange did not start: {_last_words(log)}")
        if wall.monotonic_ms() > until:
            raise PreflightFailed(f"the embedded exchange did not answer in time; see {log}")
        await wall.sleep(_POLL_SECONDS)


def resume_exchange(paths: Paths) -> Simulation:
    """Find the exchange that the last simulation left running. Raises `PreflightFailed`."""
    if not paths.exchange_state.exists():
        raise PreflightFailed(
            "there is no running exchange to resume on; start a new simulation without --resume"
        )
    found = _found(paths, started=False)
    if _process(found.state.pid) is None:
        raise PreflightFailed(
            f"the exchange of the last simulation (process {found.state.pid}) has ended; "
            "start a new simulation without --resume"
        )
    return found


def stop_exchange(paths: Paths) -> None:
    """End the exchange of this state directory if one runs; it removes its state file itself."""
    if not paths.exchange_state.exists():
        return
    state = read_state(paths.exchange_state)
    exchange = _process(state.pid)
    if exchange is not None:
        exchange.terminate()
    else:
        paths.exchange_state.unlink(missing_ok=True)


async def exchange_ended(paths: Paths) -> None:
    """Wait until a stopped exchange has closed its journal; shielded against cancellation."""
    with SystemClock().move_on_after(_PATIENCE_MS / 1000, shield=True):
        while _still_there(paths):
            await SystemClock().sleep(_POLL_SECONDS)


def _last_words(log: Path) -> str:
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return said[-1] if said else "no message"


def _found(paths: Paths, *, started: bool) -> Simulation:
    state = read_state(paths.exchange_state)
    clock: Clock = SystemClock()
    if state.clock is not None:
        clock = ScaledClock(
            ClockAnchor(
                wall_ms=state.clock.wall_ms,
                market_ms=state.clock.market_ms,
                speed=state.clock.speed,
            )
        )
    return Simulation(state=state, clock=clock, started=started)


def _children(directory: Path) -> list[Path]:
    return sorted(directory.iterdir()) if directory.is_dir() else []


def _still_there(paths: Paths) -> bool:
    """Whether an exchange runs here; the state file of a dead one is removed."""
    try:
        alive = _process(read_state(paths.exchange_state).pid) is not None
    except PreflightFailed:
        # It has just removed the file itself, or the file is no state file.
        return False
    if not alive:
        paths.exchange_state.unlink(missing_ok=True)
    return alive


def _process(pid: int) -> psutil.Process | None:
    """Return the exchange with this process id; None when the id belongs to another program."""
    try:
        process = psutil.Process(pid)
        ours = "exchange" in process.cmdline()
    except psutil.Error:
        return None
    return process if ours and process.is_running() else None


def iso_utc(ms: int) -> str:
    """Return an instant in the form that the command line accepts."""
    return datetime.fromtimestamp(ms / 1000, tz=UTC).isoformat()
