"""Which traffic a fault is about."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

from livespot.exchange.faults.plan import (
    ACTS,
    EVENTS,
    TARGETED,
    AcceptThen,
    Blackhole,
    Delay,
    DropRequest,
    Fault,
    HalfOpen,
    Halt,
    Match,
    ModelDelay,
    ModelReply,
    Reply,
    Reset,
    When,
)

Kind: TypeAlias = Literal["rest", "ws_md", "ws_user", "ws_api", "ai", "event"]
Leg: TypeAlias = Literal["connect", "request", "frame"]

_READS = frozenset({"GET", "HEAD"})
_TRADES = ("/api/v3/order", "/api/v3/openOrders", "/api/v3/sor/")
_TRADES_BY_SOCKET = frozenset(
    {
        *("order.place", "order.cancel", "order.cancelReplace", "order.amend.keepPriority"),
        *("openOrders.cancelAll", "orderList.place", "orderList.cancel", "sor.order.place"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One thing a fault can hit.

    A `request` goes from the client to the exchange and stands for its reply too; a `frame` is
    what the exchange sends unasked; `connect` is a new WebSocket.
    """

    kind: Kind
    leg: Leg
    method: str = ""
    path: str = ""
    stream: str = ""
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def symbol(self) -> str:
        """The symbol it concerns, as far as it names one."""
        named = self.params.get("symbol") or self.params.get("s", "")
        return named or self.stream.partition("@")[0].upper()

    @property
    def event(self) -> str:
        """The type of an event."""
        return self.params.get("e", "")

    @property
    def mutates(self) -> bool:
        """True for requests that would change orders."""
        if self.kind == "rest":
            trades = self.path.startswith(_TRADES) and not self.path.endswith("/test")
            return self.method not in _READS and trades
        name = self.method.removeprefix("v3/")
        return name in _TRADES_BY_SOCKET or name.startswith("orderList.place.")

    @property
    def cancels(self) -> bool:
        """True for a pure cancel."""
        return self.method == "DELETE" or "cancel" in self.method.rpartition(".")[2]


def concerns(fault: Fault, subject: Subject) -> bool:
    """True when the fault's verb, target and match fit the subject; its time is another matter."""
    return _verb_fits(fault, subject) and matches(fault.match, subject)


def matches(match: Match, subject: Subject) -> bool:
    """True when every member that is not empty agrees."""
    plain = (
        (match.symbol, subject.symbol),
        (match.event, subject.event),
    )
    globs = (
        (match.method, subject.method),
        (match.path, subject.path),
        (match.stream, subject.stream),
    )
    return (
        all(wanted in ("", found) for wanted, found in plain)
        and all(not wanted or fnmatchcase(found, wanted) for wanted, found in globs)
        and all(subject.params.get(name) == value for name, value in match.params.items())
    )


def is_bare(match: Match, when: When) -> bool:
    """True when nothing singles out some subjects among those of a target."""
    return match == Match.NOTHING and not (when.nth or when.count or when.probability_x10000)


def _verb_fits(fault: Fault, subject: Subject) -> bool:
    what = fault.what
    if isinstance(what, Halt):
        return _halted(what, subject)
    if isinstance(what, EVENTS):
        return subject.kind == "event"
    if isinstance(what, ACTS):
        # What acts on the exchange itself waits for any request, if it waits for one.
        return subject.leg == "request"
    return (subject.kind, subject.leg) == place(fault)


def place(fault: Fault) -> tuple[Kind, Leg]:
    """Where a fault of the network, of replies or of the model meets its subjects."""
    what = fault.what.then if isinstance(fault.what, AcceptThen) else fault.what
    if isinstance(what, ModelReply | ModelDelay):
        return "ai", "request"
    if not isinstance(what, TARGETED):
        raise TypeError(f"{fault.verb} has no target")
    target: Kind = what.target
    if isinstance(fault.what, AcceptThen | DropRequest | Reply):
        return target, "request"
    bare = isinstance(what, Reset | Blackhole) and is_bare(fault.match, fault.when)
    if target.startswith("ws_") and (bare or isinstance(what, HalfOpen)):
        return ("ws_api" if target == "ws_user" else target), "connect"
    if isinstance(what, Delay) and what.leg == "request":
        return target, "request"
    # Replies go with their requests; streams and user events are frames of their own.
    return target, "frame" if target in ("ws_md", "ws_user") else "request"


def _halted(halt: Halt, subject: Subject) -> bool:
    return (
        subject.kind in ("rest", "ws_api")
        and subject.leg == "request"
        and subject.mutates
        and halt.symbol in ("", subject.symbol)
        and (halt.cancels or not subject.cancels)
    )
