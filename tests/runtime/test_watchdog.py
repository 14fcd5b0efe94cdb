"""A blocked event loop is noticed from outside, shut off, and in the end put down."""

import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from livespot.contracts.errors import ExitCode
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import SysMode
from livespot.runtime.send_gate import SendGate
from livespot.runtime.watchdog import Heartbeats, Watchdog
from livespot.testing.clock import ManualClock

# A real loop with its tick, then a call that blocks it; `stdout` tells what the gate was meanwhile.
_CHILD = """
import sys, time
from pathlib import Path
import anyio
from livespot.contracts.vocabulary import SysMode
from livespot.runtime.clock import ClockAnchor, ScaledClock
from livespot.runtime.send_gate import SendGate
from livespot.runtime.watchdog import Heartbeats, Watchdog

def say(*words):
    print(*words, flush=True)

def a_call_that_blocks_the_loop(gate, seconds):
    end = time.monotonic() + seconds
    before = gate.entries_open
    while time.monotonic() < end and gate.entries_open:
        time.sleep(0.005)
    say("while blocked:", before, gate.entries_open, gate.mutations_open)
    while time.monotonic() < end:
        time.sleep(0.005)

async def main(note, pause_ms, kill_ms, seconds, speed):
    now_ms = time.time_ns() // 1_000_000
    clock = ScaledClock(ClockAnchor(wall_ms=now_ms, market_ms=now_ms, speed=speed))
    beats, gate = Heartbeats(clock), SendGate(SysMode.NORMAL)
    beat = beats.beat_of("loop")
    dog = Watchdog(heartbeats=beats, gate=gate, pause_ms=pause_ms, kill_ms=kill_ms, note=Path(note))
    dog.start()
    for _ in range(3):
        beat()
        await anyio.sleep(0.02)
    say("before:", gate.entries_open)
    a_call_that_blocks_the_loop(gate, seconds)
    beat()
    await anyio.sleep(0)
    say("worst:", dog.take_worst_ms() >= pause_ms, dog.take_worst_ms() < pause_ms)
    dog.stop()

note, pause_ms, kill_ms, seconds, speed = sys.argv[1:]
anyio.run(main, note, int(pause_ms), int(kill_ms), float(seconds), int(speed))
"""


