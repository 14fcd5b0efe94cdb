"""Whole runs in which a profit trails or an entry is repriced, on the embedded exchange."""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest

from livespot.evidence.rows import PositionFact
from livespot.exchange.faults.plan import (
    AcceptThen,
    Delay,
    DropResponse,
    Fault,
    MassExpire,
    Match,
    Reply,
    Verb,
    When,
)
from livespot.exchange.journal import FillRow, OrderRow, RequestRow
from livespot.panel.database import opened
from livespot.panel.market_queries import market
from livespot.panel.tabs import LevelView
from livespot.testing.search.plan import RunPlan, order_of
from livespot.testing.search.protection_checks import gaps
from livespot.testing.search.running import Outcome, market_for, run_order
from livespot.testing.search.stage import Leg, StagedSymbol, StagePlan
from livespot.testing.search.witness import Witness

pytestmark = pytest.mark.slow

_SYMBOL = "SOLUSDT"
_START_MS = 19_900 * 86_400_000 + 3 * 7_200_000 + 5_000
_STANDARD = {"top_quote": 2000, "print_quote": 2000}
# The queue at the best price is long and little is traded: an order there waits.
_QUIET = {"top_quote": 20_000, "print_quote": 50}
# The entry is filled at about 66 s; from 90 s on the price rises by 4.2 %, then falls by 2 %.
_RISE = (
    Leg(ms=66_000, bps=0),
    Leg(ms=4000, bps=-6),
    Leg(ms=20_000, bps=0),
    Leg(ms=40_000, bps=420),
    Leg(ms=20_000, bps=0),
    Leg(ms=30_000, bps=-200),
    Leg(ms=10_000, bps=0),
)
# The first swap is due at 103.0 s; half a second later the price is below the stop it asks for.
_FALL = (*_RISE[:3], Leg(ms=13_000, bps=140), Leg(ms=600, bps=-150), Leg(ms=20_000, bps=0))
# The price leaves the entry behind until its reprice at 95.1 s, and then comes back.
_AWAY = (Leg(ms=65_500, bps=0), Leg(ms=300, bps=4), Leg(ms=24_000, bps=6))
_BACK = (*_AWAY, Leg(ms=5500, bps=0), Leg(ms=3000, bps=-14), Leg(ms=20_000, bps=0))
# It comes back half way between the attempts, so that the second would take from the book.
_HALF_BACK = (
    *_AWAY,
    Leg(ms=5500, bps=0),
    Leg(ms=400, bps=-6),
    Leg(ms=20_000, bps=0),
    Leg(ms=3000, bps=-10),
    Leg(ms=20_000, bps=0),
)
# The exchange did nothing, but answers as if the first half had been done.
_GONE_AND_REFUSED = {
    "code": -2021,
    "msg": "Order cancel-replace partially failed.",
    "data": {
        "cancelResult": "SUCCESS",
        "newOrderResult": "FAILURE",
        "cancelResponse": {
            "symbol": _SYMBOL,
            "origClientOrderId": "given by its list",
            "orderId": 2,
            "orderListId": 0,
            "clientOrderId": "given by the cancel",
            "transactTime": _START_MS + 103_031,
            "price": "0.00",
            "origQty": "1.374",
            "executedQty": "0.000",
            "cummulativeQuoteQty": "0.00",
            "status": "CANCELED",
            "timeInForce": "GTC",
            "type": "STOP_LOSS",
            "side": "SELL",
            "stopPrice": "142.99",
        },
        "newOrderResponse": {"code": -2010, "msg": "Account has insufficient balance."},
    },
}
_REPLACES = Match(method="POST", path="/api/v3/order/cancelReplace")


