"""exchangeInfo becomes constraints; what is absurd or unknown costs one symbol, never all."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.errors import PayloadInvalid
from livespot.contracts.market import SymbolInfo
from livespot.contracts.vocabulary import FilterPolicy
from livespot.venue.codec_info import decode_info, split_info


def _symbol(rest: dict[str, bytes]) -> dict[str, Any]:
    symbol: dict[str, Any] = json.loads(rest["exchangeInfo_composed"])["symbols"][0]
    return symbol


def _infos(*symbols: dict[str, Any]) -> dict[str, SymbolInfo]:
    return decode_info(json.dumps({"symbols": symbols}).encode())


def _with_filter(symbol: dict[str, Any], name: str, **changes: object) -> dict[str, Any]:
    filters = [one | changes if one["filterType"] == name else one for one in symbol["filters"]]
    return symbol | {"filters": filters}


def _without_filter(symbol: dict[str, Any], name: str) -> dict[str, Any]:
    return symbol | {"filters": [one for one in symbol["filters"] if one["filterType"] != name]}


def test_every_enforced_filter_reaches_the_constraints(rest: dict[str, bytes]) -> None:
    info = decode_info(rest["exchangeInfo_composed"])["ETHBTC"]

    found = info.constraints
    assert found is not None
    assert (found.tick_size, found.price_decimals) == (Decimal("0.000001"), 6)
    assert (found.step_size, found.qty_decimals) == (Decimal("0.001"), 3)
    assert (found.min_qty, found.max_qty) == (Decimal("0.001"), Decimal(100000))
    assert (found.min_notional, found.max_notional) == (Decimal(10), Decimal(10000))
    assert found.market_step_size == Decimal("0.001")
    assert (found.max_num_orders, found.max_num_algo_orders) == (200, 5)
    assert found.trailing_delta_bounds is not None
    assert found.trailing_delta_bounds.max_above == 2000
    assert found.percent_price is not None
    assert (found.percent_price.bid_up, found.percent_price.ask_down) == (
        Decimal("1.2"),
        Decimal("0.8"),
    )
    assert info.spot_allowed
    assert info.opo_allowed
    assert info.is_trading
    assert (info.unknown_filters, info.problem) == ((), "")
    assert found.policy is FilterPolicy.KNOWN_NON_ENFORCED


def test_the_limits_beside_the_symbols_are_read(rest: dict[str, bytes]) -> None:
    limits = {
        (one.kind, one.interval_ms): one.limit
        for one in split_info(rest["exchangeInfo_composed"]).limits
    }

    assert limits[("REQUEST_WEIGHT", 60_000)] == 6000
    assert limits[("ORDERS", 10_000)] == 50
    assert limits[("ORDERS", 86_400_000)] == 160_000


def test_the_old_notional_filter_and_the_old_price_band_are_understood(
    rest: dict[str, bytes],
) -> None:
    symbol = _without_filter(_without_filter(_symbol(rest), "NOTIONAL"), "PERCENT_PRICE_BY_SIDE")
    samples = {one["filterType"]: one for one in json.loads(rest["filters_all"])}
    symbol["filters"] = [*symbol["filters"], samples["MIN_NOTIONAL"], samples["PERCENT_PRICE"]]

    found = _infos(symbol)["ETHBTC"].constraints

    assert found is not None
    assert (found.min_notional, found.max_notional) == (Decimal("0.001"), None)
    assert found.percent_price is not None
    assert found.percent_price.bid_down == found.percent_price.ask_down == Decimal("0.7")


def test_market_steps_of_zero_mean_no_rule_of_their_own(rest: dict[str, bytes]) -> None:
    symbol = _with_filter(
        _symbol(rest), "MARKET_LOT_SIZE", stepSize="0.00000000", minQty="0.00000000"
    )

    found = _infos(symbol)["ETHBTC"].constraints

    assert found is not None
    assert found.market_step_size is None
    assert found.market_min_qty is None


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("PRICE_FILTER", {"tickSize": "0.00000000"}),
        ("PRICE_FILTER", {"tickSize": "NaN"}),
        ("PRICE_FILTER", {"tickSize": "-0.01"}),
        ("LOT_SIZE", {"stepSize": "0"}),
        ("LOT_SIZE", {"minQty": "5", "maxQty": "1"}),
        ("LOT_SIZE", {"maxQty": "Infinity"}),
        ("LOT_SIZE", {"stepSize": "many"}),
        ("NOTIONAL", {"minNotional": "sNaN"}),
        ("MAX_NUM_ORDERS", {"maxNumOrders": -1}),
    ],
)
def test_an_absurd_filter_blocks_its_symbol_and_no_other(
    rest: dict[str, bytes], name: str, changes: dict[str, object]
) -> None:
    good = _symbol(rest) | {"symbol": "GOODBTC"}

    infos = _infos(_with_filter(_symbol(rest), name, **changes), good)

    assert infos["ETHBTC"].constraints is None
    assert name in infos["ETHBTC"].problem
    assert infos["GOODBTC"].constraints is not None


@pytest.mark.parametrize("name", ["PRICE_FILTER", "LOT_SIZE", "NOTIONAL"])
def test_a_missing_filter_blocks_the_symbol(rest: dict[str, bytes], name: str) -> None:
    info = _infos(_without_filter(_symbol(rest), name))["ETHBTC"]

    assert info.constraints is None
    assert name in info.problem


def test_an_unknown_filter_is_listed_and_does_not_block(rest: dict[str, bytes]) -> None:
    symbol = _symbol(rest)
    symbol["filters"] = [*symbol["filters"], {"filterType": "T_PLUS_SELL", "limit": "soon"}]

    info = _infos(symbol)["ETHBTC"]

    assert info.unknown_filters == ("T_PLUS_SELL",)
    assert info.constraints is not None
    assert info.constraints.policy is FilterPolicy.UNKNOWN


def test_a_symbol_of_unknown_status_and_order_type_stays_readable(rest: dict[str, bytes]) -> None:
    symbol = _symbol(rest) | {"status": "CANCEL_ONLY", "orderTypes": ["LIMIT", "SCALED"]}

    info = _infos(symbol)["ETHBTC"]

    assert (info.status, info.is_trading) == ("CANCEL_ONLY", False)
    assert info.order_types == ("LIMIT", "SCALED")


def test_damaged_and_non_ascii_symbols_keep_their_name_and_say_why(
    rest: dict[str, bytes],
) -> None:
    damaged = {"symbol": "BADBTC", "status": 7}
    foreign = _symbol(rest) | {"symbol": "币安BTC"}

    infos = _infos(damaged, foreign, {"nothing": 1}, _symbol(rest))

    assert infos["BADBTC" if "BADBTC" in infos else "?"].problem
    assert infos["币安BTC"].constraints is None
    assert "ASCII" in infos["币安BTC"].problem
    assert infos["ETHBTC"].constraints is not None


def test_the_filters_hash_follows_status_and_rules_but_not_their_spelling(
    rest: dict[str, bytes],
) -> None:
    symbol = _symbol(rest)
    reordered = symbol | {"filters": list(reversed(symbol["filters"]))}
    respelled = _with_filter(symbol, "LOT_SIZE", stepSize="0.001")
    hashes = {
        name: info.constraints.filters_hash
        for name, info in {
            "as is": _infos(symbol)["ETHBTC"],
            "reordered": _infos(reordered)["ETHBTC"],
            "respelled": _infos(respelled)["ETHBTC"],
            "halted": _infos(symbol | {"status": "HALT"})["ETHBTC"],
            "recorded only": _infos(_with_filter(symbol, "ICEBERG_PARTS", limit=7))["ETHBTC"],
            "new tick": _infos(_with_filter(symbol, "PRICE_FILTER", tickSize="0.01"))["ETHBTC"],
        }.items()
        if info.constraints is not None
    }

    assert len(hashes) == 6
    assert hashes["as is"] == hashes["reordered"] == hashes["respelled"] == hashes["recorded only"]
    assert len({hashes["as is"], hashes["halted"], hashes["new tick"]}) == 3


@given(st.binary(max_size=300))
def test_noise_is_an_unreadable_payload_and_nothing_worse(body: bytes) -> None:
    try:
        decode_info(body)
    except PayloadInvalid:
        return
