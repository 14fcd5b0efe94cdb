"""exchangeInfo: symbols, their filters as constraints, and the rate limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

from livespot.contracts.amounts import ZERO, decimal_text, decimals_of
from livespot.contracts.canonical import hash_of
from livespot.contracts.errors import PayloadInvalid
from livespot.contracts.market import (
    Constraints,
    PercentPriceBand,
    SymbolInfo,
    TrailingDeltaBounds,
)
from livespot.contracts.vocabulary import FilterPolicy
from livespot.venue.weights import RateLimit, interval_ms
from livespot.venue.wire import Wire, WireRateLimit, read


class _PriceFilter(Wire, frozen=True):
    tick_size: Decimal
    min_price: Decimal = ZERO
    max_price: Decimal = ZERO


class _LotSize(Wire, frozen=True):
    step_size: Decimal
    min_qty: Decimal
    max_qty: Decimal


class _MinNotional(Wire, frozen=True):
    min_notional: Decimal
    apply_to_market: bool = True


class _Notional(Wire, frozen=True):
    min_notional: Decimal
    max_notional: Decimal | None = None
    apply_min_to_market: bool = True
    apply_max_to_market: bool = False


class _PercentPrice(Wire, frozen=True):
    multiplier_up: Decimal
    multiplier_down: Decimal


class _PercentPriceBySide(Wire, frozen=True):
    bid_multiplier_up: Decimal
    bid_multiplier_down: Decimal
    ask_multiplier_up: Decimal
    ask_multiplier_down: Decimal


class _TrailingDelta(Wire, frozen=True):
    min_trailing_above_delta: int
    max_trailing_above_delta: int
    min_trailing_below_delta: int
    max_trailing_below_delta: int


class _MaxNumOrders(Wire, frozen=True):
    max_num_orders: int


class _MaxNumAlgoOrders(Wire, frozen=True):
    max_num_algo_orders: int


class _Tag(Wire, frozen=True):
    filter_type: str


_ENFORCED: Mapping[str, msgspec.json.Decoder[Any]] = {
    "PRICE_FILTER": msgspec.json.Decoder(_PriceFilter),
    "LOT_SIZE": msgspec.json.Decoder(_LotSize),
    "MARKET_LOT_SIZE": msgspec.json.Decoder(_LotSize),
    "MIN_NOTIONAL": msgspec.json.Decoder(_MinNotional),
    "NOTIONAL": msgspec.json.Decoder(_Notional),
    "PERCENT_PRICE": msgspec.json.Decoder(_PercentPrice),
    "PERCENT_PRICE_BY_SIDE": msgspec.json.Decoder(_PercentPriceBySide),
    "TRAILING_DELTA": msgspec.json.Decoder(_TrailingDelta),
    "MAX_NUM_ORDERS": msgspec.json.Decoder(_MaxNumOrders),
    "MAX_NUM_ALGO_ORDERS": msgspec.json.Decoder(_MaxNumAlgoOrders),
}
_RECORDED = frozenset(
    {
        "ICEBERG_PARTS",
        "MAX_NUM_ICEBERG_ORDERS",
        "MAX_NUM_ORDER_LISTS",
        "MAX_NUM_ORDER_AMENDS",
        "MAX_POSITION",
    }
)
Enforced: TypeAlias = Mapping[str, Any]


class _Symbol(Wire, frozen=True):
    symbol: str
    status: str
    base_asset: str
    quote_asset: str
    filters: tuple[msgspec.Raw, ...]
    order_types: tuple[str, ...] = ()
    is_spot_trading_allowed: bool = False
    oco_allowed: bool = False
    oto_allowed: bool = False
    opo_allowed: bool = False
    allow_trailing_stop: bool = False
    cancel_replace_allowed: bool = False
    permission_sets: tuple[tuple[str, ...], ...] = ()


class _Name(Wire, frozen=True):
    symbol: str
    status: str = ""


class _ExchangeInfo(Wire, frozen=True):
    symbols: tuple[msgspec.Raw, ...]
    rate_limits: tuple[WireRateLimit, ...] = ()


_INFO = msgspec.json.Decoder(_ExchangeInfo)
_SYMBOL = msgspec.json.Decoder(_Symbol)
_NAME = msgspec.json.Decoder(_Name)
_TAG = msgspec.json.Decoder(_Tag)


@dataclass(frozen=True, slots=True)
class RawInfo:
    """An exchangeInfo answer whose symbols are not decoded yet: thousands of them take a while."""

    symbols: tuple[msgspec.Raw, ...]
    limits: tuple[RateLimit, ...]


def split_info(body: bytes) -> RawInfo:
    """Raises `PayloadInvalid` when the answer as a whole cannot be read."""
    info = read(_INFO, body, "exchangeInfo")
    return RawInfo(symbols=info.symbols, limits=rate_limits(info.rate_limits))


def decode_info(body: bytes) -> dict[str, SymbolInfo]:
    """Return all symbols by name. An unreadable symbol states why in its `problem`."""
    infos = (read_symbol(raw) for raw in split_info(body).symbols)
    return {info.symbol: info for info in infos}


def rate_limits(limits: Sequence[WireRateLimit]) -> tuple[RateLimit, ...]:
    """Return the limits whose kind and window are known; others are left out."""
    found = (
        RateLimit(
            kind=limit.rate_limit_type,
            interval_ms=interval_ms(limit.interval, limit.interval_num),
            limit=limit.limit,
            count=limit.count,
        )
        for limit in limits
    )
    return tuple(limit for limit in found if limit.interval_ms > 0)


def read_symbol(raw: msgspec.Raw) -> SymbolInfo:
    """Decode one symbol.

    A damaged one keeps its name, has no constraints and states its `problem`.
    """
    try:
        symbol = read(_SYMBOL, raw, "symbol")
    except PayloadInvalid as error:
        return _unreadable(raw, str(error))
    if not symbol.symbol.isascii():
        return _info(symbol, None, (), "the symbol's name is not plain ASCII")
    try:
        enforced, unknown, policy = _sort_filters(symbol.filters)
        constraints = _constraints(symbol, enforced, policy)
    except (PayloadInvalid, ValueError) as error:
        return _info(symbol, None, (), str(error))
    return _info(symbol, constraints, unknown, "")


def _unreadable(raw: msgspec.Raw, problem: str) -> SymbolInfo:
    try:
        name = read(_NAME, raw, "symbol name")
    except PayloadInvalid:
        name = _Name(symbol="?", status="")
    bare = _Symbol(
        symbol=name.symbol, status=name.status, base_asset="", quote_asset="", filters=()
    )
    return _info(bare, None, (), problem)


def _info(
    symbol: _Symbol, constraints: Constraints | None, unknown: tuple[str, ...], problem: str
) -> SymbolInfo:
    return SymbolInfo(
        symbol=symbol.symbol,
        status=symbol.status,
        base_asset=symbol.base_asset,
        quote_asset=symbol.quote_asset,
        spot_allowed=symbol.is_spot_trading_allowed
        and all("SPOT" in group for group in symbol.permission_sets),
        order_types=symbol.order_types,
        oco_allowed=symbol.oco_allowed,
        oto_allowed=symbol.oto_allowed,
        opo_allowed=symbol.opo_allowed,
        trailing_allowed=symbol.allow_trailing_stop,
        cancel_replace_allowed=symbol.cancel_replace_allowed,
        constraints=constraints,
        unknown_filters=unknown,
        problem=problem,
    )


def _sort_filters(
    filters: Sequence[msgspec.Raw],
) -> tuple[Enforced, tuple[str, ...], FilterPolicy]:
    enforced: dict[str, Any] = {}
    unknown: list[str] = []
    policy = FilterPolicy.ENFORCED
    for raw in filters:
        name = read(_TAG, raw, "filter").filter_type
        decoder = _ENFORCED.get(name)
        if decoder is not None:
            enforced[name] = read(decoder, raw, name)
        elif name in _RECORDED:
            policy = FilterPolicy.KNOWN_NON_ENFORCED
        else:
            unknown.append(name)
    return enforced, tuple(unknown), FilterPolicy.UNKNOWN if unknown else policy


def _constraints(symbol: _Symbol, enforced: Enforced, policy: FilterPolicy) -> Constraints:
    """Build the trading rules. Raises `ValueError` for a missing filter or an impossible number."""
    _require_sane(enforced)
    price: _PriceFilter = enforced["PRICE_FILTER"]
    lot: _LotSize = enforced["LOT_SIZE"]
    market: _LotSize | None = enforced.get("MARKET_LOT_SIZE")
    least, most = _notional_bounds(enforced)
    orders: _MaxNumOrders | None = enforced.get("MAX_NUM_ORDERS")
    algo: _MaxNumAlgoOrders | None = enforced.get("MAX_NUM_ALGO_ORDERS")
    return Constraints(
        tick_size=price.tick_size,
        step_size=lot.step_size,
        min_qty=lot.min_qty,
        max_qty=lot.max_qty,
        min_notional=least,
        max_notional=most,
        market_step_size=(market.step_size or None) if market else None,
        market_min_qty=(market.min_qty or None) if market else None,
        market_max_qty=(market.max_qty or None) if market else None,
        min_price=price.min_price,
        max_price=price.max_price,
        price_decimals=decimals_of(price.tick_size),
        qty_decimals=decimals_of(lot.step_size),
        max_num_orders=orders.max_num_orders if orders else 0,
        max_num_algo_orders=algo.max_num_algo_orders if algo else 0,
        trailing_delta_bounds=_trailing_bounds(symbol, enforced.get("TRAILING_DELTA")),
        percent_price=_price_band(enforced),
        filters_hash=_filters_hash(symbol.status, enforced),
        policy=policy,
    )


def _require_sane(enforced: Enforced) -> None:
    missing = [name for name in ("PRICE_FILTER", "LOT_SIZE") if name not in enforced]
    if "NOTIONAL" not in enforced and "MIN_NOTIONAL" not in enforced:
        missing.append("NOTIONAL")
    if missing:
        raise ValueError(f"filters are missing: {', '.join(missing)}")
    for name, found in enforced.items():
        for field, value in msgspec.structs.asdict(found).items():
            if value is not None and not (Decimal(value).is_finite() and value >= 0):
                raise ValueError(f"{name} is absurd: {field} is {value}")
    price: _PriceFilter = enforced["PRICE_FILTER"]
    lot: _LotSize = enforced["LOT_SIZE"]
    if price.tick_size <= 0 or 0 < price.max_price < price.min_price:
        raise ValueError(f"PRICE_FILTER is absurd: {_shown(price)}")
    if lot.step_size <= 0 or lot.max_qty < max(lot.min_qty, lot.step_size):
        raise ValueError(f"LOT_SIZE is absurd: {_shown(lot)}")


def _notional_bounds(enforced: Enforced) -> tuple[Decimal, Decimal | None]:
    plain: _MinNotional | None = enforced.get("MIN_NOTIONAL")
    both: _Notional | None = enforced.get("NOTIONAL")
    least = max(
        plain.min_notional if plain else ZERO,
        both.min_notional if both else ZERO,
    )
    return least, (both.max_notional or None) if both else None


def _trailing_bounds(symbol: _Symbol, found: _TrailingDelta | None) -> TrailingDeltaBounds | None:
    """Return None unless the symbol takes trailing orders and a take-profit order type."""
    offered = any(kind in symbol.order_types for kind in ("TAKE_PROFIT", "TAKE_PROFIT_LIMIT"))
    if found is None or not symbol.allow_trailing_stop or not offered:
        return None
    return TrailingDeltaBounds(
        min_above=found.min_trailing_above_delta,
        max_above=found.max_trailing_above_delta,
        min_below=found.min_trailing_below_delta,
        max_below=found.max_trailing_below_delta,
    )


def _price_band(enforced: Enforced) -> PercentPriceBand | None:
    sides: _PercentPriceBySide | None = enforced.get("PERCENT_PRICE_BY_SIDE")
    if sides is not None:
        return PercentPriceBand(
            bid_up=sides.bid_multiplier_up,
            bid_down=sides.bid_multiplier_down,
            ask_up=sides.ask_multiplier_up,
            ask_down=sides.ask_multiplier_down,
        )
    one: _PercentPrice | None = enforced.get("PERCENT_PRICE")
    if one is None:
        return None
    return PercentPriceBand(
        bid_up=one.multiplier_up,
        bid_down=one.multiplier_down,
        ask_up=one.multiplier_up,
        ask_down=one.multiplier_down,
    )


def _filters_hash(status: str, enforced: Enforced) -> str:
    return hash_of({"status": status, "filters": {n: _shown(f) for n, f in enforced.items()}})


def _shown(found: msgspec.Struct) -> dict[str, object]:
    """Return the filter's values without trailing zeros: 0.10 and 0.1 are the same rule."""
    return {
        name: decimal_text(value.normalize()) if isinstance(value, Decimal) else value
        for name, value in msgspec.structs.asdict(found).items()
    }