@dataclass(frozen=True, kw_only=True)
class Played:
    """What one run showed."""

    outcome: Outcome
    witness: Witness
    database: Path

    @property
    def orders(self) -> list[OrderRow]:
        return [row for row in self.witness.rows if isinstance(row, OrderRow)]

    @property
    def position(self) -> PositionFact:
        (only,) = self.witness.facts.positions
        return only

    @property
    def longest_gap_ms(self) -> int:
        """Without a stop on the exchange, from the entry's fill to the exit."""
        return max((gap.end_ms - gap.begin_ms for gap in gaps(self.witness)), default=0)

    def changes(self) -> list[dict[str, Any]]:
        """What the audit says of each change of the position or of its protection."""
        sql = (
            "SELECT data FROM audit_events WHERE event_type IN ('POSITION_CHANGED', "
            "'PROTECTION_CHANGED') ORDER BY id"
        )
        with closing(sqlite3.connect(self.database)) as database:
            return [json.loads(text) for (text,) in database.execute(sql)]

    def replaced(self) -> list[str]:
        """Outcomes of the cancel-replace requests that reached the exchange."""
        rows = (row for row in self.witness.rows if isinstance(row, RequestRow))
        return [row.outcome for row in rows if row.path.endswith("cancelReplace")]

    def stops(self) -> list[OrderRow]:
        """The single stops that a swap placed, in their order."""
        found = {
            row.oid: row
            for row in self.orders
            if row.type.startswith("STOP_LOSS") and not row.list_cid and row.status == "NEW"
        }
        return list(found.values())

    def price_of(self, order: OrderRow) -> Decimal:
        """What its one fill paid."""
        rows = (row for row in self.witness.rows if isinstance(row, FillRow))
        (only,) = [row.px for row in rows if row.cid == order.cid]
        return only

    def sold(self) -> list[OrderRow]:
        return [row for row in self.orders if row.side == "SELL" and row.status == "FILLED"]


def played(
    directory: Path,
    legs: tuple[Leg, ...],
    settings: Mapping[str, str | int],
    *faults: Fault,
    swap_proven: bool = False,
    plain_stops: bool = True,
    depth: Mapping[str, Any] = _STANDARD,
) -> Played:
    """Run a plan on one rising symbol; nothing is judged yet."""
    staged = StagedSymbol(
        symbol=_SYMBOL,
        shape="rising",
        variant=4,
        plain_stops=plain_stops,
        below_bps=40,
        noise_x100=0,
        buyers_percent=70,
        print_ms=700,
        legs=legs,
        **depth,
    )
    story_ms = sum(leg.ms for leg in legs)
    plan = RunPlan(
        seed=7,
        start_ms=_START_MS,
        safety_ms=story_ms,
        liveness_ms=45_000,
        settle_ms=12_000,
        symbols=(_SYMBOL,),
        stage=StagePlan(seed=7, end_ms=story_ms + 120_000, symbols=(staged,)),
        settings=dict(settings),
        faults=faults,
        swap_proven=swap_proven,
    )
    directory.mkdir(parents=True, exist_ok=True)
    order = order_of(plan, directory, market_for(plan))
    outcome, witness = run_order(plan, order)
    assert witness is not None, outcome.violations
    return Played(outcome=outcome, witness=witness, database=order.paths.database)


def _once(verb: Verb) -> Fault:
    """It hits the first cancel-replace."""
    return Fault(id="first", what=verb, match=_REPLACES, when=When(nth=1, count=1))


@pytest.mark.parametrize(
    ("attach", "plain_stops"),
    [pytest.param("ATTACHED", True, id="attached"), pytest.param("SEPARATE", False, id="separate")],
)
def test_a_trends_exit_trails_at_the_exchange_to_the_end(
    tmp_path: Path, attach: str, plain_stops: bool
) -> None:
    run = played(tmp_path, _RISE, {"exit.attach": attach}, plain_stops=plain_stops)

    assert run.outcome.violations == ()
    (sale,) = run.sold()
    assert sale.type == ("TAKE_PROFIT" if plain_stops else "TAKE_PROFIT_LIMIT")
    price = run.position.avg_price
    top = price * (10_000 + 400) / 10_000
    paid = run.price_of(sale)
    assert top * (10_000 - 130) / 10_000 < paid < top
    assert run.replaced() == []
    assert run.longest_gap_ms < 1000
    assert "TRAILING" in [change["phase"] for change in run.changes()]
    assert run.position.exit_reason == "TRAILING"


