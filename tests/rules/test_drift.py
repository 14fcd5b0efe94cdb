from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.codes import ReasonCode
from livespot.contracts.ids import client_order_id
from livespot.contracts.orders import Balance, OrderView, Position
from livespot.contracts.settings import ReconcileSettings
from livespot.contracts.system import ReconcileDiff
from livespot.contracts.vocabulary import OrderStatus, OrderType, PositionPhase, Side, SignalLevel
from livespot.rules import drift
from livespot.testing.ledger_rows import order, position

D = Decimal
LIMITS = ReconcileSettings()


def an_order(**changes: object) -> OrderView:
    return msgspec.structs.replace(order().order, **changes)


def a_position(**changes: object) -> Position:
    base = {"phase": PositionPhase.PROTECTED, "qty": D(2), "protected_qty": D(2)}
    return msgspec.structs.replace(position().position, **(base | changes))


def a_diff(mismatch: str = "ORDER_STATE_DRIFT", score: int = 10_000, n: int = 0) -> ReconcileDiff:
    return ReconcileDiff(
        mismatch=mismatch,
        symbol="BTCUSDT",
        subject=f"order {n}",
        before="a",
        after="b",
        score_x10000=score,
        corrected=False,
    )


def test_a_read_that_lags_behind_is_no_difference() -> None:
    ours = an_order(status=OrderStatus.FILLED, executed_qty=order().order.orig_qty)

    assert drift.order_differs(ours, an_order(status=OrderStatus.NEW)) is None


def test_more_executed_at_the_exchange_is_a_missing_fill() -> None:
    ours = an_order(status=OrderStatus.NEW, executed_qty=D(0))
    theirs = msgspec.structs.replace(ours, status=OrderStatus.FILLED, executed_qty=ours.orig_qty)

    found = drift.order_differs(ours, theirs)

    assert found is not None
    assert (found.mismatch, found.score_x10000) == (drift.MISSING_FILL, 5000)


@pytest.mark.parametrize(
    ("client_id", "score", "mismatch"),
    [
        pytest.param("web_abc", 5_000, drift.FOREIGN_ORDER, id="foreign"),
        pytest.param(
            client_order_id("oi_x"), 50_000, drift.ORDER_STATE_DRIFT, id="own-shape-without-row"
        ),
    ],
)
def test_a_stranger_counts_by_whose_it_seems_to_be(
    client_id: str, score: int, mismatch: str
) -> None:
    seen = an_order(client_order_id=client_id, orig_client_order_id="")
    found = drift.stranger(seen, begun_ms=seen.exchange_time_ms + 1)

    assert (found.score_x10000, found.mismatch) == (score, mismatch)
    assert found.reason is ReasonCode.FOREIGN_ORDER_DETECTED


@pytest.mark.parametrize(
    ("client_id", "executed", "reason"),
    [
        pytest.param(client_order_id("oi_x"), 0, ReasonCode.SECOND_INSTANCE, id="placed-now"),
        pytest.param(
            client_order_id("oi_x"), 1, ReasonCode.FOREIGN_ORDER_DETECTED, id="may-have-moved-now"
        ),
        pytest.param("web_abc", 0, ReasonCode.FOREIGN_ORDER_DETECTED, id="the-operators"),
    ],
)
def test_an_unknown_order_of_our_shape_placed_while_we_run_is_another_processs(
    client_id: str, executed: int, reason: ReasonCode
) -> None:
    seen = an_order(
        client_order_id=client_id, orig_client_order_id="", executed_qty=Decimal(executed)
    )

    assert drift.stranger(seen, begun_ms=seen.exchange_time_ms).reason is reason


def test_a_believed_stop_that_is_not_on_the_book_counts_fifty_thousand() -> None:
    sell = an_order(side=Side.SELL, type=OrderType.LIMIT_MAKER, orig_qty=D(2))
    stop = an_order(side=Side.SELL, type=OrderType.STOP_LOSS, orig_qty=D(2))

    found = drift.protection_missing(a_position(), [sell])

    assert found is not None
    assert found.score_x10000 == 50_000
    assert drift.protection_missing(a_position(), [sell, stop]) is None


