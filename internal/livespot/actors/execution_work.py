"""What the parts of execution hand to its one loop, and the counters of attempts."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeAlias

from livespot.actors.execution_ports import Crew, ExecutionPorts
from livespot.actors.mail import ExecutionInbox
from livespot.actors.mutation_desk import Ending, MutationDesk, Outcome
from livespot.actors.order_tracker import OrderTracker
from livespot.actors.resolver import Findings, Resolver
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import Decision
from livespot.contracts.orders import CancelRequest, OrderIntent, OrderUpdate
from livespot.contracts.vocabulary import IntentRole
from livespot.rules.denied_cancels import DeniedCancels
from livespot.rules.requests import Mutation, request_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message of the inbox; None once the inbox is closed and drained."""

    message: ExecutionInbox | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """The row of a mutation is durable; nothing has been sent yet."""

    mutation: Mutation


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    mutation: Mutation
    outcome: Outcome

    @property
    def halves(self) -> "tuple[Answered, ...]":
        """One answer for each row; without a word of its own the first half shares the other's."""
        halves = self.mutation.halves
        if len(halves) == 1:
            return (self,)
        cancel, placement = halves
        first = self.outcome.cancelled or self.outcome
        return (
            Answered(mutation=cancel, outcome=first),
            Answered(mutation=placement, outcome=replace(self.outcome, cancelled=None)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Investigated:
    findings: Findings


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRead:
    """One order asked for by exchange id, with its fills; None when it could not be read."""

    symbol: str
    order_id: int
    update: OrderUpdate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptWeighed:
    """The next attempt's decision and size, or why there is none."""

    symbol: str
    decision_id: str
    attempt: int
    decision: Decision | None
    qty: Decimal
    reason: ReasonCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A step of the actor's own clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockChecked:
    """The clock was measured again, after a -1021 or later for its sake.

    `moved_ms` is how far the offset had moved; None when the measurement failed.
    """

    moved_ms: int | None
    after_refusal: bool


Work: TypeAlias = (
    Received | Created | Answered | Investigated | OrderRead | AttemptWeighed | ClockChecked | Tick
)
REUSED = Outcome(
    ending=Ending.BLOCKED,
    message="the intent exists already",
    reason=ReasonCode.CLIENT_ORDER_ID_REUSE_BLOCK,
)


class Attempts:
    """Counts attempts per parent and role upwards from the ledger; a number is used once."""

    def __init__(self, ports: ExecutionPorts) -> None:
        self._ports = ports
        self._last: dict[tuple[str, IntentRole], int] = {}

    async def next(self, decision_id: str, parent: str, role: IntentRole) -> int:
        """The first attempt is 1: number 0 of a leg belongs to the entry's own list."""
        key = (parent, role)
        if key not in self._last:
            rows = await self._ports.ledger.intents_of_decision(decision_id)
            used = [
                row.attempt
                for row in rows
                if row.parent_order_intent_id == parent and row.role is role
            ]
            self._last[key] = max(used, default=0)
        self._last[key] += 1
        return self._last[key]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """The shared parts of one life of the actor."""

    ports: ExecutionPorts
    crew: Crew[Work]
    tracker: OrderTracker
    desk: MutationDesk
    resolver: Resolver
    attempts: Attempts
    denied: DeniedCancels

    def may_cancel(self, symbol: str, order_id: int) -> bool:
        """Not when that was denied a moment ago, or too often: the answer would be the same."""
        now = self.ports.clock.monotonic_ms()
        return not order_id or self.denied.permits((symbol, order_id), now)

    def doubt_cancel(self, cancel: OrderIntent) -> None:
        """Begin to find out about an unanswered cancel, where the number of its order is known."""
        if cancel.role is not IntentRole.CANCEL:
            return
        request = request_of(cancel.payload)
        if isinstance(request, CancelRequest):
            order_id = request.order_id or self._number_of(cancel, request)
            if order_id:
                self.resolver.open_cancel(cancel, order_id)

    def _number_of(self, cancel: OrderIntent, request: CancelRequest) -> int:
        """Of the order that a cancel names by its client id; 0 as long as nobody has seen it."""
        mine = (
            tracked.view
            for tracked in self.tracker.orders.values()
            if tracked.intent_id == cancel.parent_order_intent_id
        )
        return next((v.order_id for v in mine if v.own_id == request.orig_client_order_id), 0)

    def dispatch(self, mutation: Mutation) -> None:
        """Let a mutation go its way; its answer comes back as `Answered`."""
        halves = mutation.halves
        known = [half for half in halves if half.intent.order_intent_id in self.tracker.intents]
        if known:
            self.crew.put(Answered(mutation=mutation, outcome=REUSED))
            return
        for half in halves:
            self.tracker.register(half)

        def created() -> None:
            if mutation.is_entry:
                self.ports.unprotected.set(mutation.intent.decision_id, holds=True)
            self.crew.put(Created(mutation=mutation))

        async def job() -> Work:
            outcome = await self.desk.send(mutation, created=created)
            return Answered(mutation=mutation, outcome=outcome)

        self.crew.start(job)
