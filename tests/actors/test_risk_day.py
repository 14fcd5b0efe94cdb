"""The limits of a UTC day follow the exchange's time, whatever the machine's clock says."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import Unreachable
from livespot.rules import risk_counters
from livespot.rules.risk_counters import DAY_MS, Counters
from livespot.testing.clock import ManualClock
from livespot.testing.market_values import NOW_MS
from livespot.testing.risk_values import TODAY
from livespot.testing.risk_world import LIMITS, House
from livespot.venue.time_sync import TimeSync

_HOUR_MS = 3_600_000
_MIDNIGHT = (TODAY + 1) * DAY_MS
_FREE = Decimal(10_000)
_USED_UP = Counters(
    day=TODAY,
    trades_today=LIMITS.max_trades_per_day,
    fired=(ReasonCode.RISK_MAX_TRADES_DAY,),
)


class _World:
    """A day whose trades are used up, a machine with a clock of its own, and the exchange's."""

    def __init__(self, exchange_ms: int) -> None:
        self.clock = ManualClock(exchange_ms)
        self.ahead_ms = exchange_ms
        self.reachable = True
        self.sync = TimeSync(self.clock, self._read)
        self.house = House(clock=self.clock, server_clock=self.sync)
        self.house.ledger.counters = risk_counters.to_json(_USED_UP)

    async def _read(self) -> int:
        if not self.reachable:
            raise Unreachable("lost")
        return self.clock.monotonic_ms() + self.ahead_ms

    def set_machine(self, by_ms: int) -> None:
        self.clock.wall_ms += by_ms

    def sleep_machine(self, ms: int) -> None:
        """The lid is closed: its wall clock and the exchange go on, the steady clock stands."""
        self.clock.wall_ms += ms
        self.ahead_ms += ms

    def measure(self) -> None:
        self.house.loop.run_until_complete(self.sync.resync())

    def boot(self) -> None:
        self.house.boot(_FREE)

    def may_trade(self) -> bool:
        return bool(self.house.propose("AAAUSDT"))

    def counters(self) -> Counters:
        return risk_counters.from_json(self.house.ledger.counters or "")


@pytest.fixture
def world() -> Iterator[_World]:
    world = _World(NOW_MS)
    yield world
    world.house.close()


def test_a_machine_clock_set_ahead_hands_out_no_fresh_day(world: _World) -> None:
    world.measure()
    world.boot()

    world.set_machine(DAY_MS)
    assert not world.may_trade()
    world.measure()
    assert not world.may_trade()

    assert world.counters().day == TODAY
    assert world.counters().fired == _USED_UP.fired


def test_a_machine_clock_set_back_does_not_hold_yesterdays_limits(world: _World) -> None:
    world.measure()
    world.boot()
    world.set_machine(-5 * _HOUR_MS)
    world.measure()

    world.clock.advance(_MIDNIGHT - 1 - NOW_MS)
    assert not world.may_trade()
    world.clock.advance(1)

    assert world.may_trade()


def test_a_machine_that_starts_with_a_wrong_clock_goes_by_the_exchanges_day(world: _World) -> None:
    world.set_machine(2 * DAY_MS)
    world.measure()

    world.boot()

    assert not world.may_trade()
    assert world.counters().day == TODAY


def test_a_new_day_waits_until_the_exchanges_time_is_known(world: _World) -> None:
    world.clock.advance(_MIDNIGHT - NOW_MS)
    world.reachable = False
    with pytest.raises(Unreachable):
        world.measure()
    world.boot()
    assert not world.may_trade()

    world.reachable = True
    world.measure()

    assert world.may_trade()


def test_a_new_day_waits_while_two_measurements_contradict_each_other(world: _World) -> None:
    world.measure()
    world.boot()

    world.ahead_ms += DAY_MS
    world.measure()
    assert not world.may_trade()
    world.ahead_ms -= DAY_MS
    world.measure()
    assert not world.may_trade()
    world.measure()
    assert not world.may_trade()

    assert world.counters().day == TODAY


def test_a_machine_that_slept_over_midnight_begins_the_day_when_that_is_sure(world: _World) -> None:
    world.measure()
    world.boot()

    world.sleep_machine(_MIDNIGHT - NOW_MS)
    assert not world.may_trade()
    world.measure()
    assert not world.may_trade()
    world.measure()

    assert world.may_trade()


def test_a_day_that_a_wrong_clock_once_began_counts_what_is_traded_today(world: _World) -> None:
    early = Counters(day=TODAY + 1, trades_today=LIMITS.max_trades_per_day)
    world.house.ledger.counters = risk_counters.to_json(early)
    world.measure()
    world.boot()

    assert world.counters().day == TODAY
    assert world.counters().trades_today == LIMITS.max_trades_per_day
    world.clock.advance(_MIDNIGHT - NOW_MS)

    assert world.may_trade()
