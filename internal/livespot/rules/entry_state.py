"""What one entry knows, what can happen to it, and what it can ask for."""

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
    """Where one entry stands. Only IDLE may place, only APPRAISING may replace.

    In APPRAISING the order still works while the next attempt is weighed; in LINGERING the last
    attempt is known not to stand and the one before it is still awaited.
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

    `over` once the engine showed it ended; `asked_ms` is when it was last asked about.
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

    `next_ms` is the earliest time of the next timed action of the present phase, `recancel_ms`
    that of the next cancel while querying (0: none), `reads` counts the queries of the attempt.
    `halt` is why nothing more may be placed,
    None while the entry may go on. `over_unanswered`: the order was seen over with nothing bought,
    but not in the answer to our cancel. `replaces`: a reprice cancels and places in one request;
    `old` is the attempt that such a request takes off the book, `burnt` the highest number of an
    attempt that was given out without ever standing. Times are steady ms.
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
        """A number no attempt has had."""
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
    """Definitely not on the book; `crossed` when a post-only order would have taken.

    `by_filter` when it broke a rule of the symbol that we do not know yet.
    """

    crossed: bool
    reason: ReasonCode
    by_filter: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceUnknown:
    """The answer was lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceNotFound:
    """Its absence is proven behind the fence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSeen:
    """A state of the order of `attempt`; `protectable` speaks of its executed quantity.

    `answers_cancel` when the engine said it in reply to our cancel, and nobody else. `age_ms` is
    how long ago it came about, by the exchange's clock.
    """

    order: OrderView
    attempt: int
    protectable: bool
    answers_cancel: bool = False
    age_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRestricted:
    """ONLY_NEW refused it: the order is partly filled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelFoundNothing:
    """The engine has no such working order: filled or gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelFailed:
    """Lost or refused for another reason; it may be repeated, it can only hit that order.

    `closed`: the exchange takes no requests for this market, so the pauses grow. `silent_ms` is for
    how long it takes none at all: until then nothing is tried, and then at once.
    """

    closed: bool = False
    silent_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """A fresh snapshot and the risk checks allow the next attempt with this plan and size."""

    plan: EntryPlan
    qty: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighedAway:
    """The next attempt is not wanted any more."""

    reason: ReasonCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Halted:
    """No further attempt: the mode left NORMAL, a stop was asked, or the process rebooted."""

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
    """Take `order_id`, the order of attempt `replaced`, off the book and place, in one request."""

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
    """Ask a fresh snapshot, the strategy and risk whether attempt `attempt` is still wanted."""

    attempt: int
    order_type: OrderType


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelStuck:
    """The cancel stayed unanswered too often; the entry keeps being watched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The entry is over; `executed` is what its last order bought."""

    executed: Decimal
    reasons: tuple[ReasonCode, ...]


Command: TypeAlias = Place | Replace | Cancel | QueryOrder | Weigh | CancelStuck | Finish
Moved: TypeAlias = tuple[EntryState, tuple[Command, ...]]
