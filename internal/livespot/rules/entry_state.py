"""The state of one entry, the events that reach it and the commands it gives."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from livespot.contracts.amounts import ZERO
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import EntryPlan
from livespot.contracts.orders import OrderView
from livespot.contracts.vocabulary import OrderType


class Phase(StrEnum):
    """The phase of one entry. Only IDLE may place, only APPRAISING may replace.

    In APPRAISING the order is still working while the next attempt is weighed. In LINGERING the
    last attempt is known not to be on the book and the one before it is still awaited.
    """

    IDLE = "IDLE"
    PLACING = "PLACING"
    UNRESOLVED = "UNRESOLVED"
    WORKING = "WORKING"
    CANCELLING = "CANCELLING"
    QUERYING = "QUERYING"
    WEIGHING = "WEIGHING"
    APPRAISING = "APPRAISING"
    REPLACING = "REPLACING"
    LINGERING = "LINGERING"
    ENDED = "ENDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """The attempt that a cancel-replace takes off the book, until its end is known.

    `over` once the engine showed it ended; `asked_ms` is when it was last queried.
    """

    attempt: int
    order_id: int
    qty: Decimal
    placed_ms: int
    over: bool = False
    executed: Decimal = ZERO
    asked_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryState:
    """`qty` is the approved quantity: no attempt exceeds it, and only one attempt ever fills.

    `next_ms` is when the next timed action of the phase is due, `recancel_ms` when the next cancel
    while querying is (0: none); `reads` counts the queries of the attempt. `halt` is why nothing
    more may be placed, None while the entry may go on. `over_unanswered`: the order was seen over
    with nothing bought, but not in the answer to our cancel. `replaces`: a reprice cancels and
    places in one request; `old` is the attempt that such a request takes off the book, `burnt` the
    highest attempt number that was used without ever being on the book. Times are monotonic ms.
    """

    plan: EntryPlan
    qty: Decimal
    approved_ms: int
    phase: Phase = Phase.IDLE
    attempt: int = 0
    order_type: OrderType = OrderType.LIMIT_MAKER
    order_id: int = 0
    executed: Decimal = ZERO
    first_placed_ms: int = 0
    placed_ms: int = 0
    protectable_ms: int = 0
    next_ms: int = 0
    recancel_ms: int = 0
    cancel_tries: int = 0
    partial: bool = False
    over_unanswered: bool = False
    reads: int = 0
    used_fallback: bool = False
    halt: ReasonCode | None = None
    replaces: bool = False
    old: Replaced | None = None
    burnt: int = 0

    @property
    def next_attempt(self) -> int:
        """A number that no attempt has used."""
        return max(self.attempt, self.burnt) + 1

    @property
    def attempts_left(self) -> int:
        return self.plan.max_reprices + 1 - self.next_attempt


# ---- what happened


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticked:
    """Time passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceRefused:
    """Certainly not on the book; `crossed` when a post-only order would have taken.

    `by_filter` when it broke a filter of the symbol that we do not know yet.
    """

    crossed: bool
    reason: ReasonCode
    by_filter: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceUnknown:
    """The answer was lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceNotFound:
    """The placement was proven absent after its fence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSeen:
    """A state of the order of `attempt`; `protectable` refers to its executed quantity.

    `answers_cancel` only when the engine said it in reply to our cancel. `age_ms` is how long ago
    the state arose, by the exchange's clock.
    """

    order: OrderView
    attempt: int
    protectable: bool
    answers_cancel: bool = False
    age_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRestricted:
    """An ONLY_NEW cancel was refused: the order is partly filled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelFoundNothing:
    """The engine has no such working order: filled or gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelFailed:
    """Lost, or refused for another reason; it may be repeated, since it can hit only that order.

    `closed`: the exchange takes no requests for this market, so the pauses grow. `silent_ms` is for
    how long it takes none at all: nothing is tried before, and then at once.
    """

    closed: bool = False
    silent_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """A fresh snapshot and the risk checks allow the next attempt, with this plan and size."""

    plan: EntryPlan
    qty: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighedAway:
    """The next attempt is not wanted any more."""

    reason: ReasonCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Halted:
    """No further attempt: the mode left NORMAL, a stop was asked for, or the process restarted."""

    reason: ReasonCode


Event: TypeAlias = (
    Ticked
    | PlaceRefused
    | PlaceUnknown
    | PlaceNotFound
    | OrderSeen
    | CancelRestricted
    | CancelFoundNothing
    | CancelFailed
    | Weighed
    | WeighedAway
    | Halted
)


# ---- what to do


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    plan: EntryPlan
    qty: Decimal
    attempt: int
    order_type: OrderType


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Cancel the order of `attempt`, never a list. `order_id` 0 means by client id."""

    order_id: int
    only_new: bool
    tries: int
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Replace:
    """Take order `order_id` of attempt `replaced` off the book and place, in one request."""

    replaced: int
    order_id: int
    plan: EntryPlan
    qty: Decimal
    attempt: int
    order_type: OrderType


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryOrder:
    order_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Weigh:
    """Ask a fresh snapshot, the strategy and risk whether `attempt` is still wanted."""

    attempt: int
    order_type: OrderType


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelStuck:
    """The cancel stayed unanswered too often; the entry continues to be watched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The entry is over; `executed` is what its last order bought."""

    executed: Decimal
    reasons: tuple[ReasonCode, ...]


Command: TypeAlias = Place | Replace | Cancel | QueryOrder | Weigh | CancelStuck | Finish
Moved: TypeAlias = tuple[EntryState, tuple[Command, ...]]