@given(
    believed=st.integers(1, 100),
    stops=st.lists(
        st.tuples(st.integers(1, 100), st.integers(0, 100), st.sampled_from(OrderStatus)),
        max_size=3,
    ),
)
def test_protection_counts_for_what_standing_stops_still_cover(
    believed: int, stops: list[tuple[int, int, OrderStatus]]
) -> None:
    views = [
        an_order(
            side=Side.SELL,
            type=OrderType.STOP_LOSS_LIMIT,
            orig_qty=D(qty + sold),
            executed_qty=D(sold),
            status=status,
        )
        for qty, sold, status in stops
    ]
    standing = (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)
    covered = sum(qty for qty, _, status in stops if status in standing)

    found = drift.protection_missing(a_position(protected_qty=D(believed)), views)

    assert (found is not None) is (covered < believed)
    if found is not None:
        assert (found.before, found.after) == (str(believed), str(covered))
        assert (found.mismatch, found.score_x10000) == (drift.PROTECTION_MISSING, 50_000)


def test_base_below_the_position_by_more_than_a_step_is_a_position_difference() -> None:
    base = Balance(asset="BTC", free=D(0), locked=D("1.9"))

    found = drift.balance_differences(a_position(), base, D("0.01"))

    assert [d.score_x10000 for d in found] == [20_000, 5_000]
    assert drift.balance_differences(a_position(), base, D("0.1")) == ()


def test_a_difference_counts_only_when_it_is_read_again_unchanged_after_two_seconds() -> None:
    read = frozenset({"BTCUSDT"})
    first = drift.confirm({}, [a_diff()], 0, read=read)
    early = drift.confirm(first.suspicions, [a_diff()], 1999, read=read)
    late = drift.confirm(early.suspicions, [a_diff()], 2000, read=read)

    assert (first.confirmed, early.confirmed) == ((), ())
    assert first.unconfirmed
    assert late.confirmed == (a_diff(),)


def test_a_belief_that_moved_in_between_starts_the_wait_again() -> None:
    read = frozenset({"BTCUSDT"})
    first = drift.confirm({}, [a_diff()], 0, read=read)
    moved = msgspec.structs.replace(a_diff(), before="c")

    assert drift.confirm(first.suspicions, [moved], 3000, read=read).confirmed == ()


def test_a_difference_not_seen_again_is_forgotten_only_where_somebody_looked() -> None:
    first = drift.confirm({}, [a_diff()], 0, read=frozenset({"BTCUSDT"}))

    elsewhere = drift.confirm(first.suspicions, [], 100, read=frozenset())
    gone = drift.confirm(first.suspicions, [], 100, read=frozenset({"BTCUSDT"}))

    assert elsewhere.suspicions == first.suspicions
    assert gone.suspicions == {}


@pytest.mark.parametrize(
    ("diffs", "score"),
    [
        pytest.param([], 0, id="none"),
        pytest.param([a_diff(n=n) for n in range(9)], 40_000, id="orders-capped"),
        pytest.param(
            [a_diff(score=50_000), *(a_diff(n=n) for n in range(9))], 90_000, id="own-outside-cap"
        ),
        pytest.param(
            [a_diff("BALANCE_DRIFT", 20_000, n) for n in range(3)], 40_000, id="positions-capped"
        ),
        pytest.param(
            [a_diff("BALANCE_DRIFT", 5_000, n) for n in range(9)], 20_000, id="balances-capped"
        ),
        pytest.param([a_diff("PROTECTION_MISSING", 50_000)], 50_000, id="protection"),
    ],
)
def test_scores_add_up_within_their_caps(diffs: list[ReconcileDiff], score: int) -> None:
    assert drift.score_of(diffs) == score


@pytest.mark.parametrize(
    ("diffs", "level", "label"),
    [
        pytest.param([], SignalLevel.CLEAR, "OK", id="none"),
        pytest.param([a_diff()], SignalLevel.CLEAR, "WARN", id="one-order"),
        pytest.param([a_diff("BALANCE_DRIFT", 20_000)], SignalLevel.DEGRADE, "BAD", id="position"),
        pytest.param([a_diff(score=50_000)], SignalLevel.PAUSE, "BAD", id="own-unknown"),
        pytest.param(
            [a_diff("FOREIGN_ORDER", 5_000, n) for n in range(9)],
            SignalLevel.CLEAR,
            "BAD",
            id="foreign-alone",
        ),
    ],
)
def test_the_score_asks_for_a_mode_and_a_label(
    diffs: list[ReconcileDiff], level: SignalLevel, label: str
) -> None:
    assert drift.level_of(diffs, LIMITS) is level
    assert drift.label_of(drift.score_of(diffs), LIMITS) == label
