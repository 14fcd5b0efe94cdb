"""A failing actor is restarted within limits, and everybody hears of it."""

from dataclasses import dataclass, field, replace

import anyio
import pytest
from anyio.abc import TaskStatus

from livespot.actors.mail import GovernorInbox
from livespot.contracts.errors import AuditUnwritable
from livespot.contracts.system import Alert, HealthSignal
from livespot.contracts.vocabulary import SignalKind, SignalLevel
from livespot.rules.sysmode import EVERY_SOURCE
from livespot.runtime.mailboxes import Mailbox
from livespot.runtime.supervisor import DEMANDS, ActorKeptFailing, Supervised, describe
from livespot.testing.clock import ManualClock


@dataclass
class _Flaky:
    """Fails as often as it has errors, then serves."""

    errors: list[Exception]
    served: anyio.Event = field(default_factory=anyio.Event)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        if self.errors:
            raise self.errors.pop(0)
        self.served.set()


def _watched(
    actor: _Flaky, *, critical: bool
) -> tuple[Supervised, Mailbox[GovernorInbox], ManualClock]:
    clock = ManualClock()
    governor: Mailbox[GovernorInbox] = Mailbox("governor", 64, clock)
    supervised = Supervised(
        name="risk", actor=actor, critical=critical, clock=clock, governor=governor, ends=True
    )
    return supervised, governor, clock


def _signals(governor: Mailbox[GovernorInbox]) -> list[HealthSignal]:
    found = []
    while (message := governor.receive_nowait()) is not None:
        if isinstance(message, HealthSignal):
            found.append(message)
    return found


async def test_a_failed_actor_is_restarted_and_reported() -> None:
    supervised, governor, _ = _watched(_Flaky([KeyError("x")]), critical=False)

    await supervised.run()

    assert [s.level for s in _signals(governor)] == [SignalLevel.DEGRADE, SignalLevel.CLEAR]


async def test_an_actor_that_returns_unasked_has_failed() -> None:
    supervised, governor, _ = _watched(_Flaky([]), critical=False)

    with pytest.raises(ActorKeptFailing, match="nobody had asked it to end"):
        await replace(supervised, ends=False).run()
    assert _signals(governor)[0].level is SignalLevel.DEGRADE


async def test_a_critical_actor_restarts_in_pause() -> None:
    supervised, governor, _ = _watched(_Flaky([KeyError("x")]), critical=True)

    await supervised.run()

    assert _signals(governor)[0].level is SignalLevel.PAUSE


async def test_three_failures_in_ten_minutes_end_the_process() -> None:
    supervised, _, _ = _watched(_Flaky([KeyError("x")] * 3), critical=False)

    with pytest.raises(ActorKeptFailing, match="risk"):
        await supervised.run()


async def test_old_failures_are_forgiven() -> None:
    actor = _Flaky([KeyError("x")] * 4)
    supervised, _, clock = _watched(actor, critical=False)
    naps = clock.sleep

    async def long_nap(seconds: float) -> None:
        clock.advance(400_000)
        await naps(seconds)

    clock.sleep = long_nap  # type: ignore[method-assign]

    await supervised.run()

    assert actor.served.is_set()


async def test_a_fatal_error_is_never_restarted() -> None:
    supervised, governor, _ = _watched(_Flaky([AuditUnwritable("disk gone")]), critical=False)

    with pytest.raises(AuditUnwritable):
        await supervised.run()

    assert not any(isinstance(m, Alert) for m in iter(governor.receive_nowait, None))


def test_the_innermost_cause_is_described() -> None:
    nested = ExceptionGroup("outer", [ExceptionGroup("inner", [ValueError("the cause")])])

    assert describe(nested) == "ValueError: the cause"


async def test_what_only_a_dead_life_asked_for_is_withdrawn_before_its_successor_is_rebuilt() -> (
    None
):
    supervised, governor, _ = _watched(_Flaky([KeyError("x")]), critical=True)
    rebuilt: list[list[HealthSignal]] = []
    demands = ((SignalKind.PROTECTION, EVERY_SOURCE), (SignalKind.REST_STALE, "scanner"))

    async def rebuild() -> None:
        rebuilt.append(_signals(governor))

    await replace(supervised, rebuild=rebuild, demands=demands).run()

    told = [(signal.kind, signal.level, signal.source) for signal in rebuilt[0]]
    assert told[1:] == [(kind, SignalLevel.CLEAR, source) for kind, source in demands]
    assert told[0][:2] == (SignalKind.ACTOR, SignalLevel.PAUSE)


def test_what_execution_asked_for_its_intents_ends_with_its_life() -> None:
    """An intent may have been settled at the very moment at which the life that asked ended."""
    assert (SignalKind.INTENT, EVERY_SOURCE) in DEMANDS["execution"]
