"""A clock that is set shortens no fence: the exchange is given its time by a steady clock too."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from livespot.testing.execution_bench import Bench, StepClock, a_decision, bench, remember
from livespot.testing.ledger_rows import fresh
from livespot.testing.scripted_venue import DROP_REQUEST, ScriptedVenue
from livespot.testing.server_clock import FixedOffset

_FENCE_MS = 8000 + 5000 + 10_000 + 60_000
_SET_MS = 14_000
_ROUNDS_MS = 20_000
_Change = Callable[[Bench], None]


def server_clock_of(b: Bench) -> FixedOffset:
    server_clock = b.actor.server_clock
    assert isinstance(server_clock, FixedOffset)
    return server_clock


def exchange_clock_set(b: Bench) -> None:
    """The exchange's clock was set forward, and that has been measured."""
    server_clock_of(b).offset_ms += _SET_MS


def own_clock_set(b: Bench) -> None:
    """Ours was set forward, and the exchange's time has not been measured since."""
    b.clock.wall_ms += _SET_MS


def own_clock_set_and_measured(b: Bench) -> None:
    own_clock_set(b)
    server_clock_of(b).offset_ms -= _SET_MS


def own_clock_set_back_and_measured(b: Bench) -> None:
    b.clock.wall_ms -= 3_600_000
    server_clock_of(b).offset_ms += 3_600_000


async def wait(b: Bench, ms: int) -> None:
    """Time passes, and the market goes on trading: by its stamps the engine is far beyond."""
    b.clock.step(ms)
    b.venue.traded_until_ms = b.actor.server_clock.server_now_ms()
    await b.advance(_ROUNDS_MS)


@asynccontextmanager
async def after_a_lost_entry(path: Path, *, down_ms: int = 0) -> AsyncIterator[Bench]:
    """The next life after one that ended with an entry's answer outstanding."""
    clock = StepClock()
    venue = ScriptedVenue(clock)
    async with bench(path, venue=venue, clock=clock) as b:
        decision = a_decision()
        await remember(b, decision)
        venue.script = [DROP_REQUEST]
        await b.approve(decision)
    clock.step(down_ms)
    async with bench(path, venue=venue, clock=clock) as b:
        yield b


@pytest.mark.parametrize("change", [exchange_clock_set, own_clock_set])
async def test_a_clock_set_forward_brings_no_denial_forward(
    tmp_path: Path, change: _Change
) -> None:
    async with bench(fresh(tmp_path)) as b:
        b.venue.script = [DROP_REQUEST]
        await b.approve(a_decision())
        change(b)

        await wait(b, _FENCE_MS - _ROUNDS_MS - 1000)
        assert b.states("ENTRY") == ["SENT_UNKNOWN"]

        await wait(b, 1000)
        assert b.states("ENTRY") == ["NOT_FOUND"]


@pytest.mark.parametrize("change", [exchange_clock_set, own_clock_set_and_measured])
async def test_a_clock_set_forward_brings_no_denial_by_the_next_life_forward(
    tmp_path: Path, change: _Change
) -> None:
    async with after_a_lost_entry(fresh(tmp_path), down_ms=20_000) as b:
        change(b)
        await b.recover()

        await wait(b, _FENCE_MS - 20_000 - _ROUNDS_MS - 1000)
        assert b.states("ENTRY") == ["SENT_UNKNOWN"]

        await wait(b, 1000)
        assert b.states("ENTRY") == ["NOT_FOUND"]


async def test_a_clock_set_back_delays_the_next_lifes_denial_by_no_more_than_a_fence(
    tmp_path: Path,
) -> None:
    async with after_a_lost_entry(fresh(tmp_path)) as b:
        own_clock_set_back_and_measured(b)
        await b.recover()

        await wait(b, _FENCE_MS)

        assert b.states("ENTRY") == ["NOT_FOUND"]


async def test_a_life_that_has_not_measured_the_exchanges_time_denies_nothing(
    tmp_path: Path,
) -> None:
    async with after_a_lost_entry(fresh(tmp_path)) as b:
        b.clock.wall_ms += 3_600_000
        server_clock_of(b).synced = False
        await b.recover()
        await wait(b, 1000)
        assert b.states("ENTRY") == ["SENT_UNKNOWN"]

        server_clock_of(b).synced = True
        server_clock_of(b).offset_ms = -3_600_000
        await wait(b, 1000)
        assert b.states("ENTRY") == ["SENT_UNKNOWN"]

        await wait(b, _FENCE_MS)
        assert b.states("ENTRY") == ["NOT_FOUND"]
