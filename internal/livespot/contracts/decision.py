"""Decisions, plans and the two verdicts on them."""

from decimal import Decimal

from livespot.contracts.base import Message, refuse, require_positive, require_x10000
from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import Constraints
from livespot.contracts.vocabulary import (
    DecisionIntent,
    EntryKind,
    FallbackKind,
    GateVerdict,
    Mode,
    ProtectionKind,
    RegimeLabel,
    Side,
    Stage,
    TimeInForce,
    TrailingMode,
    Verdict,
)

# Bound once: looking up an enum member costs more than a call.
_ENTRY, _MANAGE = DecisionIntent.ENTRY, DecisionIntent.MANAGE
_MAKER_FIRST, _NO_TRAILING, _BLOCK = EntryKind.MAKER_FIRST, TrailingMode.OFF, Verdict.BLOCK


class Fallback(Message, frozen=True):
    """What happens when the patient entry did not fill; never raises the quantity."""

    enabled: bool
    kind: FallbackKind
    max_slippage_bps: int
    deadline_ms: int

    def __post_init__(self) -> None:
        if self.max_slippage_bps < 0:
            refuse("max_slippage_bps", self.max_slippage_bps, ">= 0")
        if self.deadline_ms < 0:
            refuse("deadline_ms", self.deadline_ms, ">= 0")


class EntryPlan(Message, frozen=True):
    kind: EntryKind
    desired_price: Decimal
    limit_price: Decimal
    qty: Decimal
    time_in_force: TimeInForce
    ttl_ms: int
    reprice_ms: int
    max_reprices: int
    fallback: Fallback
    client_order_id: str

    def __post_init__(self) -> None:
        require_positive(
            desired_price=self.desired_price, limit_price=self.limit_price, qty=self.qty
        )
        if self.kind is _MAKER_FIRST:
            if self.ttl_ms <= 0:
                refuse("ttl_ms", self.ttl_ms, "a resting entry needs a lifetime")
            if self.max_reprices < 1:
                refuse("max_reprices", self.max_reprices, "at least 1")


class ExitPlan(Message, frozen=True):
    tp_price: Decimal
    sl_price: Decimal
    protection_kind: ProtectionKind
    trailing_mode: TrailingMode
    trailing_trigger_price: Decimal
    trailing_distance_bps: int
    client_order_id_tp: str
    client_order_id_sl: str

    def __post_init__(self) -> None:
        require_positive(tp_price=self.tp_price, sl_price=self.sl_price)
        if self.sl_price >= self.tp_price:
            refuse("sl_price", self.sl_price, "must be below tp_price")
        if self.trailing_mode is _NO_TRAILING and not (
            self.trailing_trigger_price == 0 and self.trailing_distance_bps == 0
        ):
            refuse("trailing_mode", self.trailing_mode, "OFF means no trigger and no distance")


class AIGateResult(Message, frozen=True):
    """The gate's answer on one decision; also what its audit row holds."""

    enabled: bool
    verdict: GateVerdict
    reasons: tuple[ReasonCode, ...]
    model: str
    latency_ms: int
    input_hash: str
    raw_hash: str
    prompt_hash: str
    modify_applied: bool = False
    patch_redacted: str = ""
    error_code: str = ""
    error_detail_redacted: str = ""
    original_decision_id: str = ""


class Costs(Message, frozen=True):
    fees_bps: int
    slippage_bps: int
    spread_bps: int
    delta_spread_bps: int


class RiskVerdict(Message, frozen=True):
    """Risk's final word; `limits` maps each effective limit or counter to its decimal text."""

    verdict: Verdict
    approved_qty: Decimal
    reasons: tuple[ReasonCode, ...]
    limits: dict[str, str]
    costs: Costs

    def __post_init__(self) -> None:
        if self.verdict is not _BLOCK:
            require_positive(approved_qty=self.approved_qty)
        elif not self.reasons:
            refuse("reasons", self.reasons, "a block says why")


class Decision(Message, frozen=True):
    """A proposed action. `edge_bps_expected` is a reward margin, not an expected profit."""

    mode: Mode
    ts_ms: int
    symbol: str
    side: Side
    intent: DecisionIntent
    entry_plan: EntryPlan | None
    exit_plan: ExitPlan | None
    regime: RegimeLabel
    edge_score_x10000: int
    edge_bps_expected: int
    breakeven_hit_x10000: int
    sl_bps: int
    tp_bps: int
    reasons: tuple[ReasonCode, ...]
    snapshot_id: str
    snapshot_hash: str
    decision_id: str
    cycle_id: str
    stage: Stage
    constraints: Constraints
    strategy_id: str
    strategy_version: str
    ai_gate: AIGateResult | None = None
    risk_verdict: RiskVerdict | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.edge_score_x10000 <= 10_000:
            require_x10000(edge_score_x10000=self.edge_score_x10000)
        entry, exits = self.entry_plan, self.exit_plan
        if entry is not None and exits is not None:
            if not exits.sl_price < entry.limit_price < exits.tp_price:
                levels = (exits.sl_price, entry.limit_price, exits.tp_price)
                refuse("exit_plan", levels, "long: sl < entry < tp")
        elif self.intent is _ENTRY:
            refuse("exit_plan" if entry else "entry_plan", None, "an entry needs one")
        elif self.intent is _MANAGE and exits is None:
            refuse("exit_plan", None, "managing needs one")
        if self.intent is _ENTRY and not self.reasons:
            refuse("reasons", self.reasons, "an entry says why")


class DecisionHashPayload(Message, frozen=True):
    """Everything that decides the outcome and nothing else: no times, runs, cycles or ids."""

    mode: Mode
    symbol: str
    side: Side
    intent: DecisionIntent
    entry_kind: EntryKind | None
    desired_price: Decimal | None
    limit_price: Decimal | None
    qty: Decimal | None
    time_in_force: TimeInForce | None
    ttl_ms: int
    reprice_ms: int
    max_reprices: int
    fallback: Fallback | None
    tp_price: Decimal | None
    sl_price: Decimal | None
    protection_kind: ProtectionKind | None
    trailing_mode: TrailingMode | None
    trailing_trigger_price: Decimal | None
    trailing_distance_bps: int
    edge_score_x10000: int
    edge_bps_expected: int
    reasons: tuple[ReasonCode, ...]
    snapshot_hash: str
    constraints_hash: str
    config_hash: str
    strategy_id: str
    strategy_version: str


class OrderIntentHashPayload(Message, frozen=True):
    """Identity of an entry intent. Prices and quantity as quantised for this attempt."""

    mode: Mode
    symbol: str
    side: Side
    action: str
    attempt: int
    values: dict[str, str]
    snapshot_hash: str
    constraints_hash: str


class DerivedIntentHashPayload(Message, frozen=True):
    """Identity of everything that follows from an entry: legs, protections, closes, cancels."""

    parent_order_intent_id: str
    role: str
    attempt: int
