"""A position in a symbol that is not traded: asked for once, then waited for, then protected."""

from dataclasses import replace
from decimal import Decimal

import pytest

from livespot.contracts.codes import ReasonCode
from livespot.contracts.vocabulary import IntentRole, SignalLevel
from livespot.rules.protection import (
    Cancel,
    Close,
    Command,
    Guard,
    Notify,
    Protect,
    Scene,
    Settlement,
    Signal,
    Swap,
)
from livespot.rules.protection_answers import settled
from livespot.rules.protection_ladder import advance
from livespot.testing.protection_cases import a_scene

OPEN = a_scene()
HALTED = replace(OPEN, trading=False)
TEN_MINUTES_MS = 600_000


def asked(commands: tuple[Command, ...]) -> list[Command]:
    return [c for c in commands if isinstance(c, Protect | Close | Cancel | Swap)]


def closed(role: IntentRole) -> Settlement:
    return Settlement(
        role=role,
        intent_id="oi_1",
        outcome="REFUSED",
        code=-2010,
        message="Market is closed.",
        orders=(),
    )


def through(guard: Guard, scene: Scene, begin_ms: int, end_ms: int) -> tuple[Guard, list[Command]]:
    """Ten passes a second; each request is refused at once."""
    done: list[Command] = []
    for now_ms in range(begin_ms, end_ms, 100):
        guard, commands = advance(guard, scene, now_ms)
        done += commands
        for command in asked(commands):
            role = command.role if isinstance(command, Protect) else IntentRole.CLOSE
            guard = settled(guard, scene, closed(role), now_ms)
    return guard, done


def test_what_the_exchange_has_not_refused_is_asked_for_whatever_its_rules_say() -> None:
    _, commands = advance(Guard(), HALTED, 0)

    assert [type(command) for command in asked(commands)] == [Protect]


def test_after_a_refusal_nothing_is_asked_for_while_the_symbol_is_not_traded() -> None:
    guard, _ = through(Guard(), HALTED, 0, 100)

    _, commands = through(guard, HALTED, 100, 40_000)

    assert asked(tuple(commands)) == []
    levels = [command.level for command in commands if isinstance(command, Signal)]
    assert levels == [SignalLevel.DEGRADE, SignalLevel.PAUSE]


def test_as_soon_as_it_is_traded_again_a_protection_is_asked_for() -> None:
    guard, _ = through(Guard(), HALTED, 0, 100)
    # The alarm for the missing stop has asked for a sale meanwhile; the market is what it was.
    guard, _ = advance(guard, HALTED, TEN_MINUTES_MS)

    _, commands = advance(guard, OPEN, TEN_MINUTES_MS + 100)

    assert len(asked(commands)) == 1


@pytest.mark.parametrize("market", ["crossed", "within"])
def test_a_halt_uses_up_neither_the_time_nor_the_rounds_of_a_sale(market: str) -> None:
    bid = Decimal(98) if market == "crossed" else Decimal(100)
    halted, again = replace(HALTED, bid=bid), replace(OPEN, bid=bid)
    guard, said = through(Guard(), halted, 0, 120_000)

    guard, commands = advance(guard, again, 120_000)

    failed = [c for c in said if isinstance(c, Notify)]
    assert ReasonCode.CLOSE_SAFELY_FAILED not in [c.code for c in failed]
    assert guard.rounds == 0
    assert [type(command) for command in asked(commands)] == [Close]
