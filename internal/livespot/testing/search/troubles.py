"""Troubles on the runtime's side of the wire: its disk, actors, machine and panel."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal, TypeAlias

import msgspec

from livespot.contracts.vocabulary import OperatorAction
from livespot.exchange.faults.plan import Millis, Name, Positive

# Actors that wait at a single mailbox; others cannot be interfered with there.
ActorName: TypeAlias = Literal[
    "execution", "position", "risk", "gate", "signal", "scanner", "reconciler", "governor"
]


class _Trouble(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="verb"
):
    pass


class DiskFull(_Trouble, frozen=True, kw_only=True, tag="disk.enospc"):
    """Nothing can be written, neither to the database nor to a file."""


class DiskError(_Trouble, frozen=True, kw_only=True, tag="disk.eio"):
    """The `nth` commit, or the `nth` write to a file, fails once and for good."""

    op: Literal["commit", "append"]
    nth: Positive = 1


class DiskSlow(_Trouble, frozen=True, kw_only=True, tag="disk.slow"):
    """Each commit takes this much longer."""

    ms: Millis


class DiskBusy(_Trouble, frozen=True, kw_only=True, tag="disk.busy"):
    """Another program holds the database."""


class ActorRaises(_Trouble, frozen=True, kw_only=True, tag="actor.raise"):
    """An actor breaks at its `nth` message."""

    actor: ActorName
    nth: Positive = 1


class ActorReturns(_Trouble, frozen=True, kw_only=True, tag="actor.return"):
    """An actor ends as if its work were done, at its `nth` message."""

    actor: ActorName
    nth: Positive = 1


class ActorStalls(_Trouble, frozen=True, kw_only=True, tag="actor.stall"):
    """An actor waits this long before it takes its `nth` message."""

    actor: ActorName
    ms: Millis
    nth: Positive = 1


class ClockSet(_Trouble, frozen=True, kw_only=True, tag="host.clock_step"):
    """Somebody sets the machine's clock forward, or back for a negative `ms`, and then right."""

    ms: int


class MachineSleeps(_Trouble, frozen=True, kw_only=True, tag="host.suspend"):
    """The machine sleeps: nothing of the process runs, while the exchange goes on."""


class OperatorSays(_Trouble, frozen=True, kw_only=True, tag="operator.command"):
    """The operator leaves a command; `symbol` and `qty` are of an exposure taken by hand."""

    action: OperatorAction
    symbol: str = ""
    qty: Decimal = Decimal(0)


class PageAsked(_Trouble, frozen=True, kw_only=True, tag="http.request"):
    """Somebody asks the panel, `times` times at once; an empty `host` is the panel's own."""

    path: Name
    method: Name = "GET"
    host: str = ""
    origin: str = ""
    times: Positive = 1


What: TypeAlias = (
    DiskFull
    | DiskError
    | DiskSlow
    | DiskBusy
    | ActorRaises
    | ActorReturns
    | ActorStalls
    | ClockSet
    | MachineSleeps
    | OperatorSays
    | PageAsked
)
TROUBLES: Mapping[str, type[What]] = {
    str(kind.__struct_config__.tag): kind
    for kind in (
        *(DiskFull, DiskError, DiskSlow, DiskBusy, ActorRaises, ActorReturns, ActorStalls),
        *(ClockSet, MachineSleeps, OperatorSays, PageAsked),
    )
}


class Trouble(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that goes wrong, counted from the run's beginning; most last for a while.

    What happens to the `nth` of something happens once, counting from `after_ms` on.
    """

    id: Name
    what: What
    after_ms: Annotated[int, msgspec.Meta(ge=0)]
    for_ms: Millis = 1000

    @property
    def verb(self) -> str:
        """The name of what happens."""
        return str(type(self.what).__struct_config__.tag)
