"""A position in a symbol that is not traded: asked for once, then waited for, then protected."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest

from livespot.contracts.codes import ReasonCode
from livespot.contracts.vocabulary import IntentRole, MutationOutcome, SignalLevel
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
from livespot.rules.protection_pace import rung_of
from livespot.testing.protection_cases import a_scene

OPEN = a_scene()
HALTED = replace(OPEN, trading=False)
UNREAD = replace(OPEN, trading=None)
A_MINUTE_MS = 60_000
LONGEST_PAUSE_MS = 30_200
TEN_MINUTES_MS = 600_000


def asked(commands: tuple[Command, ...]) -> list[Command]:
    return [c for c in commands if isinstance(c, Protect | Close | Cancel | Swap)]


def closed(role: IntentRole) -> Settlement:
    return Settlement(
        role=role,
        intent_id="oi_1",
        outcome=MutationOutcome.REFUSED,
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


def times_asked(scene: Scene, end_ms: int) -> dict[tuple[IntentRole, bool], list[int]]:
    """When each kind of request was made, while every one is refused for a closed market."""
    guard = Guard()
    times: dict[tuple[IntentRole, bool], list[int]] = {}
    for now_ms in range(0, end_ms, 100):
        guard, commands = advance(guard, scene, now_ms)
        for command in commands:
            if isinstance(command, Protect | Close):
                rung = rung_of(command)
                times.setdefault(rung, []).append(now_ms)
                guard = settled(guard, scene, closed(rung[0]), now_ms)
    return times


@pytest.mark.parametrize("bid", [Decimal(98), Decimal(100), None], ids=["crossed", "within", "no"])
@pytest.mark.parametrize("rules", [UNREAD, OPEN], ids=["unread", "open-they-say"])
def test_a_closed_market_is_asked_the_same_at_most_three_times_a_minute_and_never_given_up(
    rules: Scene, bid: Decimal | None
) -> None:
    times = times_asked(replace(rules, bid=bid), TEN_MINUTES_MS)

    for begins in times.values():
        assert all(sum(t <= at < t + A_MINUTE_MS for at in begins) <= 3 for t in begins)
    asked_at = sorted(at for begins in times.values() for at in begins)
    assert max(b - a for a, b in pairwise([*asked_at, TEN_MINUTES_MS])) <= LONGEST_PAUSE_MS


def test_a_market_that_was_closed_for_a_second_is_asked_for_the_same_protection_once_more() -> None:
    guard, _ = through(Guard(), UNREAD, 0, 100)

    _, commands = advance(guard, UNREAD, 1500)

    (again,) = asked(commands)
    assert isinstance(again, Protect)
    assert again.role is IntentRole.LIST


@pytest.mark.parametrize("at_ms", [300, 50_000, 400_000])
def test_as_soon_as_the_rules_can_be_read_and_say_it_is_traded_it_is_asked_for(at_ms: int) -> None:
    guard, _ = through(Guard(), UNREAD, 0, at_ms)

    _, commands = advance(guard, OPEN, at_ms)

    assert len(asked(commands)) == 1


def test_rules_that_said_all_along_that_it_is_traded_open_no_market() -> None:
    guard, _ = through(Guard(), OPEN, 0, 300)

    _, commands = advance(guard, OPEN, 300)

    assert asked(commands) == []


def test_rules_that_can_be_read_and_say_it_is_not_traded_end_all_asking() -> None:
    guard, _ = through(Guard(), UNREAD, 0, 10_000)

    _, commands = through(guard, HALTED, 10_000, TEN_MINUTES_MS)

    assert asked(tuple(commands)) == []


def test_a_refusal_in_other_words_says_that_the_market_is_open() -> None:
    guard, _ = through(Guard(), UNREAD, 0, 100)
    guard, _ = advance(guard, UNREAD, 1500)

    answer = replace(closed(IntentRole.LIST), message="This action is disabled on this account.")
    guard = settled(guard, UNREAD, answer, 1500)

    assert (guard.shut, guard.refusals) == (None, 1)


def test_a_request_that_is_taken_says_that_the_market_is_open() -> None:
    guard, _ = through(Guard(), UNREAD, 0, 100)
    guard, _ = advance(guard, UNREAD, 1500)

    guard = settled(
        guard, UNREAD, replace(closed(IntentRole.LIST), outcome=MutationOutcome.ACCEPTED), 1500
    )

    assert guard.shut is None


def test_a_sale_begins_its_time_anew_when_the_market_opens() -> None:
    guard, _ = through(Guard(), UNREAD, 0, 30_000)
    before = guard.close_since_ms

    guard, _ = advance(guard, OPEN, 30_000)

    assert (before, guard.close_since_ms) == (5000, 30_000)
