"""The strategy as the runtime sees it: a pure rule from a snapshot to a decision."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from livespot.contracts.amounts import ZERO
from livespot.contracts.codes import ReasonCode
from livespot.contracts.decision import Decision
from livespot.contracts.market import Snapshot
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import Mode, RegimeLabel


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """No proposal: all failed and all passed checks, with the measurements.

    `reasons` holds only failures. `features` are the integers that the checks used.
    """

    symbol: str
    regime: RegimeLabel
    reasons: tuple[ReasonCode, ...]
    passed: tuple[ReasonCode, ...]
    edge_score_x10000: int
    edge_bps_expected: int
    features: dict[str, int]
    snapshot_id: str
    snapshot_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reevaluation:
    """An entry judged again for one more attempt at a new price.

    `reasons` is empty when the signal holds; prices and quantity are then quantised and `qty` is at
    most what was approved before. `trailing_trigger_price` is where this attempt's profit begins to
    trail, zero to keep the decision's own distance.
    """

    holds: bool
    reasons: tuple[ReasonCode, ...]
    price: Decimal
    qty: Decimal
    tp_price: Decimal
    sl_price: Decimal
    sl_bps: int
    tp_bps: int
    cost_bps: int
    edge_bps_expected: int
    trailing_trigger_price: Decimal = ZERO


class Strategy(Protocol):
    """A pure rule: equal inputs give equal bytes."""

    @property
    def id(self) -> str: ...

    @property
    def version(self) -> str: ...

    def propose(
        self, snapshot: Snapshot, settings: Settings, *, mode: Mode, cycle_id: str, now_ms: int
    ) -> Decision | Blocked:
        """An ENTRY with both plans, or every reason against one."""
        ...

    def reevaluate(
        self,
        snapshot: Snapshot,
        settings: Settings,
        decision: Decision,
        *,
        price: Decimal,
        attempt: int,
    ) -> Reevaluation:
        """Whether an open entry's signal still holds on a fresh snapshot, and its new numbers.

        `attempt` counts from 0; beyond the plan's `max_reprices` it is the taking fallback.
        """
        ...
