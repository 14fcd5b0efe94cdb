"""Requests are exact functions of their plan: forms, quantities and ids."""

from decimal import Decimal
from typing import Any

import pytest

from livespot.contracts import ids
from livespot.contracts.orders import CancelRequest, ListRequest, OrderRequest
from livespot.contracts.settings import ExitSettings
from livespot.contracts.vocabulary import IntentRole, ListKind, OrderType, TimeInForce
from livespot.rules.exit_requests import (
    SellDraft,
    cancel_mutation,
    check_sells,
    close_mutation,
    oco_mutation,
    stop_mutation,
)
from livespot.rules.quantize import OrderRefused
from livespot.rules.requests import (
    EntryDraft,
    Mutation,
    StopPrices,
    entry_mutation,
    request_of,
)
from livespot.rules.trailing import resting
from livespot.testing.execution_bench import a_decision
from livespot.testing.ledger_rows import intent
from livespot.testing.market_values import NOW_MS, a_symbol, some_constraints

TYPES = ("LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT")
ENTRY = "oi_entry"


def draft(order_type: OrderType = OrderType.LIMIT_MAKER, **symbol: Any) -> EntryDraft:
    return EntryDraft(
        intent_id=ENTRY,
        decision=a_decision(),
        qty=Decimal("1.000"),
        attempt=0,
        order_type=order_type,
        info=a_symbol(**{"order_types": TYPES, **symbol}),
        base_fee_bps=10,
        recv_window_ms=1500,
        now_ms=NOW_MS,
    )


def built(order_type: OrderType = OrderType.LIMIT_MAKER, **symbol: Any) -> Mutation:
    mutation = entry_mutation(draft(order_type, **symbol), ExitSettings())
    assert isinstance(mutation, Mutation)
    return mutation


def sell() -> SellDraft:
    return SellDraft(
        decision_id="dec_1",
        parent_intent_id=ENTRY,
        symbol="SOLUSDT",
        qty=Decimal("0.999"),
        attempt=1,
        recv_window_ms=5000,
        now_ms=NOW_MS,
    )


def test_an_opoco_leaves_the_pending_quantity_to_the_exchange() -> None:
    request = built().request

    assert isinstance(request, ListRequest)
    assert request.kind is ListKind.OPOCO
    assert request.qty is None
    assert request.working is not None
    assert request.working.type is OrderType.LIMIT_MAKER
    assert (request.above.type, request.below.type) == (
        OrderType.LIMIT_MAKER,
        OrderType.STOP_LOSS,
    )


def test_an_otoco_sells_what_is_left_after_the_fee_floored_to_step() -> None:
    request = built(opo_allowed=False).request

    assert isinstance(request, ListRequest)
    assert request.kind is ListKind.OTOCO
    assert request.qty == Decimal("0.999")


@pytest.mark.parametrize("missing", ["oco_allowed", "both"])
def test_where_no_list_is_allowed_the_entry_goes_alone(missing: str) -> None:
    flags: dict[str, Any] = (
        {"oco_allowed": False}
        if missing == "oco_allowed"
        else {"opo_allowed": False, "oto_allowed": False}
    )
    assert isinstance(built(**flags).request, OrderRequest)


def test_a_limit_only_stop_gets_its_limit_below_the_trigger() -> None:
    request = built(order_types=("LIMIT_MAKER", "STOP_LOSS_LIMIT")).request

    assert isinstance(request, ListRequest)
    below = request.below
    assert below.type is OrderType.STOP_LOSS_LIMIT
    assert below.price is not None
    assert below.stop_price is not None
    assert below.price < below.stop_price
    assert below.price % Decimal("0.01") == 0


def test_a_symbol_without_any_stop_is_refused_before_it_becomes_an_intent() -> None:
    outcome = entry_mutation(draft(order_types=("LIMIT_MAKER",)), ExitSettings())

    assert isinstance(outcome, OrderRefused)


def test_fallbacks_are_plain_and_immediate() -> None:
    limit, market = built(OrderType.LIMIT).request, built(OrderType.MARKET).request

    assert isinstance(limit, OrderRequest)
    assert isinstance(market, OrderRequest)
    assert limit.time_in_force is TimeInForce.IOC
    assert (market.price, market.time_in_force) == (None, None)


def test_every_leg_of_a_list_is_an_alias_of_its_intent() -> None:
    mutation = built()
    request = mutation.request

    assert isinstance(request, ListRequest)
    assert request.working is not None
    assert {a.client_order_id for a in mutation.aliases} == {
        request.list_client_order_id,
        request.working.client_order_id,
        request.above.client_order_id,
        request.below.client_order_id,
    }
    assert {a.order_intent_id for a in mutation.aliases} == {ENTRY}
    assert request.working.client_order_id == ids.client_order_id(ENTRY)


def test_equal_plans_give_equal_bytes() -> None:
    assert built() == built()
    assert built().intent.payload == built().intent.payload


def test_the_payload_gives_the_request_back() -> None:
    for mutation in (built(), built(OrderType.LIMIT), cancel()):
        assert request_of(mutation.intent.payload) == mutation.request


def test_protection_never_shares_an_id_with_the_legs_that_went_with_the_entry() -> None:
    prices = StopPrices(trigger_price=Decimal("98.00"))
    oco = oco_mutation(sell(), above=resting(Decimal("102.00")), stop=prices)
    others = (stop_mutation(sell(), stop=prices), close_mutation(sell(), limit_price=None))

    seen = [a.client_order_id for m in (built(), oco, *others) for a in m.aliases]

    assert len(seen) == len(set(seen))


def test_a_close_is_an_immediate_limit_or_a_market_order() -> None:
    limit = close_mutation(sell(), limit_price=Decimal("99.00")).request
    market = close_mutation(sell(), limit_price=None).request

    assert isinstance(limit, OrderRequest)
    assert isinstance(market, OrderRequest)
    assert (limit.type, limit.time_in_force) == (OrderType.LIMIT, TimeInForce.IOC)
    assert market.type is OrderType.MARKET


def cancel(order_id: int = 7) -> Mutation:
    return cancel_mutation(
        intent(), order_id=order_id, orig_client_order_id="X_a", only_new=True, attempt=1, now_ms=1
    )


def test_a_cancel_names_the_order_and_leaves_its_id_with_the_target() -> None:
    mutation = cancel()

    assert isinstance(mutation.request, CancelRequest)
    assert (mutation.request.order_id, mutation.request.orig_client_order_id) == (7, None)
    (alias,) = mutation.aliases
    assert (alias.order_intent_id, alias.role) == ("oi_a", IntentRole.CANCEL)
    assert alias.client_order_id == mutation.intent.client_order_id


def test_a_cancel_without_an_exchange_id_uses_the_client_id() -> None:
    request = cancel(order_id=0).request

    assert isinstance(request, CancelRequest)
    assert request.orig_client_order_id == "X_a"


def test_a_protection_below_the_minimum_is_stopped_by_our_own_quantizer() -> None:
    dear = some_constraints(min_notional=Decimal(500))
    stop = stop_mutation(sell(), stop=StopPrices(trigger_price=Decimal("98.00")))

    refusal = check_sells(stop, dear)

    assert refusal is not None
    assert refusal.filter_name == "NOTIONAL"
