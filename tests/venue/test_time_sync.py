"""The exchange's clock is measured robustly."""

from collections.abc import Sequence

import anyio
import pytest

from livespot.contracts.errors import Unreachable
from livespot.testing.clock import ManualClock
from livespot.venue.time_sync import TimeSync


class _Server:
    """A clock `ahead_ms` before ours; each reading takes the next of `rtts_ms`."""

    def __init__(self, clock: ManualClock, ahead_ms: int, rtts_ms: Sequence[int]) -> None:
        self.clock = clock
        self.ahead_ms = ahead_ms
        self.rtts_ms = list(rtts_ms)
        self.readings = 0

    async def read(self) -> int:
        self.readings += 1
        rtt_ms = self.rtts_ms.pop(0)
        self.clock.advance(rtt_ms // 2)
        now_ms = self.clock.now_ms() + self.ahead_ms
        await anyio.lowlevel.checkpoint()
        self.clock.advance(rtt_ms - rtt_ms // 2)
        return now_ms


async def test_half_the_round_trip_is_deducted() -> None:
    clock = ManualClock()
    server = _Server(clock, 1500, [40, 60, 80, 100, 20])
    sync = TimeSync(clock, server.read)

    moved_ms = await sync.resync()

    assert sync.offset_ms == 1500
    assert sync.server_now_ms() == clock.now_ms() + 1500
    assert moved_ms == 0


async def test_one_slow_answer_is_left_out_and_measured_again() -> None:
    clock = ManualClock()
    server = _Server(clock, -6000, [20, 3000, 20, 20, 20, 20])
    sync = TimeSync(clock, server.read)

    await sync.resync()

    assert sync.offset_ms == -6000
    assert server.readings == 6


async def test_one_wrong_answer_does_not_move_the_median() -> None:
    clock = ManualClock()
    server = _Server(clock, 0, [20] * 5)
    wrong = iter((0, 4000, 0, 0, 0))

    async def read() -> int:
        return await server.read() + next(wrong)

    sync = TimeSync(clock, read)

    await sync.resync()

    assert sync.offset_ms == 0


async def test_the_movement_since_the_last_measurement_is_returned() -> None:
    clock = ManualClock()
    server = _Server(clock, 100, [10] * 10)
    sync = TimeSync(clock, server.read)
    await sync.resync()

    server.ahead_ms = -700

    assert await sync.resync() == 800


async def test_too_few_good_answers_leave_the_offset_as_it_was() -> None:
    clock = ManualClock()
    server = _Server(clock, 100, [10] * 5 + [900] * 8)
    sync = TimeSync(clock, server.read)
    await sync.resync()

    with pytest.raises(Unreachable):
        await sync.resync()

    assert sync.offset_ms == 100


async def test_callers_that_meet_share_one_measurement() -> None:
    clock = ManualClock()
    server = _Server(clock, 100, [10] * 10)
    sync = TimeSync(clock, server.read)

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(sync.resync)

    assert server.readings == 5


async def test_a_lost_answer_or_two_are_measured_again_but_not_a_dead_line() -> None:
    clock = ManualClock()
    server = _Server(clock, 250, [10] * 20)
    lost = {1, 3}
    asked = 0

    async def read() -> int:
        nonlocal asked
        asked += 1
        if asked in lost or asked > 7:
            raise Unreachable("lost")
        return await server.read()

    sync = TimeSync(clock, read)

    await sync.resync()
    with pytest.raises(Unreachable):
        await sync.resync()

    assert (sync.offset_ms, asked) == (250, 10)


async def test_a_glance_goes_by_one_answer_however_slow_and_keeps_nothing() -> None:
    clock = ManualClock()
    server = _Server(clock, 28_000, [3000])
    sync = TimeSync(clock, server.read)

    offset_ms = await sync.glance()

    assert offset_ms == 28_000
    assert server.readings == 1
    assert not sync.synced
    assert sync.offset_ms == 0


async def test_the_certain_time_goes_on_by_the_steady_clock() -> None:
    clock = ManualClock()
    sync = TimeSync(clock, _Server(clock, 1500, [10] * 5).read)
    assert sync.certain_now_ms() is None
    await sync.resync()
    measured_ms = clock.now_ms() + 1500
    assert sync.certain_now_ms() == measured_ms

    clock.advance(60_000)
    clock.wall_ms += 7_200_000

    assert sync.certain_now_ms() == measured_ms + 60_000
    assert sync.server_now_ms() == measured_ms + 7_260_000


async def test_a_clock_that_is_set_before_any_measurement_does_not_move_the_steady_time() -> None:
    clock = ManualClock()
    sync = TimeSync(clock, _Server(clock, 1500, [10] * 5).read)
    sync.presume(1400)
    began_ms = clock.now_ms()

    clock.advance(60_000)
    clock.wall_ms += 7_200_000
    before = sync.steady_now_ms()
    await sync.resync()

    assert before == began_ms + 1400 + 60_000
    assert sync.steady_now_ms() == clock.now_ms() + 1500


async def test_a_clock_set_within_a_measurement_does_not_make_the_certain_time_wrong() -> None:
    clock = ManualClock()
    server = _Server(clock, 0, [10] * 5)
    exchange_ms = clock.now_ms() - clock.monotonic_ms()
    asked = 0

    async def read() -> int:
        nonlocal asked
        asked += 1
        if asked == 4:
            clock.wall_ms += 7_200_000
            server.ahead_ms -= 7_200_000
        return await server.read()

    sync = TimeSync(clock, read)

    await sync.resync()

    assert sync.certain_now_ms() == exchange_ms + clock.monotonic_ms()


@pytest.mark.parametrize(
    ("jump_ms", "doubted"),
    [
        pytest.param(5_000, False, id="small"),
        pytest.param(5_001, True, id="ahead"),
        pytest.param(-5_001, True, id="behind"),
    ],
)
async def test_a_measurement_that_contradicts_the_last_needs_another(
    jump_ms: int, doubted: bool
) -> None:
    clock = ManualClock()
    server = _Server(clock, 0, [10] * 15)
    sync = TimeSync(clock, server.read)
    await sync.resync()

    server.ahead_ms += jump_ms
    await sync.resync()
    assert (sync.certain_now_ms() is None) is doubted
    await sync.resync()

    assert sync.certain_now_ms() == clock.now_ms() + jump_ms
