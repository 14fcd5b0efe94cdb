from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.orders import Fill
from livespot.contracts.vocabulary import ExitReason, IntentRole, PositionPhase, Side
from livespot.rules.position import (
    BookedFill,
    Cover,
    Holding,
    book,
    exit_prices,
    opened,
    position_id,
    row_of,
)
from livespot.testing.market_values import some_constraints
from livespot.testing.risk_values import an_entry

D = Decimal
LIMITS = some_constraints(tick_size=D("0.01"), price_decimals=2)


def empty() -> Holding:
    decision = an_entry()
    holding = opened(decision, entry_intent_id="oi_e", base_asset="SOL", constraints=LIMITS)
    return replace(holding, tp_bps=200, sl_bps=100)


def fill(
    trade_id: int, side: Side, price: str, qty: str, *, fee: str = "0", asset: str = "USDT"
) -> BookedFill:
    made = Fill(
        symbol="SOLUSDT",
        trade_id=trade_id,
        order_id=10 if side is Side.BUY else 20,
        client_order_id="",
        side=side,
        price=D(price),
        qty=D(qty),
        commission=D(fee),
        commission_asset=asset,
        is_maker=True,
        exchange_time_ms=trade_id,
        local_received_ms=trade_id,
    )
    role = IntentRole.ENTRY if side is Side.BUY else IntentRole.TP
    quote = D(fee) * D(price) if asset == "SOL" else D(fee)
    return BookedFill(fill=made, role=role, fee_quote=quote, fee_unpriced=False)


def test_a_base_fee_shrinks_the_position_and_a_quote_fee_does_not() -> None:
    in_base = book(empty(), fill(1, Side.BUY, "100", "2", fee="0.002", asset="SOL"))
    in_quote = book(empty(), fill(1, Side.BUY, "100", "2", fee="0.2"))

    assert in_base.lot.qty == D("1.998")
    assert in_quote.lot.qty == D(2)


def test_a_trade_counts_once_however_often_it_is_told() -> None:
    once = book(empty(), fill(1, Side.BUY, "100", "2"))

    assert book(once, fill(1, Side.BUY, "100", "2")) is once


def test_exits_follow_the_average_fill_price_floored_to_the_tick() -> None:
    holding = book(empty(), fill(1, Side.BUY, "100.00", "1"))
    holding = book(holding, fill(2, Side.BUY, "100.33", "2"))

    tp_price, sl_price = exit_prices(holding)

    assert (tp_price, sl_price) == (D("102.22"), D("99.21"))


def test_an_attached_exit_keeps_the_prices_of_its_plan() -> None:
    holding = replace(empty(), attached=True, planned_tp=D(105), planned_sl=D(95))
    holding = book(holding, fill(1, Side.BUY, "100", "1"))

    assert exit_prices(holding) == (D(105), D(95))


def test_fills_are_missing_until_they_add_up_to_what_the_entry_reported() -> None:
    holding = replace(empty(), entry_open=False, entry_filled_qty=D(2))
    part = book(holding, fill(1, Side.BUY, "100", "1"))

    assert part.fills_missing
    assert not book(part, fill(2, Side.BUY, "100", "1")).fills_missing


def test_the_row_of_a_closed_position_names_its_residue_and_its_profit() -> None:
    holding = book(empty(), fill(1, Side.BUY, "100", "2", fee="0.002", asset="SOL"))
    holding = book(holding, fill(2, Side.SELL, "102", "1.99"))
    cover = Cover(phase=PositionPhase.DUST, exit_reason=ExitReason.TAKE_PROFIT)

    row = row_of(holding, cover, sellable=D(0), at_ms=9)

    assert (row.dust_qty, row.closed_at_ms) == (D("0.008"), 9)
    assert row.realised_quote > 0
    assert row.position_id == position_id(holding.decision_id)


@given(
    trades=st.lists(
        st.tuples(st.integers(1, 6), st.sampled_from([Side.BUY, Side.SELL]), st.integers(1, 9)),
        max_size=20,
    )
)
def test_the_position_is_the_sum_of_its_distinct_fills_in_any_order_of_repetition(
    trades: list[tuple[int, Side, int]],
) -> None:
    buys = {i: qty for i, side, qty in trades if side is Side.BUY}
    once = empty()
    for trade_id, qty in buys.items():
        once = book(once, fill(trade_id, Side.BUY, "100", str(qty)))
    often = empty()
    for trade_id, qty in [*buys.items(), *reversed(buys.items()), *buys.items()]:
        often = book(often, fill(trade_id, Side.BUY, "100", str(qty)))

    assert often.lot == once.lot
    assert once.lot.qty == sum(buys.values())
