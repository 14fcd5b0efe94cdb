"""Positions without a stop are measured by the exchange's journal, and held to their limits."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import ExitCode
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import Severity
from livespot.exchange.journal import FillRow, ModeRow, OrderRow, Row
from livespot.testing.search.bare import (
    Measured,
    measure,
    told,
    with_one_fault,
    without_fault,
)
from livespot.testing.search.bare_positions import Bare, percentile, positions_of
from livespot.testing.search.fault_kinds import KINDS
from livespot.testing.search.staged_market import least_order
from livespot.testing.search.trouble_kinds import TROUBLE_KINDS
from livespot.testing.search.witness import Witness

_BARE = Bare(
    seed=1,
    symbol="SOLUSDT",
    begin_ms=1000,
    complete=True,
    bare_ms=40,
    longest_ms=40,
    said=True,
    lived=True,
)
_PARTIAL = changed(_BARE, complete=False, bare_ms=1600, longest_ms=1600)


def _without_stops(witness: Witness) -> Witness:
    def kept(row: Row) -> Row:
        stop = isinstance(row, OrderRow) and row.type.startswith("STOP")
        return ModeRow(t_ms=0, fault="none") if stop else row

    return replace(witness, rows=tuple(kept(row) for row in witness.rows))


def _run(*positions: Bare, fault: str = "") -> Measured:
    return Measured(seed=1, fault=fault, hit=bool(fault), positions=positions, violations=())


def test_a_protected_position_is_bare_for_as_long_as_its_stop_took(witness: Witness) -> None:
    (position,) = positions_of(witness)

    fills = [row for row in witness.rows if isinstance(row, FillRow) and row.side == "BUY"]
    assert position.begin_ms == fills[0].t_ms
    assert position.complete is (len(fills) == 1)
    assert position.longest_ms <= position.bare_ms < 1000
    assert not position.is_late


def test_a_position_whose_stop_never_came_is_bare_to_the_end_and_late(witness: Witness) -> None:
    (position,) = positions_of(_without_stops(witness))

    assert position.longest_ms == witness.lives[-1].over_ms - position.begin_ms
    assert position.is_late
    assert position.lived


def _disk_full(
    witness: Witness, *, ends_ms: int, again_ms: int, cover_ms: int, word: Severity
) -> Witness:
    """The process ended so long after the fill, another one began, and covered it at last."""
    place, fill = next(
        (place, row)
        for place, row in enumerate(_without_stops(witness).rows, 1)
        if isinstance(row, FillRow) and row.side == "BUY"
    )
    stop = next(
        row for row in witness.rows if isinstance(row, OrderRow) and row.type.startswith("STOP")
    )
    over_ms, born_ms = fill.t_ms + ends_ms, fill.t_ms + again_ms
    lives = (
        replace(witness.lives[0], over_ms=over_ms, code=ExitCode.AUDIT_UNWRITABLE),
        replace(witness.lives[-1], born_ms=born_ms),
    )
    alert = Alert(
        severity=word,
        code=ReasonCode.AUDIT_WRITE_FAILED,
        reasons=(),
        text="nothing can be written",
        at_ms=over_ms,
    )
    covered = changed(stop, qty=fill.qty, status="NEW", t_new=born_ms + cover_ms, t_end=0)
    rows = (*_without_stops(witness).rows[:place], covered)
    return replace(witness, rows=rows, offsets=(0,) * len(rows), lives=lives, announced=(alert,))


def test_a_process_that_cannot_write_ends_and_its_position_waits_for_the_next_one(
    witness: Witness,
) -> None:
    (position,) = positions_of(
        _disk_full(witness, ends_ms=50, again_ms=8000, cover_ms=60, word=Severity.CRIT)
    )

    assert position.longest_ms == 8060
    assert position.unwritable
    assert not position.lived
    assert not position.is_late


@pytest.mark.parametrize(
    ("ends_ms", "cover_ms", "word"),
    [(50, 60, Severity.WARN), (5001, 60, Severity.CRIT), (50, 5001, Severity.CRIT)],
)
def test_a_full_disk_excuses_only_who_says_so_in_time_and_protects_soon_after(
    witness: Witness, ends_ms: int, cover_ms: int, word: Severity
) -> None:
    (position,) = positions_of(
        _disk_full(witness, ends_ms=ends_ms, again_ms=8000, cover_ms=cover_ms, word=word)
    )

    assert position.is_late


def test_an_entry_filled_in_pieces_is_not_complete(witness: Witness) -> None:
    def halved(row: Row) -> list[Row]:
        if not isinstance(row, FillRow) or row.side != "BUY":
            return [row]
        return [changed(row, qty=row.qty / 2), changed(row, qty=row.qty / 2, tid=row.tid + 10**6)]

    rows = tuple(part for row in witness.rows for part in halved(row))
    pieces = replace(witness, rows=rows, offsets=(0,) * len(rows))

    (position,) = positions_of(pieces)
    assert not position.complete


def test_a_position_that_was_sold_ends_and_the_next_one_is_another(witness: Witness) -> None:
    bought = next(row for row in witness.rows if isinstance(row, FillRow) and row.side == "BUY")
    sold = changed(bought, side="SELL", t_ms=bought.t_ms + 5000, tid=1, fee=Decimal(0))
    again = changed(bought, t_ms=bought.t_ms + 9000, tid=2)
    rows = (*witness.rows, sold, again)

    found = [*positions_of(replace(witness, rows=rows, offsets=(0,) * len(rows)))]
    assert [position.begin_ms for position in found] == [bought.t_ms, bought.t_ms + 9000]


def test_a_stop_that_sells_in_pieces_covers_what_it_has_not_sold_yet(witness: Witness) -> None:
    orders = [row for row in witness.rows if isinstance(row, OrderRow)]
    stop = [row for row in orders if row.type.startswith("STOP")][-1]
    bought = next(row for row in witness.rows if isinstance(row, FillRow) and row.side == "BUY")
    at_ms, part = stop.t_new + 20_000, (stop.qty / 2).quantize(Decimal("0.001"))
    # An order's row comes before that of its fill, and an open order's tells when it was placed.
    begun = changed(stop, exec=part, status="PARTIALLY_FILLED")
    ended = changed(stop, exec=stop.qty, status="FILLED", t_end=at_ms + 3000)
    sold = changed(
        bought, oid=stop.oid, cid=stop.cid, side="SELL", fee=Decimal(0), qty=part, t_ms=at_ms
    )
    rest = changed(sold, qty=stop.qty - part, t_ms=at_ms + 3000)
    rows = (*witness.rows, begun, sold, ended, rest)

    (before,) = positions_of(witness)
    (position,) = positions_of(replace(witness, rows=rows, offsets=(0,) * len(rows)))
    assert position.bare_ms == before.bare_ms


def _bought(witness: Witness, *parts: tuple[int, Decimal], entry: str) -> Witness:
    """The entry order bought this much at these times after it was made, and nothing protects it.

    `entry` is the order's state at the end.
    """
    orders = [row for row in witness.rows if isinstance(row, OrderRow) and row.side == "BUY"]
    fill = next(row for row in witness.rows if isinstance(row, FillRow) and row.side == "BUY")
    (order,) = {row.oid: row for row in orders if row.oid == fill.oid}.values()
    fills = [
        changed(
            fill,
            t_ms=order.t_new + after_ms,
            qty=(quote / fill.px).quantize(Decimal("0.001")),
            fee=Decimal(0),
            tid=tid,
        )
        for tid, (after_ms, quote) in enumerate(parts, 10**6)
    ]
    stands = changed(order, status="PARTIALLY_FILLED", t_end=0)
    ended = changed(order, status=entry, t_end=fills[-1].t_ms + 1000 if entry != "NEW" else 0)
    return replace(witness, rows=(stands, *fills, ended), offsets=(0,) * (len(fills) + 2))


def test_what_no_stop_is_accepted_for_is_told_apart_while_the_entry_works(witness: Witness) -> None:
    (position,) = positions_of(
        _bought(witness, (0, Decimal(3)), (700, Decimal(20)), entry="CANCELED")
    )

    assert position.growing_ms == 700
    assert position.bare_ms == witness.lives[-1].over_ms - position.begin_ms - 700
    assert not position.tiny


def test_each_symbol_has_its_own_smallest_order(witness: Witness) -> None:
    """Eight are enough for a stop on one symbol, and not on another that asks for ten."""
    bought = _bought(witness, (0, Decimal(8)), (900, Decimal(20)), entry="CANCELED")
    rows = tuple(
        changed(row, sym="ETHUSDT") if isinstance(row, OrderRow | FillRow) else row
        for row in bought.rows
    )

    (here,) = positions_of(bought)
    (there,) = positions_of(replace(bought, rows=rows))
    assert least_order("ETHUSDT") == 2 * least_order("SOLUSDT")
    assert (here.symbol, here.growing_ms) == ("SOLUSDT", 0)
    assert (there.growing_ms, here.bare_ms - there.bare_ms) == (900, 900)


def test_what_was_never_worth_the_smallest_order_is_no_position_of_the_figures(
    witness: Witness, capsys: pytest.CaptureFixture[str]
) -> None:
    (position,) = positions_of(_bought(witness, (0, Decimal(3)), entry="CANCELED"))

    assert position.tiny
    assert position.bare_ms == 0
    assert [*told([_run(position)], single=True)] == [
        "no position with complete fills was seen",
        "no position with partial fills was seen",
    ]
    assert "1 more never came to be worth the smallest order" in capsys.readouterr().out


def test_dust_of_an_entry_that_was_given_up_is_no_part_of_the_next_position(
    witness: Witness,
) -> None:
    alone = _bought(witness, (0, Decimal(3)), entry="CANCELED")
    whole = _bought(witness, (30_000, Decimal(50)), entry="FILLED")
    later = [
        changed(row, oid=10**6) if isinstance(row, OrderRow | FillRow) else row
        for row in whole.rows
    ]
    rows = (*alone.rows, *later)

    dust, position = positions_of(replace(witness, rows=rows, offsets=(0,) * len(rows)))
    assert dust.tiny
    assert position.begin_ms == dust.begin_ms + 30_000
    assert not position.tiny


def test_figures_within_their_limits_are_printed_and_no_problem(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert [*told([_run(_BARE, _PARTIAL)], single=False)] == []
    assert "p99 40 ms" in capsys.readouterr().out


def test_each_figure_over_its_limit_is_a_problem() -> None:
    slow = changed(_BARE, bare_ms=1200, longest_ms=1200)
    partial = changed(_PARTIAL, bare_ms=3500, longest_ms=3500)
    late = changed(_PARTIAL, bare_ms=6000, longest_ms=6000)

    assert [*told([_run(slow, _PARTIAL)], single=False)] == [
        "complete fills: p99 1200 ms, limit 1000 ms"
    ]
    assert "limit 3000 ms" in next(iter(told([_run(_BARE, partial)], single=False)))
    assert [*told([_run(slow, partial)], single=True)] == []
    assert len([*told([_run(_BARE, late)], single=False)]) == 2
    assert [*told([], single=False)] == [
        "no position with complete fills was seen",
        "no position with partial fills was seen",
    ]


def test_under_a_fault_the_limit_is_five_seconds_or_a_pause_that_is_told() -> None:
    told_of = changed(_PARTIAL, bare_ms=9000, longest_ms=9000)
    silent = changed(told_of, said=False, lived=False)

    assert [*told([_run(_BARE, told_of, fault="banned")], single=True)] == []
    (problem,) = told([_run(_BARE, silent, fault="banned")], single=True)
    assert "banned" in problem
    assert "its process ended meanwhile" in problem


def test_a_position_that_a_full_disk_left_bare_is_told_and_is_no_problem(
    capsys: pytest.CaptureFixture[str],
) -> None:
    full = changed(
        _PARTIAL, bare_ms=9000, longest_ms=9000, said=False, lived=False, unwritable=True
    )

    assert [*told([_run(_BARE, full, fault="disk-full")], single=True)] == []
    assert "nothing could be written, and an alert said so" in capsys.readouterr().out


def test_plans_have_no_fault_or_just_one_and_every_kind_has_its_turn() -> None:
    kinds = (*KINDS, *TROUBLE_KINDS)
    single = [with_one_fault(seed) for seed in range(len(kinds))]

    assert [plan.mishaps[0][0] for plan in single] == list(kinds)
    assert all(len(plan.mishaps) == 1 and not plan.deaths for plan in single)
    quiet = without_fault(3)
    assert not quiet.mishaps
    assert not quiet.deaths
    assert quiet.stage == with_one_fault(3).stage


def test_a_run_without_fault_holds_every_check() -> None:
    run = measure("bare", 4)

    assert run.violations == ()
    assert not run.hit


@given(st.lists(st.integers(0, 1000), min_size=1))
def test_a_percentile_is_one_of_the_values_and_as_many_are_not_above_it(values: list[int]) -> None:
    found = percentile(values, 99)

    assert found in values
    assert sum(value <= found for value in values) * 100 >= 99 * len(values)
    assert percentile(values, 100) == max(values)