@pytest.mark.parametrize(
    ("attach", "plain_stops"),
    [pytest.param("ATTACHED", True, id="attached"), pytest.param("SEPARATE", False, id="separate")],
)
def test_a_proven_swap_raises_one_stop_behind_the_price_until_it_sells(
    tmp_path: Path, attach: str, plain_stops: bool
) -> None:
    settings = {"exit.attach": attach, "exit.trailing_policy": "VIRTUAL"}
    run = played(tmp_path, _RISE, settings, swap_proven=True, plain_stops=plain_stops)

    assert run.outcome.violations == ()
    stops = run.stops()
    assert len(stops) >= 5
    for earlier, later in pairwise(stops):
        assert later.stop * 10_000 >= earlier.stop * 10_010
        # Three cancel-replaces in ten seconds is what the limit on churn allows.
        assert later.t_new - earlier.t_new >= 3333
    (sale,) = run.sold()
    assert sale.oid == stops[-1].oid
    assert set(run.replaced()) == {"200"}
    assert run.longest_gap_ms < 1000
    assert 0 <= max(change["swap_gap_ms"] for change in run.changes()) < 1000
    assert run.position.unprotected_ms < 1000
    assert run.position.exit_reason == "TRAILING"


def test_the_chart_of_a_trade_that_is_over_shows_its_first_levels_and_every_raise(
    tmp_path: Path,
) -> None:
    settings = {"exit.trailing_policy": "VIRTUAL"}
    run = played(tmp_path, _RISE, settings, swap_proven=True)
    levels = anyio.run(_drawn, run.database)

    drawn = [level for level in levels if level.kind == "STOP"]
    stops = [row.stop for row in run.stops()]
    (first,) = {row.stop for row in run.orders if row.list_cid and row.type == "STOP_LOSS"}
    assert [Decimal(level.price) for level in drawn] == [first, *stops]
    (target,) = [level for level in levels if level.kind == "TARGET"]
    assert target.to_ms is not None
    assert abs(target.to_ms - run.stops()[0].t_new) < 100


def test_without_proof_nothing_is_swapped_and_the_target_stays_where_it_was(tmp_path: Path) -> None:
    run = played(tmp_path, _RISE, {"exit.trailing_policy": "VIRTUAL"})

    assert run.outcome.violations == ()
    assert run.replaced() == []
    (sale,) = run.sold()
    assert sale.type == "LIMIT_MAKER"
    assert run.position.exit_reason == "TAKE_PROFIT"


def test_a_stop_refused_after_the_old_one_went_is_sold_in_less_than_a_second(
    tmp_path: Path,
) -> None:
    late = _once(Delay(target="rest", ms=1500, leg="request"))
    run = played(tmp_path, _FALL, {"exit.trailing_policy": "VIRTUAL"}, late, swap_proven=True)

    assert run.outcome.violations == ()
    assert run.replaced() == ["409"]
    (sale,) = run.sold()
    assert sale.type == "LIMIT"
    assert 0 < run.longest_gap_ms < 1000
    assert not run.position.is_open


def test_told_that_the_swapped_list_is_gone_the_position_gets_its_list_back(
    tmp_path: Path,
) -> None:
    said = _once(Reply(status=409, body=json.dumps(_GONE_AND_REFUSED)))
    run = played(tmp_path, _RISE, {"exit.trailing_policy": "VIRTUAL"}, said, swap_proven=True)

    assert run.outcome.violations == ()
    assert run.replaced() == ["409"]
    lists = {row.list_cid for row in run.orders if row.type == "STOP_LOSS" and row.list_cid}
    assert len(lists) == 2
    assert run.longest_gap_ms < 1000
    (sale,) = run.sold()
    assert sale.type == "LIMIT_MAKER"


