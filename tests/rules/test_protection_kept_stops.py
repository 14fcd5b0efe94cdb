"""A stop that has stood for a position is the lowest that is asked for afterwards."""

from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.orders import OrderView
from livespot.contracts.vocabulary import IntentRole, OrderStatus, OrderType, PositionPhase
from livespot.rules import protection as rule
from livespot.rules.position import reopened
from livespot.rules.protection import Close, CloseCause, Guard, Protect, Scene
from livespot.rules.protection_ladder import advance
from livespot.rules.protection_prices import kept_stop, never_lowered
from livespot.testing.ledger_rows import position
from livespot.testing.market_values import some_constraints
from livespot.testing.protection_cases import a_scene, a_sell

D = Decimal
LIMITS = some_constraints()
COARSE = some_constraints(tick_size=D("0.1"), price_decimals=1)
SCENE = a_scene(constraints=LIMITS, tp_price=D(105), bid=D(103))


def gone(*stops: str, status: OrderStatus = OrderStatus.EXPIRED, qty: str = "1") -> Guard:
    """Stops at these prices, one after the other, none of which stands any more."""
    guard = Guard()
    for number, price in enumerate(stops, 1):
        order = a_sell(
            number,
            OrderType.STOP_LOSS,
            stop_price=D(price),
            status=status,
            orig_qty=D(qty),
            is_working=False,
        )
        guard = seen(guard, order)
    return guard


def seen(guard: Guard, order: OrderView) -> Guard:
    return rule.order_seen(guard, order, IntentRole.TRAIL, f"oi_{order.order_id}")


def asked(guard: Guard, scene: Scene) -> list[Protect]:
    return [c for c in advance(guard, scene, 1000)[1] if isinstance(c, Protect)]


def test_a_raised_stop_that_disappears_is_asked_for_again_where_it_stood() -> None:
    (wanted,) = asked(gone("99", "101.97", "100.98"), SCENE)

    assert wanted.role is IntentRole.LIST
    assert wanted.sl_price == D("101.97")
    assert wanted.tp_price == D(105)


def test_the_limit_form_follows_the_price_that_stood() -> None:
    (wanted,) = asked(gone("101.97"), replace(SCENE, stop_market=False))

    assert wanted.stop_limit_price == D("100.95")


def test_a_market_at_or_below_the_stop_that_is_gone_is_sold_into() -> None:
    guard, commands = advance(gone("101.97"), replace(SCENE, bid=D("101.97")), 1000)

    assert guard.close is CloseCause.SL_CROSSED
    assert Close(qty=D(1), limit_price=D("101.97")) in commands


def test_a_stop_that_was_raised_beyond_the_target_comes_back_alone_while_no_price_is_known() -> (
    None
):
    (wanted,) = asked(gone("106"), replace(SCENE, bid=None))

    assert wanted.role is IntentRole.STOP
    assert wanted.sl_price == D(106)


@pytest.mark.parametrize(
    ("status", "qty"),
    [
        pytest.param(OrderStatus.REJECTED, "1", id="refused"),
        pytest.param(OrderStatus.PENDING_NEW, "1", id="not armed yet"),
        pytest.param(OrderStatus.CANCELED, "0", id="ended before it was armed"),
    ],
)
def test_a_stop_that_never_stood_raises_nothing(status: OrderStatus, qty: str) -> None:
    assert never_lowered(gone("101.97", status=status, qty=qty), SCENE) == SCENE


@pytest.mark.parametrize(
    ("planned", "stood", "wanted"),
    [
        pytest.param("99.1", "99.14", "99.2", id="stood between two ticks"),
        pytest.param("99.1", "99.2", "99.2", id="stood on a tick"),
        pytest.param("99.14", "99.14", "99.2", id="planned and stood before the tick changed"),
        pytest.param("99.3", "99.14", "99.3", id="planned higher"),
        pytest.param("99.14", "0", "99.14", id="never stood"),
    ],
)
def test_where_the_tick_has_become_coarser_a_stop_that_stood_goes_up_to_it(
    planned: str, stood: str, wanted: str
) -> None:
    assert kept_stop(D(planned), D(stood), COARSE) == D(wanted)


_PRICES = st.decimals("0.01", "1000", places=4)


@given(planned=_PRICES, stood=_PRICES)
def test_a_kept_stop_is_the_first_on_the_tick_that_is_not_below_what_stood(
    planned: Decimal, stood: Decimal
) -> None:
    price = kept_stop(planned, stood, COARSE)

    assert price >= max(planned, stood)
    assert price - max(planned, stood) < COARSE.tick_size
    assert price == planned or price % COARSE.tick_size == 0


@pytest.mark.parametrize(
    ("phase", "stood"),
    [
        (PositionPhase.TRAILING, "101.97"),
        (PositionPhase.UNPROTECTED, "101.97"),
        (PositionPhase.OPENING, "0"),
    ],
)
def test_a_position_of_an_earlier_process_knows_where_its_stop_stood(
    phase: PositionPhase, stood: str
) -> None:
    row = msgspec.structs.replace(position(phase=phase).position, sl_price=D("101.97"))

    holding = reopened(row, base_asset="BTC", constraints=LIMITS, booked=())

    assert holding.stood_sl == D(stood)
