"""The vocabulary of a fault plan: what goes wrong, on which traffic, and when."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import msgspec

Target: TypeAlias = Literal["rest", "ws_md", "ws_user", "ws_api", "ai"]
Ending: TypeAlias = Literal["hang", "close", "reset"]
Positive: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
Millis: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=7 * 86_400_000)]
Status: TypeAlias = Annotated[int, msgspec.Meta(ge=100, le=599)]
Name: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
Share: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=10_000)]


class _Verb(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="verb"
):
    pass


class Delay(_Verb, frozen=True, kw_only=True, tag="net.delay"):
    """Hold a request back before it arrives, or a reply or frame before it leaves."""

    target: Target
    ms: Millis
    leg: Literal["request", "reply"] | None = None


class DropRequest(_Verb, frozen=True, kw_only=True, tag="net.drop_request"):
    """Lose a request before the exchange has seen it."""

    target: Target
    then: Ending = "hang"


class DropResponse(_Verb, frozen=True, kw_only=True, tag="net.drop_response"):
    """Do the request but lose the reply; on the streams, lose a frame."""

    target: Target
    then: Ending = "hang"


class Reset(_Verb, frozen=True, kw_only=True, tag="net.reset"):
    """End the TCP connection with a reset."""

    target: Target


class Blackhole(_Verb, frozen=True, kw_only=True, tag="net.blackhole"):
    """Keep the connection open and let nothing pass in either direction."""

    target: Target


class HalfOpen(_Verb, frozen=True, kw_only=True, tag="net.half_open"):
    """Accept connections and never answer on them."""

    target: Target


class Duplicate(_Verb, frozen=True, kw_only=True, tag="net.duplicate"):
    """Send a frame again, `times` more times."""

    target: Literal["ws_md", "ws_user"]
    times: Positive = 1


class Reorder(_Verb, frozen=True, kw_only=True, tag="net.reorder"):
    """Send a frame only after `behind` later frames of its connection."""

    target: Literal["ws_md", "ws_user"]
    behind: Positive = 1


class Reply(_Verb, frozen=True, kw_only=True, tag="ex.reply"):
    """Answer in the exchange's place. Without `body` the body is made of `code` and `msg`."""

    status: Status
    target: Literal["rest", "ws_api"] = "rest"
    code: int = -1000
    msg: str = "An unknown error occurred while processing the request."
    body: str | None = None
    headers: dict[str, str] = {}


AfterAccept: TypeAlias = DropResponse | Reset | Delay | Reply


class AcceptThen(_Verb, frozen=True, kw_only=True, tag="ex.accept_then"):
    """Let the engine do the request, then let `then` happen to its reply."""

    then: AfterAccept


class Rewrite(_Verb, frozen=True, kw_only=True, tag="ex.rewrite"):
    """Change members of a JSON reply or frame; a path is names and indexes joined by dots."""

    target: Target
    set: dict[str, Any] = {}
    headers: dict[str, str] = {}


class ReadLag(_Verb, frozen=True, kw_only=True, tag="ex.read_lag"):
    """Show changes of orders, lists, trades and balances to queries only this much later."""

    ms: Millis


class Halt(_Verb, frozen=True, kw_only=True, tag="ex.halt"):
    """Refuse mutations, of one symbol or of all; reads go on."""

    symbol: str = ""
    status: Status = 400
    code: int = -1010
    msg: str = "Market is closed."
    cancels: bool = True


class MassExpire(_Verb, frozen=True, kw_only=True, tag="ex.mass_expire"):
    """Expire every open order of these types, as an exchange incident does."""

    types: Annotated[list[Name], msgspec.Meta(min_length=1)]
    symbol: str = ""


class SetFilter(_Verb, frozen=True, kw_only=True, tag="ex.set_filter"):
    """Change a symbol's filters: each patch is merged by its `filterType`."""

    symbol: Name
    patch: list[dict[str, Any]] = []
    remove: list[Name] = []


class SetStatus(_Verb, frozen=True, kw_only=True, tag="ex.set_status"):
    """Change a symbol's trading status."""

    symbol: Name
    status: Name


class AdjustBalance(_Verb, frozen=True, kw_only=True, tag="ex.adjust_balance"):
    """Deposit, or withdraw: a negative `delta`, never more than is free."""

    asset: Name
    delta: Decimal
    account: str = "demo"


class DropEvents(_Verb, frozen=True, kw_only=True, tag="ex.drop_events"):
    """Never send a user event."""


class DuplicateEvents(_Verb, frozen=True, kw_only=True, tag="ex.duplicate_events"):
    """Send a user event again, `times` more times."""

    times: Positive = 1


class DelayEvents(_Verb, frozen=True, kw_only=True, tag="ex.delay_events"):
    """Send a user event later than what follows it."""

    ms: Millis


class EndUserStreams(_Verb, frozen=True, kw_only=True, tag="ex.end_user_streams"):
    """End every user data subscription with `eventStreamTerminated`; sockets stay."""


class RevokeKey(_Verb, frozen=True, kw_only=True, tag="ex.revoke_key"):
    """Forget an API key, or all, and end the user streams they opened."""

    key: str = ""


class Ban(_Verb, frozen=True, kw_only=True, tag="ex.ban"):
    """Ban every address: 418 to everything, sockets cut."""

    ms: Millis


class StepClock(_Verb, frozen=True, kw_only=True, tag="clock.step"):
    """Set the exchange's clock forward, or back for a negative `ms`."""

    ms: int


