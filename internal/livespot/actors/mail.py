"""The messages between actors, and which actor may send which to whom.

Facts are named in the past, requests as wants or asks. A question carries a `Reply`, and the asker
bounds its own wait. Values that are also stored or sent over the network live in `contracts`.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from livespot.contracts.base import Message
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import AIGateResult, Decision, RiskVerdict
from livespot.contracts.market import (
    AggTrade,
    Candle,
    DeepFeatures,
    DepthBook,
    KlineHistory,
    KlineUpdate,
    Rejection,
    Snapshot,
    SymbolInfo,
    Ticker24h,
)
from livespot.contracts.orders import (
    AccountView,
    BalancesChanged,
    CommissionRates,
    Fill,
    ListView,
    OrderUpdate,
    OrderView,
    Position,
)
from livespot.contracts.queries import StoredOrder
from livespot.contracts.records import SymbolHealth
from livespot.contracts.system import (
    Alert,
    CloseAsked,
    ExposureWanted,
    HealthSignal,
    ModeChanged,
    OperatorCommand,
    ReleaseWanted,
)
from livespot.contracts.vocabulary import (
    IntentAction,
    IntentRole,
    Interval,
    MutationOutcome,
    OrderType,
    SignalLevel,
)
from livespot.runtime.mailboxes import Reply

# ---- reference data: scanner and feed tell everybody who needs it


class SymbolsLearned(Message, frozen=True):
    """exchangeInfo: whole at boot and at each refresh, or only the changed symbols."""

    infos: dict[str, SymbolInfo]
    cause: str
    at_ms: int


class TickersLearned(Message, frozen=True):
    tickers: tuple[Ticker24h, ...]
    at_ms: int


class CommissionLearned(Message, frozen=True):
    """`discount_usable`: enabled for account and symbol, and enough of its asset is at hand."""

    rates: CommissionRates
    discount_usable: bool


class FiltersRefreshWanted(Message, frozen=True):
    """A refusal or a change of status put the stored filters in doubt; to the scanner."""

    symbol: str
    cause: str


class Marks(Message, frozen=True):
    """Best bid and ask of every symbol with a fresh book, about once a second."""

    bids: dict[str, Decimal]
    asks: dict[str, Decimal]
    at_ms: int


# ---- feed and market state


class AttachmentWanted(Message, frozen=True):
    """Every symbol to stream from now on; `watched` ones need depth, `held` ones have positions."""

    symbols: tuple[str, ...]
    watched: tuple[str, ...]
    held: tuple[str, ...] = ()


class SymbolDropped(Message, frozen=True):
    """The feed no longer streams this symbol; its state is forgotten."""

    symbol: str


class KlineGapFound(Message, frozen=True):
    """Closed candles missing between two open times, both inclusive; to the feed."""

    symbol: str
    interval: Interval
    from_ms: int
    to_ms: int


class StreamDropped(Message, frozen=True):
    """A market connection was lost; counts towards quarantine. To risk."""

    symbols: tuple[str, ...]
    at_ms: int


class PricesInsane(Message, frozen=True):
    """The stream showed prices of a symbol that cannot be true; to risk, for quarantine."""

    symbol: str
    at_ms: int


class CandleClosed(Message, frozen=True):
    """1m candles of a symbol that closed, oldest first; wakes the signal actor."""

    symbol: str
    candles: tuple[Candle, ...]


class LatencySeen(Message, frozen=True):
    """p90 in ms from exchange time to receive time of recent aggregate trades; to risk."""

    p90_ms: int
    at_ms: int


class SnapshotsBuilt(Message, frozen=True):
    snapshots: tuple[Snapshot, ...]
    rejections: tuple[Rejection, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotsAsked:
    cycle_id: str
    symbols: tuple[str, ...]
    reply: Reply[SnapshotsBuilt]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturesAsked:
    symbols: tuple[str, ...]
    reply: Reply[tuple[DeepFeatures, ...]]


# ---- selection and signal


class WatchlistChanged(Message, frozen=True):
    """The watch list, held symbols included; to the signal actor."""

    symbols: tuple[str, ...]
    cycle_id: str


class Proposal(Message, frozen=True):
    """An ENTRY that the strategy wants; to the gate."""

    decision: Decision
    snapshot: Snapshot


class GatedProposal(Message, frozen=True):
    """A proposal the gate allowed or shrank; to risk. The decision carries the gate's result."""

    decision: Decision
    snapshot: Snapshot
    gate: AIGateResult


