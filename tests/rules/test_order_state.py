"""Evidence about an order only adds, whatever order it arrives in."""

from decimal import Decimal
from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.orders import OrderView
from livespot.contracts.vocabulary import OrderStatus
from livespot.rules.order_state import cancelled_by, merge, missing_qty
from livespot.testing.ledger_rows import order

S = OrderStatus


def view(status: OrderStatus, executed: str = "0.00") -> OrderView:
    return order(status, executed).order


@given(st.permutations([(S.NEW, "0"), (S.PARTIALLY_FILLED, "5"), (S.FILLED, "20")]))
def test_scrambled_reports_end_in_the_same_state(reports: list[tuple[OrderStatus, str]]) -> None:
    known: OrderView | None = None
    for status, executed in reports:
        known = merge(known, view(status, executed)) or known

    assert known is not None
    assert (known.status, known.executed_qty) == (S.FILLED, Decimal(20))


@given(st.lists(st.tuples(st.sampled_from(list(S)), st.integers(0, 20)), min_size=2))
def test_executed_never_falls_and_terminal_is_never_left(
    reports: list[tuple[OrderStatus, int]],
) -> None:
    history = [view(reports[0][0], str(reports[0][1]))]
    for status, executed in reports[1:]:
        history.append(merge(history[-1], view(status, str(executed))) or history[-1])

    for before, after in pairwise(history):
        assert after.executed_qty >= before.executed_qty
        assert not before.status.is_terminal or after.status is before.status


def test_an_unknown_status_never_replaces_a_known_one() -> None:
    assert merge(view(S.NEW), view(S.UNKNOWN)) is None


def test_a_read_under_the_cancels_id_keeps_the_orders_own_id() -> None:
    under_cancel = msgspec.structs.replace(view(S.CANCELED), client_order_id="X_cancel")

    merged = merge(view(S.NEW), under_cancel)

    assert merged is not None
    assert (merged.own_id, cancelled_by(merged)) == ("X_a", "X_cancel")


def test_what_executed_without_fills_is_missing() -> None:
    assert missing_qty(view(S.CANCELED, "3"), Decimal(1)) == 2
