"""What bars a symbol for a while lasts that long, however the machine's clock is set."""

from collections.abc import Callable, Iterator
from decimal import Decimal

import msgspec
import pytest

from livespot.actors.mail import FillBooked, MutationCounted, PricesInsane
from livespot.contracts.errors import Unreachable
from livespot.contracts.vocabulary import IntentAction, IntentRole, PositionPhase, Side
from livespot.rules import quarantine
from livespot.testing.clock import ManualClock
from livespot.testing.ledger_rows import position
from livespot.testing.market_values import NOW_MS
from livespot.testing.risk_values import a_trade
from livespot.testing.risk_world import LIMITS, SETTINGS, SYMBOLS, House
from livespot.venue.time_sync import TimeSync

_SYMBOL = SYMBOLS[0]
_HOUR_MS = 3_600_000
_FREE = Decimal(10_000)


class _World:
    """The exchange's time runs with the machine's steady clock; `reachable` lets it be measured."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW_MS)
        self.reachable = True
        self.sync = TimeSync(self.clock, self._read)
        self.house = House(clock=self.clock, server_clock=self.sync)

    async def _read(self) -> int:
        if not self.reachable:
            raise Unreachable("lost")
        return self.exchange_ms

    @property
    def exchange_ms(self) -> int:
        return NOW_MS + self.clock.monotonic_ms()

    def set_machine(self, by_ms: int) -> None:
        self.clock.wall_ms += by_ms

    def measure(self) -> None:
        self.house.loop.run_until_complete(self.sync.resync())

    def boot(self) -> None:
        self.house.boot(_FREE)

    def may_trade(self) -> bool:
        return bool(self.house.propose(_SYMBOL))

    def trade(self, number: int) -> None:
        """Buy and be stopped out, both told of at once."""
        decision_id = f"dec_past_{number}"
        sides = ((Side.BUY, IntentRole.ENTRY), (Side.SELL, IntentRole.SL))
        for leg, (side, role) in enumerate(sides):
            fill = a_trade(
                2 * number + leg,
                side,
                "100",
                "1",
                symbol=_SYMBOL,
                exchange_time_ms=self.exchange_ms,
                local_received_ms=self.clock.now_ms(),
            )
            self.house.say(
                FillBooked(
                    fill=fill,
                    order_intent_id=f"oi_{number}_{leg}",
                    decision_id=decision_id,
                    role=role,
                    fee_quote=Decimal(0),
                    fee_unpriced=False,
                )
            )
        self.end(decision_id, Decimal(0))

    def end(self, decision_id: str, realised: Decimal) -> None:
        flat = position(phase=PositionPhase.FLAT).position
        ended = msgspec.structs.replace(
            flat, symbol=_SYMBOL, decision_id=decision_id, realised_quote=realised
        )
        self.house.say(ended)

    def cancel(self) -> None:
        self.house.say(
            MutationCounted(
                symbol=_SYMBOL,
                action=IntentAction.CANCEL,
                role=IntentRole.ENTRY,
                at_ms=self.sync.steady_now_ms(),
            )
        )


@pytest.fixture
def world() -> Iterator[_World]:
    world = _World()
    yield world
    world.house.close()


def _quarantined(world: _World) -> int:
    world.house.say(PricesInsane(symbol=_SYMBOL, at_ms=world.clock.now_ms()))
    return SETTINGS.quarantine.ttl_seconds


def _stopped_out(world: _World) -> int:
    world.trade(1)
    return LIMITS.cooldown_seconds


def _traded_often(world: _World) -> int:
    for number in range(LIMITS.max_trades_per_window):
        world.trade(number)
    return LIMITS.trades_window_seconds


def _lost_in_a_row(world: _World) -> int:
    for number in range(LIMITS.max_consecutive_losses):
        world.end(f"dec_lost_{number}", Decimal(-1))
    return LIMITS.trades_window_seconds


def _churned(world: _World) -> int:
    for _ in range(SETTINGS.churn.max_cancel_10s):
        world.cancel()
    return SETTINGS.churn.cooldown_seconds


@pytest.mark.parametrize("jump_ms", [-5 * _HOUR_MS, 5 * _HOUR_MS])
@pytest.mark.parametrize("measured", [True, False])
@pytest.mark.parametrize(
    "barred", [_quarantined, _stopped_out, _traded_often, _lost_in_a_row, _churned]
)
def test_a_machine_clock_that_is_set_neither_ends_nor_prolongs_a_bar(
    world: _World, barred: Callable[[_World], int], jump_ms: int, *, measured: bool
) -> None:
    world.measure()
    world.boot()
    span_ms = barred(world) * 1000
    world.set_machine(jump_ms)
    if measured:
        world.measure()

    world.clock.advance(span_ms - 1)
    assert not world.may_trade()
    world.clock.advance(1)

    assert world.may_trade()


@pytest.mark.parametrize("jump_ms", [-5 * _HOUR_MS, 5 * _HOUR_MS])
def test_a_bar_set_under_a_wrong_machine_clock_lasts_its_time(world: _World, jump_ms: int) -> None:
    world.measure()
    world.boot()
    world.set_machine(jump_ms)
    span_ms = _quarantined(world) * 1000
    world.set_machine(-jump_ms)
    world.measure()

    world.clock.advance(span_ms - 1)
    assert not world.may_trade()
    world.clock.advance(1)

    assert world.may_trade()


def test_no_quarantine_of_the_last_life_ends_before_the_time_is_known(world: _World) -> None:
    world.measure()
    world.boot()
    _quarantined(world)
    until_ms = world.house.ledger.health[_SYMBOL].quarantined_until_ms
    world.house.end_life(killed=False)
    world.reachable = False
    world.set_machine(5 * _HOUR_MS)
    world.sync = world.house.server_clock = TimeSync(world.clock, world._read)
    world.boot()

    kept = world.house.ledger.health[_SYMBOL]
    assert kept.quarantined_until_ms == until_ms
    world.reachable = True
    world.measure()
    assert not world.may_trade()
    assert quarantine.from_row(kept).cause == quarantine.CAUSE_PRICES