class ProposalEnded(Message, frozen=True):
    """A proposal was stopped, or its entry has ended: signal may propose the symbol again."""

    decision_id: str
    symbol: str
    reasons: tuple[ReasonCode, ...]


# ---- risk and execution


class ApprovedEntry(Message, frozen=True):
    """Risk allowed it and reserved the quote; `decision.risk_verdict` is set. To execution."""

    decision: Decision
    snapshot: Snapshot
    approved_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecheckAsked:
    """Whether risk will refuse this whatever the gate makes of it; the answer is why, or empty."""

    decision: Decision
    snapshot: Snapshot
    reply: Reply[tuple[ReasonCode, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecheckAsked:
    """Run the risk checks again for a reprice or fallback; never for a larger quantity."""

    decision: Decision
    snapshot: Snapshot
    reply: Reply[RiskVerdict]


class EntryOpened(Message, frozen=True):
    """An entry's first intent is durable and binds the reserve; one `taken_over` may have fills."""

    decision: Decision
    order_intent_id: str
    at_ms: int
    taken_over: bool = False


class EntryEnded(Message, frozen=True):
    """An entry is over, filled or not; to risk, position and signal.

    `attached_list_id` is the order list whose legs should stand now, or -1 when the position still
    has to be protected. `tp_client_id` and `sl_client_id` name those legs.
    """

    decision_id: str
    symbol: str
    order_intent_id: str
    filled_qty: Decimal
    filled_quote: Decimal
    attached_list_id: int
    tp_client_id: str
    sl_client_id: str
    reasons: tuple[ReasonCode, ...]
    at_ms: int


class FillBooked(Message, frozen=True):
    """A fill is durable in the ledger; sent exactly once per trade. To position and risk."""

    fill: Fill
    order_intent_id: str
    decision_id: str
    role: IntentRole
    fee_quote: Decimal
    fee_unpriced: bool


class OrderProgressed(Message, frozen=True):
    """An order of ours has a newer durable state; to position."""

    order: OrderView
    order_intent_id: str
    decision_id: str
    role: IntentRole


class MutationCounted(Message, frozen=True):
    """A mutation was sent; counts against the churn limits (a list counts once). To risk.

    `at_ms` is the exchange's time.
    """

    symbol: str
    action: IntentAction
    role: IntentRole
    at_ms: int


class RejectSeen(Message, frozen=True):
    """A filter refused a mutation, or an entry was refused; counts towards quarantine. To risk."""

    symbol: str
    code: int
    filter_name: str
    at_ms: int


class SubmitTimedOut(Message, frozen=True):
    """A mutation's outcome is unknown; three in a row quarantine the symbol. To risk."""

    symbol: str
    at_ms: int


class SubmitAnswered(Message, frozen=True):
    """A mutation got a definite answer, which ends a series of time-outs. To risk."""

    symbol: str
    at_ms: int


# ---- position and execution


class SaleWanted(Message, frozen=True, kw_only=True):
    """The fields of every requested sale; `known_orders` are the sells the asker knew of, by id."""

    position_id: str
    decision_id: str
    entry_intent_id: str
    symbol: str
    qty: Decimal
    known_orders: tuple[int, ...] | None = None


class ProtectWanted(SaleWanted, frozen=True, kw_only=True):
    """Install protection: an OCO (role LIST), a stop (STOP), or a raised stop (TRAIL).

    TRAIL replaces an order of intent `replaces`. Amounts are quantised. `stop_limit_price` is set
    if only STOP_LOSS_LIMIT exists. `tp_price` is the target, or where a trailing take-profit of
    `tp_type` begins to follow.
    """

    role: IntentRole
    tp_price: Decimal
    sl_price: Decimal
    stop_limit_price: Decimal | None
    tp_type: OrderType = OrderType.LIMIT_MAKER
    tp_limit_price: Decimal | None = None
    trailing_delta: int | None = None
    replaces: str = ""
    replaces_order_id: int = 0


class CloseWanted(SaleWanted, frozen=True, kw_only=True):
    """Sell this quantity now: IOC limit at `limit_price`, or market when it is None."""

    limit_price: Decimal | None


class CancelWanted(Message, frozen=True):
    """Cancel one of our orders (and its list); to execution."""

    position_id: str
    decision_id: str
    symbol: str
    order_intent_id: str
    order_id: int
    purpose: str


class MutationSettled(Message, frozen=True):
    """The outcome of a requested mutation; to position. A later message settles an UNKNOWN one."""

    position_id: str
    symbol: str
    order_intent_id: str
    role: IntentRole
    outcome: MutationOutcome
    code: int
    message: str
    list_id: int
    orders: tuple[OrderView, ...]
    at_ms: int


# ---- reconciler, account feed, recovery


class AccountObserved(Message, frozen=True):
    """Balances read by REST; to risk and position. `offset_ms`: the exchange's time minus ours."""

    account: AccountView
    offset_ms: int = 0


class UserStreamChanged(Message, frozen=True):
    """The account's stream was connected (`live`) or lost; to reconciler and execution."""

    live: bool
    at_ms: int


class ReconcileWanted(Message, frozen=True):
    """Reconcile now instead of at the next interval; an empty symbol means everything."""

    cause: str
    symbol: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrdersAsked:
    """Which orders execution believes to be open; asked by the reconciler and at boot."""

    reply: Reply[tuple[StoredOrder, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionsAsked:
    reply: Reply[tuple[Position, ...]]


class RecoverySummary(Message, frozen=True):
    """What boot recovery found in one actor; an unresolved subject holds DEGRADE or PAUSE.

    `drift` is what the reconciler's first full comparison demands of the mode.
    """

    resolved: int
    unresolved: int
    detail: str
    drift: SignalLevel = SignalLevel.CLEAR


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverAsked:
    """Resolve or verify everything that the last run left, then answer; before any new entry."""

    reply: Reply[RecoverySummary]


@dataclass(frozen=True, slots=True, kw_only=True)
class StopAsked:
    """Orderly shutdown: start nothing new, finish or leave in a safe state, then answer.

    `within_ms` is how long the asker will wait from now on.
    """

    within_ms: int
    reply: Reply[None]


# ---- inboxes

TickInbox: TypeAlias = AggTrade | KlineUpdate | KlineHistory | DepthBook
MarketStateInbox: TypeAlias = (
    TickInbox
    | SymbolDropped
    | SymbolsLearned
    | TickersLearned
    | CommissionLearned
    | SymbolHealth
    | SnapshotsAsked
    | FeaturesAsked
)
FeedInbox: TypeAlias = AttachmentWanted | KlineGapFound
ScannerInbox: TypeAlias = Position | FiltersRefreshWanted | SymbolHealth | ModeChanged
SignalInbox: TypeAlias = WatchlistChanged | CandleClosed | ProposalEnded | ModeChanged | Position
GateInbox: TypeAlias = Proposal | ModeChanged
_ToJudge: TypeAlias = PrecheckAsked | GatedProposal | RecheckAsked
_Progress: TypeAlias = EntryOpened | EntryEnded | FillBooked | Position | MutationCounted
_Faults: TypeAlias = RejectSeen | SubmitTimedOut | SubmitAnswered | StreamDropped | PricesInsane
_Readings: TypeAlias = LatencySeen | Marks | AccountObserved | BalancesChanged | ModeChanged
_OfOperator: TypeAlias = ReleaseWanted | ExposureWanted
RiskInbox: TypeAlias = _ToJudge | _Progress | _Faults | _Readings | SymbolsLearned | _OfOperator
ExecutionInbox: TypeAlias = (
    ApprovedEntry
    | OrderUpdate
    | ListView
    | ProtectWanted
    | CloseWanted
    | CancelWanted
    | OrdersAsked
    | RecoverAsked
    | StopAsked
    | Marks
    | SymbolsLearned
    | UserStreamChanged
    | ModeChanged
)
_ToPosition: TypeAlias = PositionsAsked | RecoverAsked | CloseAsked | StopAsked
PositionInbox: TypeAlias = (
    EntryOpened
    | EntryEnded
    | FillBooked
    | OrderProgressed
    | MutationSettled
    | AccountObserved
    | BalancesChanged
    | Marks
    | SymbolsLearned
    | DeepFeatures
    | _ToPosition
    | ModeChanged
)
ReconcilerInbox: TypeAlias = (
    ReconcileWanted | UserStreamChanged | Position | SymbolsLearned | RecoverAsked | ModeChanged
)
GovernorInbox: TypeAlias = HealthSignal | Alert | OperatorCommand
