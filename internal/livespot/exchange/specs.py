"""Read a row of exchangeInfo into the engine's typed symbol rules."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from livespot.exchange.averages import AVERAGE_MINUTES
from livespot.exchange.filter_types import (
    Filters,
    NotionalRange,
    PercentPrice,
    Range,
    TrailingDelta,
)
from livespot.exchange.model import (
    ExchangeFilters,
    PriceRange,
    SymbolSpec,
)

Row = Mapping[str, Any]


def symbol_spec(row: Row) -> SymbolSpec:
    """Typed rules of one symbol; the row uses the exchange's field names.

    Raises:
        KeyError: a field every symbol has is absent.
    """
    return SymbolSpec(
        symbol=row["symbol"],
        base=row["baseAsset"],
        quote=row["quoteAsset"],
        status=row["status"],
        base_precision=row["baseAssetPrecision"],
        quote_precision=row["quoteAssetPrecision"],
        order_types=frozenset(row["orderTypes"]),
        iceberg_allowed=row.get("icebergAllowed", True),
        oco_allowed=row.get("ocoAllowed", True),
        oto_allowed=row.get("otoAllowed", True),
        opo_allowed=row.get("opoAllowed", True),
        quote_order_qty_allowed=row.get("quoteOrderQtyMarketAllowed", True),
        trailing_allowed=row.get("allowTrailingStop", True),
        cancel_replace_allowed=row.get("cancelReplaceAllowed", True),
        default_stp=row.get("defaultSelfTradePreventionMode", "NONE"),
        allowed_stp=frozenset(row.get("allowedSelfTradePreventionModes", ("NONE",))),
        filters=read_filters(row["filters"]),
        info=row,
        amend_allowed=row.get("amendAllowed", True),
        peg_allowed=row.get("pegInstructionsAllowed", True),
    )


def read_filters(rows: Sequence[Row]) -> Filters:
    """All known filters of a symbol; an unknown filter type is ignored."""
    by_type = {row["filterType"]: row for row in rows}
    return Filters(
        price=_range(by_type.get("PRICE_FILTER"), "minPrice", "maxPrice", "tickSize"),
        lot=_range(by_type.get("LOT_SIZE"), "minQty", "maxQty", "stepSize"),
        market_lot=_range(by_type.get("MARKET_LOT_SIZE"), "minQty", "maxQty", "stepSize"),
        percent_prices=_percents(by_type),
        notionals=_notionals(by_type),
        iceberg_parts=_count(by_type, "ICEBERG_PARTS", "limit"),
        max_num_orders=_count(by_type, "MAX_NUM_ORDERS", "maxNumOrders"),
        max_num_algo_orders=_count(by_type, "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders"),
        max_num_iceberg_orders=_count(by_type, "MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders"),
        max_num_order_lists=_count(by_type, "MAX_NUM_ORDER_LISTS", "maxNumOrderLists"),
        max_num_order_amends=_count(by_type, "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends"),
        max_position=_position(by_type.get("MAX_POSITION")),
        trailing_delta=_trailing(by_type.get("TRAILING_DELTA")),
    )


def _range(row: Row | None, low: str, high: str, step: str) -> Range | None:
    if row is None:
        return None
    return Range(low=Decimal(row[low]), high=Decimal(row[high]), step=Decimal(row[step]))


def _count(by_type: Mapping[str, Row], name: str, member: str) -> int | None:
    row = by_type.get(name)
    return None if row is None else int(row[member])


def _position(row: Row | None) -> Decimal | None:
    return None if row is None else Decimal(row["maxPosition"])


def _percents(by_type: Mapping[str, Row]) -> tuple[PercentPrice, ...]:
    found = []
    if (row := by_type.get("PERCENT_PRICE")) is not None:
        up, down = Decimal(row["multiplierUp"]), Decimal(row["multiplierDown"])
        found.append(
            PercentPrice(
                bid_up=up,
                bid_down=down,
                ask_up=up,
                ask_down=down,
                by_side=False,
                avg_price_mins=_minutes(row),
            )
        )
    if (row := by_type.get("PERCENT_PRICE_BY_SIDE")) is not None:
        found.append(
            PercentPrice(
                bid_up=Decimal(row["bidMultiplierUp"]),
                bid_down=Decimal(row["bidMultiplierDown"]),
                ask_up=Decimal(row["askMultiplierUp"]),
                ask_down=Decimal(row["askMultiplierDown"]),
                by_side=True,
                avg_price_mins=_minutes(row),
            )
        )
    return tuple(found)


def _minutes(row: Row) -> int:
    return int(row.get("avgPriceMins", AVERAGE_MINUTES))


def _notionals(by_type: Mapping[str, Row]) -> tuple[NotionalRange, ...]:
    found = []
    if (row := by_type.get("MIN_NOTIONAL")) is not None:
        found.append(
            NotionalRange(
                name="MIN_NOTIONAL",
                low=Decimal(row["minNotional"]),
                high=None,
                low_for_market=row["applyToMarket"],
                high_for_market=False,
                avg_price_mins=_minutes(row),
            )
        )
    if (row := by_type.get("NOTIONAL")) is not None:
        found.append(
            NotionalRange(
                name="NOTIONAL",
                low=Decimal(row["minNotional"]),
                high=Decimal(row["maxNotional"]),
                low_for_market=row["applyMinToMarket"],
                high_for_market=row["applyMaxToMarket"],
                avg_price_mins=_minutes(row),
            )
        )
    return tuple(found)


def _trailing(row: Row | None) -> TrailingDelta | None:
    if row is None:
        return None
    return TrailingDelta(
        min_above=int(row["minTrailingAboveDelta"]),
        max_above=int(row["maxTrailingAboveDelta"]),
        min_below=int(row["minTrailingBelowDelta"]),
        max_below=int(row["maxTrailingBelowDelta"]),
    )


def exchange_filter_rows(filters: ExchangeFilters) -> list[dict[str, Any]]:
    """The filters over all of an account's open orders, in the exchange's own members."""
    rows = (
        ("EXCHANGE_MAX_NUM_ORDERS", "maxNumOrders", filters.max_num_orders),
        ("EXCHANGE_MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders", filters.max_num_algo_orders),
        ("EXCHANGE_MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders", filters.max_num_iceberg_orders),
        ("EXCHANGE_MAX_NUM_ORDER_LISTS", "maxNumOrderLists", filters.max_num_order_lists),
    )
    return [
        {"filterType": name, member: limit} for name, member, limit in rows if limit is not None
    ]


def asset_filter_rows(filters: ExchangeFilters) -> list[dict[str, Any]]:
    """The filters on what one order may move of an asset."""
    return [
        {"filterType": "MAX_ASSET", "asset": asset, "limit": f"{limit:.8f}"}
        for asset, limit in filters.max_assets.items()
    ]


def execution_rule_rows(rule: PriceRange | None) -> list[dict[str, Any]]:
    """A symbol's execution rules; an open bound is left out."""
    if rule is None:
        return []
    bounds = (
        ("bidLimitMultUp", rule.bid_up),
        ("bidLimitMultDown", rule.bid_down),
        ("askLimitMultUp", rule.ask_up),
        ("askLimitMultDown", rule.ask_down),
    )
    stated = {member: format(bound, "f") for member, bound in bounds if bound is not None}
    return [{"ruleType": "PRICE_RANGE", **stated}]