class SkewClock(_Verb, frozen=True, kw_only=True, tag="clock.skew"):
    """Let the exchange's clock run too fast (or slow, when negative) by parts per million."""

    ppm: Annotated[int, msgspec.Meta(ge=-500_000, le=500_000)]


class SuspendClock(_Verb, frozen=True, kw_only=True, tag="clock.suspend"):
    """Let the exchange's clock stand still, then jump to the present."""

    ms: Millis


class OrderByHand(_Verb, frozen=True, kw_only=True, tag="hand.order"):
    """Somebody places an order in the account, past every program.

    It is a limit order of about `quote` that lies `away_bps` behind the best price of its side, or
    without `away_bps` a market order.
    """

    symbol: Name
    quote: Decimal
    side: Literal["BUY", "SELL"] = "BUY"
    away_bps: Annotated[int, msgspec.Meta(ge=0, le=5000)] | None = None
    client_id: Name = "web_of_another_hand"
    account: str = "demo"


class CancelByHand(_Verb, frozen=True, kw_only=True, tag="hand.cancel"):
    """Somebody cancels every open order of the account on a symbol, whoever placed them."""

    symbol: Name
    account: str = "demo"


class SaleByHand(_Verb, frozen=True, kw_only=True, tag="hand.sell"):
    """Somebody cancels what stands on a symbol and sells all of its base at the market."""

    symbol: Name
    client_id: Name = "web_of_another_hand"
    account: str = "demo"


class ModelReply(_Verb, frozen=True, kw_only=True, tag="ai.reply"):
    """Answer for the model: `content` inside a completion, or `raw` as the whole body."""

    content: str | None = None
    raw: str | None = None
    status: Status = 200


class ModelDelay(_Verb, frozen=True, kw_only=True, tag="ai.delay"):
    """Let the model take its time."""

    ms: Millis


WireVerb: TypeAlias = (
    Delay
    | DropRequest
    | DropResponse
    | Reset
    | Blackhole
    | HalfOpen
    | Duplicate
    | Reorder
    | Reply
    | AcceptThen
    | Rewrite
    | Halt
    | ModelReply
    | ModelDelay
)
EventVerb: TypeAlias = DropEvents | DuplicateEvents | DelayEvents
HandVerb: TypeAlias = OrderByHand | CancelByHand | SaleByHand
ActVerb: TypeAlias = (
    MassExpire | AdjustBalance | EndUserStreams | Ban | StepClock | SuspendClock | HandVerb
)
StateVerb: TypeAlias = ReadLag | SetFilter | SetStatus | RevokeKey | SkewClock
Verb: TypeAlias = WireVerb | EventVerb | ActVerb | StateVerb

VERBS: Mapping[str, type[Verb]] = {
    str(kind.__struct_config__.tag): kind
    for kind in (
        *(Delay, DropRequest, DropResponse, Reset, Blackhole, HalfOpen, Duplicate, Reorder),
        *(Reply, AcceptThen, Rewrite, ReadLag, Halt, MassExpire, SetFilter, SetStatus),
        *(AdjustBalance, DropEvents, DuplicateEvents, DelayEvents, EndUserStreams, RevokeKey),
        *(Ban, StepClock, SkewClock, SuspendClock, ModelReply, ModelDelay),
        *(OrderByHand, CancelByHand, SaleByHand),
    )
}
TARGETED = (
    *(Delay, DropRequest, DropResponse, Reset, Blackhole, HalfOpen),
    *(Duplicate, Reorder, Reply, Rewrite),
)
EVENTS = (DropEvents, DuplicateEvents, DelayEvents)
# These happen once and cannot be taken back, so they have no end.
ONCE = (
    *(MassExpire, AdjustBalance, EndUserStreams, Ban, StepClock, SuspendClock),
    *(OrderByHand, CancelByHand, SaleByHand),
)
STATES = (ReadLag, SetFilter, SetStatus, RevokeKey, SkewClock)
# What changes the exchange instead of its traffic.
ACTS = ONCE + STATES


class Match(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which requests, frames or events a fault is about; what is left empty matches all.

    `method` is an HTTP method or a WebSocket method; it, `path` and `stream` may hold `*`; `params`
    compares request parameters, or the members of an event.
    """

    NOTHING: ClassVar["Match"]

    method: str = ""
    path: str = ""
    params: dict[str, str] = {}
    symbol: str = ""
    stream: str = ""
    event: str = ""


Match.NOTHING = Match()


class When(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From when, for how long, and which of the matching subjects.

    `at_ms` is market time, `after_ms` counts from the exchange's start (for a plan given later:
    from then). `nth` is the first matching subject that is hit, `count` how many are.
    """

    at_ms: Annotated[int, msgspec.Meta(ge=0)] | None = None
    after_ms: Annotated[int, msgspec.Meta(ge=0)] | None = None
    for_ms: Millis | None = None
    nth: Positive | None = None
    count: Positive | None = None
    probability_x10000: Share | None = None


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that goes wrong."""

    id: Name
    what: Verb
    match: Match = Match()
    when: When = When()

    @property
    def verb(self) -> str:
        """The verb's name in a plan."""
        return str(type(self.what).__struct_config__.tag)


class FaultPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that goes wrong in one run. `heal_after_ms` ends all faults at once."""

    seed: int = 0
    heal_after_ms: Millis | None = None
    faults: tuple[Fault, ...] = ()
