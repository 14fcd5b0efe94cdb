"""However a request is answered, the same thing is not asked for twice at one instant."""

from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from livespot.contracts.amounts import ZERO
from livespot.contracts.codes import ReasonCode
from livespot.contracts.orders import Balance, OrderView
from livespot.contracts.vocabulary import (
    IntentRole,
    MutationOutcome,
    OrderStatus,
    OrderType,
    Severity,
    SignalLevel,
)
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
from livespot.rules.protection_answers import account_seen, settled
from livespot.rules.protection_ladder import advance
from livespot.testing.market_values import some_constraints
from livespot.testing.protection_cases import a_scene, a_sell

D = Decimal
SCENE = a_scene(constraints=some_constraints(max_qty=D(1000), max_price=D(100_000)))
STANDS, ENDED = OrderStatus.NEW, OrderStatus.EXPIRED
Asked = Protect | Swap | Close | Cancel


@dataclass(frozen=True)
class Told:
    """What the asker hears: an answer, its words, and in which state its orders are shown."""

    outcome: str
    message: str = ""
    shown: OrderStatus | None = None
    code: int = 0
    used_id: bool = False


REUSED = Told("ACCEPTED", shown=ENDED, used_id=True)
ANSWERS = st.builds(
    Told,
    outcome=st.sampled_from(
        ["ACCEPTED", "ACCEPTED", "REFUSED", "NOT_SENT", "OVERTAKEN", "UNKNOWN", "NOT_FOUND"]
    ),
    message=st.sampled_from(
        ["", "would trigger immediately", "insufficient balance", "Filter failure: LOT_SIZE"]
    ),
    shown=st.sampled_from([None, ENDED, ENDED, OrderStatus.CANCELED, STANDS]),
    code=st.sampled_from([0, 0, -2010, -1003]),
    used_id=st.booleans(),
)
BIDS = st.sampled_from([D(100), D(100), D(98), D(101), D(103)])
SPANS_MS = st.sampled_from([0, 0, 0, 1, 100, 400, 2000, 5000, 31_000])


def rung_of(command: Asked) -> tuple[str, object]:
    match command:
        case Cancel():
            return ("cancel", command.order_id)
        case Close():
            return ("close", command.limit_price is None)
        case Swap():
            return ("swap", None)
        case Protect():
            return ("protect", command.role)


def role_of(command: Asked) -> IntentRole:
    match command:
        case Protect():
            return command.role
        case Swap():
            return IntentRole.TRAIL
        case Close():
            return IntentRole.CLOSE
        case Cancel():
            return IntentRole.CANCEL


@dataclass
class Keeper:
    """The rule with its memory, and when it asked for what."""

    scene: Scene = SCENE
    guard: Guard = field(default_factory=Guard)
    now_ms: int = 0
    asks: list[tuple[tuple[str, object], int]] = field(default_factory=list)
    said: list[tuple[int, Command]] = field(default_factory=list)
    made: int = 0

    def passes(self) -> list[Asked]:
        """One look at the position; returns what is wanted now."""
        self.guard, commands = advance(self.guard, self.scene, self.now_ms)
        wanted: list[Asked] = []
        for command in commands:
            if isinstance(command, Protect | Swap | Close | Cancel):
                wanted.append(command)
                self.asks.append((rung_of(command), self.now_ms))
            else:
                self.said.append((self.now_ms, command))
        return wanted

    def hear(self, command: Asked, told: Told) -> None:
        self.made += 1
        intent = "oi_used" if told.used_id else f"oi_{self.made}"
        if isinstance(command, Cancel):
            intent = command.intent_id
        answer = Settlement(
            role=role_of(command),
            intent_id=intent,
            outcome=MutationOutcome(told.outcome),
            code=told.code,
            message=told.message,
            orders=self._orders(command, told),
        )
        self.guard = settled(self.guard, self.scene, answer, self.now_ms)

    def _orders(self, command: Asked, told: Told) -> tuple[OrderView, ...]:
        if told.shown is None or isinstance(command, Cancel):
            return ()
        kind = OrderType.LIMIT if isinstance(command, Close) else OrderType.STOP_LOSS
        order_id = 1 if told.used_id else 10 + self.made
        return (a_sell(order_id, kind, status=told.shown, orig_qty=command.qty, stop_price=D(99)),)

    def read(self) -> None:
        """A balance read that shows all base free: it denies what nobody has answered."""
        self.scene = replace(self.scene, wall_ms=self.scene.wall_ms + 1)
        free = Balance(asset="BTC", free=self.scene.qty, locked=ZERO)
        self.guard = account_seen(
            self.guard, free, held=self.scene.qty, at_wall_ms=self.scene.wall_ms
        )

    def lives_on(self, told: Told, span_ms: int, step_ms: int = 100) -> None:
        """A long time of equal answers, each at the instant of its request."""
        until = self.now_ms + span_ms
        while self.now_ms < until:
            for _ in range(20):
                wanted = self.passes()
                for command in wanted:
                    self.hear(command, told)
                if not wanted:
                    break
            self.now_ms += step_ms