def test_a_raised_stop_that_the_exchange_expires_comes_back_where_it_stood(tmp_path: Path) -> None:
    what = MassExpire(types=["STOP_LOSS"], symbol=_SYMBOL)
    fault = Fault(id="expired", what=what, when=When(after_ms=105_000))
    run = played(tmp_path, _RISE, {"exit.trailing_policy": "VIRTUAL"}, fault, swap_proven=True)

    assert run.outcome.violations == ()
    (raised,) = [row for row in run.stops() if row.t_new < _START_MS + 105_000]
    (first, again) = dict.fromkeys(
        row.stop for row in run.orders if row.type == "STOP_LOSS" and row.list_cid
    )
    assert first < raised.stop == again
    assert run.longest_gap_ms < 1000


_UNANSWERED = [
    pytest.param(DropResponse(target="rest"), id="no-answer"),
    pytest.param(
        AcceptThen(then=Reply(status=503, code=-1006, msg="Execution status unknown.")),
        id="execution-status-unknown",
    ),
]


@pytest.mark.parametrize("verb", _UNANSWERED)
def test_a_swap_whose_answer_is_lost_ends_behind_one_stop(tmp_path: Path, verb: Verb) -> None:
    lost = _once(verb)
    run = played(tmp_path, _RISE, {"exit.trailing_policy": "VIRTUAL"}, lost, swap_proven=True)

    assert run.outcome.violations == ()
    assert len(run.stops()) >= 2
    assert run.longest_gap_ms < 1000
    assert run.position.exit_reason == "TRAILING"


def test_an_entry_left_behind_is_repriced_in_one_request(tmp_path: Path) -> None:
    run = played(tmp_path, _BACK, {"exit.attach": "SEPARATE"}, depth=_QUIET)

    assert run.outcome.violations == ()
    assert run.replaced() == ["200"]
    first, second = _entries(run)
    assert (first.status, second.status) == ("CANCELED", "FILLED")
    assert not first.exec
    assert second.qty <= first.qty
    assert run.longest_gap_ms < 1000


def test_a_reprice_that_would_take_is_cancelled_refused_and_placed_again(tmp_path: Path) -> None:
    late = _once(Delay(target="rest", ms=1000, leg="request"))
    run = played(tmp_path, _HALF_BACK, {"exit.attach": "SEPARATE"}, late, depth=_QUIET)

    assert run.outcome.violations == ()
    assert run.replaced() == ["409"]
    assert [row.status for row in _entries(run)] == ["CANCELED", "REJECTED", "FILLED"]
    assert run.longest_gap_ms < 1000


def test_an_entry_that_fills_before_its_reprice_arrives_is_bought_once(tmp_path: Path) -> None:
    late = _once(Delay(target="rest", ms=1000, leg="request"))
    legs = (*_AWAY, Leg(ms=5500, bps=0), Leg(ms=500, bps=-24), Leg(ms=20_000, bps=0))
    run = played(tmp_path, legs, {"exit.attach": "SEPARATE"}, late, depth=_QUIET)

    assert run.outcome.violations == ()
    assert run.replaced() == ["400"]
    assert [row.status for row in _entries(run)] == ["FILLED"]


@pytest.mark.parametrize("verb", _UNANSWERED)
def test_a_reprice_whose_answer_is_lost_buys_nothing_twice(tmp_path: Path, verb: Verb) -> None:
    lost = _once(verb)
    run = played(tmp_path, _BACK, {"exit.attach": "SEPARATE"}, lost, depth=_QUIET)

    assert run.outcome.violations == ()
    first, second, *later = _entries(run)
    assert first.status == "CANCELED"
    assert second.t_new == first.t_end
    # Told by the stream before the answer fails it works on; told after, it is taken back.
    assert second.status in ("FILLED", "CANCELED")
    assert all(after.t_new >= before.t_end for before, after in pairwise([second, *later]))
    assert sum(1 for row in _entries(run) if row.exec) <= 1
    assert run.longest_gap_ms < 1000


async def _drawn(path: Path) -> tuple[LevelView, ...]:
    """The levels the panel draws for the one symbol."""
    async with opened(path) as database:
        (symbol,) = (await market(database, 5)).symbols
    assert symbol.chart is not None
    return symbol.chart.levels


def _entries(run: Played) -> list[OrderRow]:
    """The newest state of each order that was to buy."""
    newest = {row.oid: row for row in run.orders if row.side == "BUY"}
    return list(newest.values())
