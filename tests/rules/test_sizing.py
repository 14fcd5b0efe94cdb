from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.settings import ExitSettings
from livespot.contracts.vocabulary import OrderType, TrailingMode
from livespot.rules.sizing import (
    Caps,
    lowest_leg_price,
    size_entry,
    stop_distance_bps,
    stop_order_type,
)
from livespot.testing.market_values import a_symbol, some_constraints
from livespot.testing.risk_values import an_entry


def _caps(**changes: Any) -> Caps:
    wide = {name: Decimal(1_000_000) for name in ("symbol_room", "total_room", "free_quote")}
    values: dict[str, Any] = {"risk_per_trade": Decimal(100), "max_notional": None, **wide}
    return Caps(**(values | changes))


def test_the_worked_size_is_risk_over_the_stops_distance() -> None:
    size = size_entry(Decimal(100), Decimal("98.50"), _caps(), some_constraints())

    assert stop_distance_bps(Decimal(100), Decimal("98.50")) == 150
    # 100 * 10000 / 150 = 6666.67 quote, 66.666 base.
    assert round(size.quote, 2) == Decimal("6666.67")
    assert size.qty == Decimal("66.666")
    assert size.binding == "risk_per_trade"


@pytest.mark.parametrize(
    ("changes", "qty", "binding"),
    [
        ({"symbol_room": Decimal(200)}, "2.000", "exposure_symbol_room"),
        ({"total_room": Decimal("150.09")}, "1.500", "exposure_total_room"),
        ({"free_quote": Decimal(99)}, "0.990", "free_quote"),
        ({"free_quote": Decimal(-5)}, "0.000", "free_quote"),
        ({"max_notional": Decimal(50)}, "0.500", "max_notional"),
        ({"first_day": Decimal(25)}, "0.250", "first_day_max_notional"),
    ],
)
def test_the_tightest_cap_sets_the_size(changes: dict[str, Any], qty: str, binding: str) -> None:
    size = size_entry(Decimal(100), Decimal(99), _caps(**changes), some_constraints())

    assert (str(size.qty), size.binding) == (qty, binding)


def test_the_exchanges_largest_quantity_is_a_cap() -> None:
    size = size_entry(
        Decimal(100), Decimal(99), _caps(), some_constraints(max_qty=Decimal("1.0005"))
    )

    assert (size.qty, size.binding) == (Decimal("1.000"), "max_qty")


def test_a_stop_at_the_entry_allows_nothing() -> None:
    assert size_entry(Decimal(100), Decimal(100), _caps(), some_constraints()).qty == 0


_PRICES = st.decimals(min_value="0.01", max_value=90_000, places=2)
_QUOTES = st.decimals(min_value=0, max_value=10_000, places=4)


@given(entry=_PRICES, below=st.integers(1, 99), symbol=_QUOTES, total=_QUOTES, free=_QUOTES)
def test_a_size_fits_every_cap_and_its_loss_at_the_stop_fits_the_risk(
    entry: Decimal, below: int, symbol: Decimal, total: Decimal, free: Decimal
) -> None:
    stop = entry * (100 - below) / 100
    caps = _caps(symbol_room=symbol, total_room=total, free_quote=free)

    size = size_entry(entry, stop, caps, some_constraints())

    assert size.qty * entry <= min(symbol, total, free)
    assert size.qty * (entry - stop) <= Decimal(100)


@pytest.mark.parametrize(
    ("offered", "kind", "expected"),
    [
        (("STOP_LOSS", "STOP_LOSS_LIMIT"), "AUTO", OrderType.STOP_LOSS),
        (("STOP_LOSS_LIMIT",), "AUTO", OrderType.STOP_LOSS_LIMIT),
        (("LIMIT",), "AUTO", None),
        (("STOP_LOSS",), "STOP_LOSS_LIMIT", None),
    ],
)
def test_the_stop_is_what_the_symbol_offers(
    offered: tuple[str, ...], kind: str, expected: OrderType | None
) -> None:
    info = a_symbol(order_types=offered)

    assert stop_order_type(info, ExitSettings(stop_kind=kind)) is expected


def test_the_lowest_leg_is_the_stops_limit_or_the_reference() -> None:
    decision = an_entry()
    entry, exits = decision.entry_plan, decision.exit_plan
    assert entry is not None
    assert exits is not None
    settings = ExitSettings()

    assert lowest_leg_price(entry, exits, OrderType.STOP_LOSS_LIMIT, settings) == (
        exits.sl_price * Decimal("0.99")
    )
    assert lowest_leg_price(entry, exits, OrderType.STOP_LOSS, settings) == entry.limit_price
    assert exits.trailing_mode is TrailingMode.OFF