@given(
    story=st.lists(st.tuples(SPANS_MS, BIDS, st.lists(ANSWERS, max_size=3)), max_size=25),
    raises=st.booleans(),
)
@example(story=[(0, D(100), [REUSED])] * 3, raises=False)
@example(story=[(0, D(98), [REUSED])] * 4, raises=False)
@example(story=[(0, D(100), [Told("OVERTAKEN")])] * 2, raises=False)
@example(story=[(0, D(100), [Told("ACCEPTED", shown=STANDS), Told("NOT_SENT")])] * 3, raises=True)
def test_between_two_requests_for_the_same_thing_time_always_passes(
    story: list[tuple[int, Decimal, list[Told]]],
    raises: bool,
) -> None:
    start = replace(SCENE, swap_from=D(99) if raises else None, trailing_bps=50)
    keeper = Keeper(scene=start)

    for span_ms, bid, answers in story:
        keeper.now_ms += span_ms
        keeper.scene = replace(keeper.scene, bid=bid, wall_ms=keeper.scene.wall_ms + span_ms)
        for told in answers:
            for command in keeper.passes():
                keeper.hear(command, told)
            keeper.read()
        keeper.passes()

    assert len(set(keeper.asks)) == len(keeper.asks)


REUSED_AS_UNSENT = Told("NOT_SENT", message="the intent exists already")


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(REUSED, id="an old request's ended order"),
        pytest.param(REUSED_AS_UNSENT, id="never sent"),
        pytest.param(Told("OVERTAKEN"), id="overtaken"),
        pytest.param(Told("REFUSED", message="no", code=-2010), id="refused"),
        pytest.param(Told("NOT_FOUND"), id="not there"),
    ],
)
def test_who_is_never_given_protection_asks_ever_less_often_and_pauses_in_five_seconds(
    told: Told,
) -> None:
    keeper = Keeper()

    keeper.lives_on(told, 60_000)

    times = [at for _, at in keeper.asks]
    signals = [(at, c.level, c.reason) for at, c in keeper.said if isinstance(c, Signal)]
    cries = [at for at, c in keeper.said if isinstance(c, Notify) and c.severity is Severity.CRIT]
    paused = min(at for at, level, _ in signals if level is SignalLevel.PAUSE)
    assert len(times) < 60
    assert paused <= 5000
    assert min(cries) == paused
    if told.outcome != "REFUSED":
        # A refused ladder is at its end sooner than the first limit.
        assert (2000, SignalLevel.DEGRADE, ReasonCode.PROTECTION_INSTALL_FAILED) in signals


def test_what_is_left_to_the_operator_is_tried_every_half_minute() -> None:
    keeper = Keeper(guard=Guard(rounds=3, refusals=3))

    keeper.lives_on(Told("NOT_SENT"), 300_000, step_ms=1000)

    times = [at for _, at in keeper.asks]
    assert len(times) < 20
    assert times[-1] - times[-2] == 30_000


def test_the_pauses_grow_and_a_quiet_time_forgets_them() -> None:
    keeper = Keeper()

    keeper.lives_on(Told("OVERTAKEN"), 4900)
    grown = [at for _, at in keeper.asks]
    keeper.guard = replace(keeper.guard, close=None, level=SignalLevel.CLEAR, naked_since_ms=None)
    keeper.now_ms += 60_000
    keeper.asks.clear()
    keeper.lives_on(Told("OVERTAKEN"), 300)

    assert grown == [0, 100, 300, 700, 1500, 3100]
    assert [at - keeper.asks[0][1] for _, at in keeper.asks] == [0, 100]
