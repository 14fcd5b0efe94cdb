"""The sums of a UTC day: exact, on the day's side of midnight, and due when the day is over."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.day import DayRows, ModeStep, RunSpan
from livespot.contracts.orders import Position
from livespot.contracts.queries import StoredFill
from livespot.contracts.vocabulary import PositionPhase, Side
from livespot.rules.day_summary import (
    DAY_MS,
    LATE_MS,
    day_of,
    days_due,
    next_close_ms,
    span_of,
    summarise,
)
from livespot.testing.ledger_rows import NOW_MS, fill, position

DAY = "2026-01-01"
D = Decimal
_EMPTY = DayRows(fills=(), closed=(), open=(), dust=(), runs=(), modes=(), alerts={})


def _rows(**rows: Any) -> DayRows:
    return msgspec.structs.replace(_EMPTY, **rows)


def _fill(side: Side, qty: Decimal, price: Decimal, fee: Decimal, asset: str) -> StoredFill:
    row = fill()
    traded = msgspec.structs.replace(
        row.fill, side=side, qty=qty, price=price, commission=fee, commission_asset=asset
    )
    return StoredFill(
        fill=traded, order_intent_id="oi", decision_id="d", fee_quote=fee, fee_unpriced=False
    )


def _closed(realised: str, unprotected_ms: int = 0) -> Position:
    return msgspec.structs.replace(
        position(phase=PositionPhase.FLAT).position,
        realised_quote=D(realised),
        unprotected_ms=unprotected_ms,
    )


_AMOUNTS = st.decimals("0.00000001", "999999", places=8)
_FILLS = st.lists(
    st.builds(
        _fill,
        st.sampled_from(Side),
        _AMOUNTS,
        _AMOUNTS,
        _AMOUNTS,
        st.sampled_from(["BTC", "USDT", "BNB"]),
    ),
    max_size=30,
)


@given(_FILLS)
def test_what_was_paid_received_and_taken_as_fees_is_exact(fills: list[StoredFill]) -> None:
    summary = summarise(DAY, _rows(fills=tuple(fills)), now_ms=NOW_MS)

    def flow(side: Side) -> Fraction:
        mine = [f.fill for f in fills if f.fill.side is side]
        return sum((Fraction(fill.qty) * Fraction(fill.price) for fill in mine), Fraction())

    assert summary.fills == len(fills)
    assert Fraction(summary.paid) == flow(Side.BUY)
    assert Fraction(summary.received) == flow(Side.SELL)
    assert sum(map(Fraction, summary.fees.values())) == sum(
        Fraction(f.fill.commission) for f in fills
    )


def test_trades_are_counted_by_what_they_earned() -> None:
    closed = (_closed("1.5", 10), _closed("-2.25", 4), _closed("0", 1))

    summary = summarise(DAY, _rows(closed=closed), now_ms=NOW_MS)

    assert (summary.trades, summary.wins, summary.losses) == (3, 1, 1)
    assert summary.realised == D("-0.75")
    assert (summary.unprotected_max_ms, summary.unprotected_p99_ms) == (10, 10)
    assert summary.unprotected_total_ms == 15


def test_a_day_on_which_nothing_was_closed_has_no_worst_time_without_a_stop() -> None:
    summary = summarise(DAY, _EMPTY, now_ms=NOW_MS)

    assert (summary.unprotected_max_ms, summary.unprotected_p99_ms) == (None, None)


def test_dust_is_told_by_symbol_and_what_is_held_beside_it() -> None:
    crumbs = tuple(
        msgspec.structs.replace(position(f"p{n}").position, dust_qty=D("0.001")) for n in range(2)
    )

    summary = summarise(DAY, _rows(dust=crumbs, open=(position().position,)), now_ms=NOW_MS)

    assert summary.dust == {"BTCUSDT": D("0.002")}
    assert summary.held == ("BTCUSDT",)


def test_time_in_a_mode_counts_on_both_sides_of_midnight_and_ends_with_its_run() -> None:
    begin_ms, end_ms = span_of(DAY)
    runs = (
        RunSpan(run_id="a", from_ms=begin_ms - 5000, until_ms=begin_ms + 7000, clean=False),
        RunSpan(
            run_id="died at once", from_ms=begin_ms + 8000, until_ms=begin_ms + 8000, clean=False
        ),
        RunSpan(run_id="b", from_ms=begin_ms + 10_000, until_ms=end_ms + 9000, clean=True),
    )
    modes = (
        ModeStep(run_id="a", mode="DEGRADE", at_ms=begin_ms - 5000),
        ModeStep(run_id="a", mode="NORMAL", at_ms=begin_ms + 3000),
        ModeStep(run_id="b", mode="DEGRADE", at_ms=begin_ms + 10_000),
        ModeStep(run_id="b", mode="NORMAL", at_ms=begin_ms + 11_000),
        ModeStep(run_id="b", mode="PAUSE", at_ms=end_ms + 1),
    )

    summary = summarise(DAY, _rows(runs=runs, modes=modes), now_ms=end_ms + LATE_MS)

    assert summary.modes_ms == {"DEGRADE": 4000, "NORMAL": 4000 + DAY_MS - 11_000}
    assert (summary.runs, summary.unclean_runs) == (3, 2)


@pytest.mark.parametrize(
    ("late_ms", "complete"), [(-1, False), (LATE_MS - 1, False), (LATE_MS, True)]
)
def test_a_day_is_complete_once_late_reports_had_their_time(late_ms: int, complete: bool) -> None:
    end_ms = span_of(DAY)[1]

    summary = summarise(DAY, _EMPTY, now_ms=end_ms + late_ms)

    assert summary.complete is complete
    assert summary.until_ms == min(end_ms, end_ms + late_ms)


def test_days_that_nobody_saw_end_are_due_and_an_incomplete_one_again() -> None:
    now_ms = span_of("2026-01-04")[0] + 1

    assert days_due(("2026-01-01",), 0, now_ms) == ("2026-01-02", "2026-01-03")
    assert days_due(("2026-01-01", "2026-01-02"), 0, now_ms) == ("2026-01-03",)
    assert days_due(("2026-01-03",), 0, now_ms + LATE_MS) == ()
    assert days_due((), span_of("2026-01-02")[0], now_ms) == ("2026-01-02", "2026-01-03")
    assert days_due((), None, now_ms) == ()


def test_a_summary_that_cannot_be_final_yet_keeps_no_day_from_being_due() -> None:
    now_ms = span_of("2026-01-04")[0] + LATE_MS

    assert days_due(("2026-01-02", "2026-01-04", "2026-01-09"), 0, now_ms) == ("2026-01-03",)
    assert days_due(("2026-01-02", "2026-01-03"), 0, now_ms - 1) == ("2026-01-03",)


@given(st.integers(0, 4_000_000_000_000))
def test_the_next_day_is_closed_within_a_day_and_never_before_it_is_complete(now_ms: int) -> None:
    due_ms = next_close_ms(now_ms)

    assert now_ms < due_ms <= now_ms + DAY_MS
    assert (due_ms - LATE_MS) % DAY_MS == 0
    assert span_of(day_of(now_ms))[0] <= now_ms < span_of(day_of(now_ms))[1]
