"""The filters of one symbol as typed values."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Bounds and grid of a price or quantity; a zero member disables that rule."""

    low: Decimal
    high: Decimal
    step: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PercentPrice:
    """Allowed multiples of the reference or average price, per order side.

    `avg_price_mins` is the length of the average; zero means the last price.
    """

    bid_up: Decimal
    bid_down: Decimal
    ask_up: Decimal
    ask_down: Decimal
    by_side: bool
    avg_price_mins: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class NotionalRange:
    """Bounds of price times quantity; `name` is the filter that states them."""

    name: Literal["MIN_NOTIONAL", "NOTIONAL"]
    low: Decimal
    high: Decimal | None
    low_for_market: bool
    high_for_market: bool
    avg_price_mins: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailingDelta:
    """Bounds of a trailing delta in basis points, above and below the market."""

    min_above: int
    max_above: int
    min_below: int
    max_below: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Every filter a spot symbol can carry; None where the symbol has no such filter."""

    price: Range | None = None
    lot: Range | None = None
    market_lot: Range | None = None
    percent_prices: tuple[PercentPrice, ...] = ()
    notionals: tuple[NotionalRange, ...] = ()
    iceberg_parts: int | None = None
    max_num_orders: int | None = None
    max_num_algo_orders: int | None = None
    max_num_iceberg_orders: int | None = None
    max_num_order_lists: int | None = None
    max_num_order_amends: int | None = None
    max_position: Decimal | None = None
    trailing_delta: TrailingDelta | None = None