def blocked_for(
    seconds: float, *, note: Path, pause_ms: int = 300, kill_ms: int = 60_000, speed: int = 1
) -> subprocess.CompletedProcess[str]:
    numbers = [str(number) for number in (pause_ms, kill_ms, seconds, speed)]
    return subprocess.run(
        [sys.executable, "-c", _CHILD, str(note), *numbers],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_gate_is_closed_while_the_loop_is_still_blocked(tmp_path: Path) -> None:
    child = blocked_for(1, note=tmp_path / "crash.log")

    assert child.returncode == 0, child.stderr
    assert child.stdout.splitlines() == [
        "before: True",
        "while blocked: True False True",
        "worst: True True",
    ]


def test_a_blocked_loop_is_announced_once_on_stderr(tmp_path: Path) -> None:
    child = blocked_for(1, note=tmp_path / "crash.log")

    (line,) = child.stderr.splitlines()
    assert line.startswith("ALERT CRIT LOOP_STUCK_PAUSE the event loop has not run for ")
    assert not (tmp_path / "crash.log").exists()


def test_past_the_last_limit_the_process_ends_with_a_note_of_every_stack(tmp_path: Path) -> None:
    note = tmp_path / "crash.log"
    note.write_text("an older note\n", encoding="utf-8")

    child = blocked_for(30, note=note, kill_ms=400)

    text = note.read_text(encoding="utf-8")
    assert child.returncode == 20
    assert text.startswith("an older note\n")
    assert "WATCHDOG_KILL the event loop was blocked for" in text
    assert "a_call_that_blocks_the_loop" in text
    assert "_watch" in text


def test_with_the_settings_as_shipped_a_loop_blocked_for_a_minute_ends_the_process(
    tmp_path: Path,
) -> None:
    """A minute of market time, sixty times as fast."""
    health = Settings().health
    note = tmp_path / "crash.log"
    child = blocked_for(
        30,
        note=note,
        pause_ms=health.loop_stuck_ms_pause,
        kill_ms=health.watchdog_kill_ms,
        speed=60,
    )

    blocked = re.search(r"blocked for (\d+) ms", note.read_text(encoding="utf-8"))
    assert child.returncode == ExitCode.WATCHDOG
    assert blocked is not None
    assert 60_000 <= int(blocked[1]) < 120_000


def test_a_note_that_cannot_be_written_does_not_save_the_process(tmp_path: Path) -> None:
    child = blocked_for(30, note=tmp_path / "missing" / "crash.log", kill_ms=400)

    assert child.returncode == ExitCode.WATCHDOG
    assert "the crash note could not be written" in child.stderr


def test_a_closed_stderr_does_not_stop_the_watchdog(tmp_path: Path) -> None:
    note = tmp_path / "crash.log"
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(note), "150", "400", "30", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as child:
        assert child.stderr is not None
        child.stderr.close()
        code = child.wait(timeout=60)

    assert code == ExitCode.WATCHDOG
    assert "WATCHDOG_KILL" in note.read_text(encoding="utf-8")


def test_heartbeats_say_how_long_ago_each_part_was_seen() -> None:
    clock = ManualClock()
    beats = Heartbeats(clock)
    beat = beats.beat_of("loop")
    beats.beat_of("risk")

    clock.advance(300)
    beat()
    clock.advance(50)

    assert beats.overdue_ms() == {"loop": 50, "risk": 350}


def test_a_part_that_ended_on_purpose_is_not_watched_any_more() -> None:
    beats = Heartbeats(ManualClock())
    beats.beat_of("recovery")

    beats.forget("recovery")
    beats.forget("recovery")

    assert beats.overdue_ms() == {}


@pytest.mark.parametrize("started", [True, False])
def test_a_watchdog_can_be_stopped(*, started: bool, tmp_path: Path) -> None:
    beats = Heartbeats(ManualClock())
    beats.beat_of("loop")
    dog = Watchdog(
        heartbeats=beats, gate=SendGate(), pause_ms=10, kill_ms=20, note=tmp_path / "crash.log"
    )
    if started:
        dog.start()

    dog.stop()

    assert dog.take_worst_ms() == 0


def _watching(tmp_path: Path, clock: ManualClock) -> tuple[Watchdog, Heartbeats, SendGate]:
    beats, gate = Heartbeats(clock), SendGate(SysMode.NORMAL)
    note = tmp_path / "crash.log"
    return (
        Watchdog(heartbeats=beats, gate=gate, pause_ms=15_000, kill_ms=60_000, note=note),
        beats,
        gate,
    )


def _until(condition: Callable[[], bool]) -> None:
    """Wait for another thread, for five seconds at most."""
    tick = threading.Event()
    for _ in range(500):
        if condition():
            return
        tick.wait(0.01)
    raise AssertionError("it never happened")


def test_a_governor_that_stands_while_the_loop_runs_is_shut_off_and_not_ended(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    clock = ManualClock()
    dog, beats, gate = _watching(tmp_path, clock)
    beats.beat_of("governor")
    loop = beats.beat_of("loop")
    clock.advance(70_000)
    loop()
    dog.start()
    _until(lambda: not gate.entries_open)
    dog.stop()

    assert gate.mode is SysMode.PAUSE
    assert "ALERT CRIT LOOP_STUCK_PAUSE the governor has not answered" in capfd.readouterr().err
    assert not dog.note.exists()


def test_after_an_orderly_end_a_silent_governor_alarms_nobody(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    clock = ManualClock()
    dog, beats, gate = _watching(tmp_path, clock)
    beats.beat_of("governor")
    loop = beats.beat_of("loop")
    gate.seal()
    clock.advance(20_000)
    loop()
    told: list[int] = []
    dog.alive = lambda: told.append(1)
    dog.start()
    _until(lambda: bool(told))
    dog.stop()

    assert capfd.readouterr().err == ""


def test_the_watchdog_beats_itself_and_a_thread_that_ended_is_missed(tmp_path: Path) -> None:
    clock = ManualClock()
    dog, beats, _ = _watching(tmp_path, clock)
    loop = beats.beat_of("loop")
    dog.start()
    clock.advance(10_000)
    loop()
    _until(lambda: beats.overdue_ms()["watchdog"] == 0)
    dog._stop.set()
    _until(lambda: not any(thread.name == "watchdog" for thread in threading.enumerate()))
    clock.advance(6_000)

    assert beats.overdue_ms()["watchdog"] == 6_000
    dog.stop()
    assert "watchdog" not in beats.overdue_ms()
