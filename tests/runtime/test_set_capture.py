"""A recorder that cannot keep up, or loses its connection, says what it lost."""

import json
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from livespot.contracts.errors import Unreachable
from livespot.contracts.market import AggTrade
from livespot.runtime.set_capture import _close, _Course, _Frame, _hear, _write
from livespot.runtime.set_manifest import Gap
from livespot.runtime.set_tape import Grid, begin_tape, conclude
from livespot.testing.clock import ManualClock
from livespot.venue.frames import decode_frame

# 2026-03-04T05:06:00 UTC
START_MS = 1_772_600_760_000
GRID = Grid(tick_size=Decimal("0.01"), step_size=Decimal("0.001"))


def frame(trade_id: int) -> bytes:
    data = {"s": "SOLUSDT", "a": trade_id, "p": "32.51", "q": "0.5", "T": START_MS, "m": False}
    text = json.dumps({"stream": "solusdt@aggTrade", "data": data}, separators=(",", ":"))
    return text.encode()


class ScriptedConnection:
    """Delivers its frames a second apart, then is lost."""

    def __init__(self, clock: ManualClock, frames: list[bytes]) -> None:
        self._clock = clock
        self._frames = frames
        self.subscribed: frozenset[str] = frozenset()

    async def subscribe(self, streams: frozenset[str]) -> None:
        self.subscribed |= streams

    async def unsubscribe(self, streams: frozenset[str]) -> None:
        self.subscribed -= streams

    async def knock(self) -> None:
        await anyio.lowlevel.checkpoint()

    async def receive(self) -> bytes:
        self._clock.advance(1000)
        if not self._frames:
            raise Unreachable("the script is over")
        return self._frames.pop(0)

    def receive_nowait(self) -> bytes | None:
        return None


def course_in(directory: Path, clock: ManualClock) -> _Course:
    directory.mkdir()
    writer = begin_tape(
        directory,
        url="wss://somewhere",
        rules=[],
        grids={"SOLUSDT": GRID},
        frame=(START_MS, 3_600_000),
    )
    return _Course(writer=writer, now_ms=clock.now_ms, heard_ms=START_MS)


async def test_frames_beyond_the_queue_are_dropped_counted_and_stated(tmp_path: Path) -> None:
    clock = ManualClock(START_MS)
    course = course_in(tmp_path / "set", clock)
    to_writer, frames = anyio.create_memory_object_stream[_Frame](2)

    with to_writer, frames:
        for first in (1, 5):
            numbers = range(first, first + 4)
            connection = ScriptedConnection(clock, [frame(number) for number in numbers])
            with pytest.raises(Unreachable):
                await _hear(connection, course, to_writer)
            while frames.statistics().current_buffer_used:
                raw, at_ms = frames.receive_nowait()
                course.writer.put(_trade(raw), at_ms)
    _close(course)
    origin = conclude(tmp_path / "set").origin

    # Two of four fit each time; the first that fits again ends the gap, the end of the run another.
    assert course.dropped == 4
    full = [gap for gap in origin.gaps["SOLUSDT"] if gap.cause == "the queue was full"]
    assert [(gap.from_ms - START_MS, gap.to_ms - START_MS) for gap in full] == [
        (3000, 6000),
        (8000, 10_000),
    ]
    assert "2 trades lost" in {gap.cause for gap in origin.gaps["SOLUSDT"]}


async def test_a_lost_connection_is_a_gap_until_the_first_frame_after_it(tmp_path: Path) -> None:
    clock = ManualClock(START_MS + 5000)
    course = course_in(tmp_path / "set", clock)
    course.lost_ms = START_MS + 1000
    to_writer, frames = anyio.create_memory_object_stream[_Frame](8)

    with frames:
        with to_writer, pytest.raises(Unreachable):
            await _hear(ScriptedConnection(clock, [frame(1), b"{}", frame(2)]), course, to_writer)
        await _write(frames, course)
    _close(course)
    done = conclude(tmp_path / "set")

    lost = Gap(from_ms=START_MS + 1000, to_ms=START_MS + 6000, cause="the connection was lost")
    assert done.origin.gaps["SOLUSDT"] == (lost,)
    assert done.rows == 2


def _trade(raw: bytes) -> AggTrade:
    message = decode_frame(raw, START_MS)
    assert isinstance(message, AggTrade)
    return message
