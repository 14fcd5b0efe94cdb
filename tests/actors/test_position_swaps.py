"""A stop raised by swaps, through the keeper and the real execution actor, on a real ledger."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from livespot.contracts.market import DeepFeatures
from livespot.contracts.orders import CancelReplaceRequest, ListRequest, OrderRequest
from livespot.contracts.settings import ExitSettings, Settings
from livespot.contracts.system import HealthSignal
from livespot.contracts.vocabulary import (
    Direction,
    IntentRole,
    OrderStatus,
    OrderType,
    PositionPhase,
    SignalKind,
    SignalLevel,
)
from livespot.testing.execution_bench import SYMBOL
from livespot.testing.ledger_rows import fresh
from livespot.testing.market_values import a_snapshot
from livespot.testing.position_bench import PositionBench, position_bench
from livespot.testing.scripted_venue import DROP_ANSWER, DROP_REQUEST, PlacementRefused, refused

VIRTUAL = Settings(exit=ExitSettings(trailing_policy="VIRTUAL"))
_ROWS = "SELECT role, action, state FROM order_intents WHERE request_id <> '' ORDER BY rowid"


async def protected(b: PositionBench) -> Decimal:
    """A position behind its attached list; the price from which its stop is raised."""
    entry = await b.buy()
    await b.arm(entry)
    await b.base(str(entry.orig_qty))
    await b.inner.advance(300)
    text = b.inner.rows("SELECT price FROM fills")[0][0]
    return Decimal(text)


def swaps(b: PositionBench) -> list[CancelReplaceRequest]:
    return [r for r in b.inner.venue.sent if isinstance(r, CancelReplaceRequest)]


def market(direction: Direction = Direction.BULL, spread_bps: int = 2) -> DeepFeatures:
    """What the deep scan makes of the symbol: a trend, by default a rising one."""
    snapshot = a_snapshot()
    return DeepFeatures(
        symbol=SYMBOL,
        warm=True,
        regime=msgspec.structs.replace(snapshot.regime, direction=direction),
        microstructure=msgspec.structs.replace(
            snapshot.microstructure, spread_current_bps=spread_bps
        ),
        atr14_5m_bps=60,
        cost_inputs=snapshot.cost_inputs,
        returns=None,
    )


async def rise(
    b: PositionBench, price: Decimal, bps: int, seen: DeepFeatures | None = None
) -> None:
    await b.tell(seen or market())
    await b.bid(str(price * (10_000 + bps) / 10_000))
    await b.inner.advance(300)


async def test_in_profit_the_list_gives_way_to_one_higher_stop(tmp_path: Path) -> None:
    async with position_bench(fresh(tmp_path), settings=VIRTUAL) as b:
        paid = await protected(b)
        before = (await b.position()).sl_price
        await rise(b, paid, 150)

        (swap,) = swaps(b)
        assert swap.order.type is OrderType.STOP_LOSS
        assert swap.order.stop_price is not None
        assert swap.order.stop_price > before
        assert b.inner.rows(_ROWS) == [
            ("CANCEL", "CANCEL", "CONFIRMED"),
            ("TRAIL", "TRAILING_ACTIVATE", "CONFIRMED"),
        ]
        position = await b.position()
        assert position.phase is PositionPhase.TRAILING
        assert position.sl_price == swap.order.stop_price
        assert position.protected_qty > 0


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(market(Direction.BEAR), id="falling"),
        pytest.param(market(spread_bps=500), id="wide"),
        pytest.param(msgspec.structs.replace(market(), regime=None), id="unreadable"),
    ],
)
async def test_in_profit_the_list_stays_while_the_market_is_no_longer_what_was_bought(
    tmp_path: Path, seen: DeepFeatures
) -> None:
    async with position_bench(fresh(tmp_path), settings=VIRTUAL) as b:
        paid = await protected(b)
        await rise(b, paid, 150, seen)
        stayed = swaps(b)
        await rise(b, paid, 150)

        assert stayed == []
        assert len(swaps(b)) == 1


async def test_what_was_seen_of_the_market_a_minute_ago_allows_no_swap(tmp_path: Path) -> None:
    async with position_bench(fresh(tmp_path), settings=VIRTUAL) as b:
        paid = await protected(b)
        await b.tell(market())
        await b.inner.advance(61_000)
        await b.bid(str(paid * 10_150 / 10_000))
        await b.inner.advance(300)

        assert swaps(b) == []


async def test_a_raised_stop_goes_on_rising_in_a_market_that_would_begin_none(
    tmp_path: Path,
) -> None:
    async with position_bench(fresh(tmp_path), settings=VIRTUAL) as b:
        paid = await protected(b)
        await rise(b, paid, 150)
        await b.inner.advance(4_000)
        await rise(b, paid, 250, market(Direction.BEAR))

        assert len(swaps(b)) == 2


async def test_the_measured_gap_is_in_the_audit(tmp_path: Path) -> None:
    async with position_bench(fresh(tmp_path), settings=VIRTUAL) as b:
        await rise(b, await protected(b), 150)

        sql = "SELECT data FROM audit_events WHERE event_type = 'PROTECTION_CHANGED' ORDER BY id"
        data = [msgspec.json.decode(row[0]) for row in b.inner.rows(sql)]
        gaps = [d["swap_gap_ms"] for d in data]
        assert gaps[-1] >= 0
        assert max(gaps) < 1000
        assert "SWAP" in [w["want"] for d in data for w in d["wanted"]]


async def test_a_further_rise_raises_the_single_stop(tmp_path: Path) -> None:
    async with position_bench(fresh(tmp_path), settings=VIRTUAL) as b:
        paid = await protected(b)
        await rise(b, paid, 150)
        await b.inner.advance(4000)
        await rise(b, paid, 250)

        first, second = swaps(b)
        assert first.order.stop_price is not None
        assert second.order.stop_price is not None
        assert second.order.stop_price > first.order.stop_price
        standing = [o for o in b.inner.venue.orders_by_id.values() if o.status is OrderStatus.NEW]
        assert [o.stop_price for o in standing] == [second.order.stop_price]


async def test_a_rise_that_comes_too_early_is_followed_when_its_turn_comes_without_more_news(
    tmp_path: Path,
) -> None:
    async with position_bench(fresh(tmp_path), settings=VIRTUAL) as b:
        paid = await protected(b)
        await rise(b, paid, 150)
        await rise(b, paid, 250)
        early = len(swaps(b))
        await b.inner.advance(4000)

        assert (early, len(swaps(b))) == (1, 2)


async def expire(b: PositionBench) -> Decimal:
    """The exchange ends the one stop that stands; the price at which it stood."""
    venue = b.inner.venue
    (stop,) = [
        o for o in venue.orders_by_id.values() if o.status is OrderStatus.NEW and o.stop_price
    ]
    venue.change(stop.order_id, status=OrderStatus.EXPIRED)
    await b.inner.stream(stop.order_id)
    return stop.stop_price


def own_lists(b: PositionBench) -> list[ListRequest]:
    return [r for r in b.inner.venue.sent if isinstance(r, ListRequest) and r.working is None]


async def test_a_raised_stop_that_disappears_is_back_where_it_stood(tmp_path: Path) -> None:
    async with position_bench(fresh(tmp_path), settings=VIRTUAL) as b:
        await rise(b, await protected(b), 150)
        stood = await expire(b)
        await b.inner.advance(300)

        (wanted,) = own_lists(b)
        position = await b.position()
        assert wanted.below.stop_price == stood
        assert (position.phase, position.sl_price) == (PositionPhase.PROTECTED, stood)


async def test_where_a_raised_stop_stood_is_known_after_a_restart_too(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    async with position_bench(path, settings=VIRTUAL) as b:
        await rise(b, await protected(b), 150)
        b.inner.venue.script = [refused(-1013, "Filter failure: MAX_NUM_ALGO_ORDERS")]
        stood = await expire(b)
        bare = await b.position()
        venue, clock = b.inner.venue, b.inner.clock
    tried = len(own_lists(b))
    async with position_bench(path, settings=VIRTUAL, venue=venue, clock=clock) as b:
        await b.inner.recover()
        await b.recover()
        await b.inner.advance(500)

        wanted = own_lists(b)[tried:]
        assert (bare.phase, bare.sl_price) == (PositionPhase.UNPROTECTED, stood)
        assert [w.below.stop_price for w in wanted] == [stood]


async def test_cancelled_but_refused_is_reinstalled_within_a_second(tmp_path: Path) -> None:
    async with position_bench(fresh(tmp_path), settings=VIRTUAL) as b:
        paid = await protected(b)
        b.inner.venue.script = [PlacementRefused(-2010, "Account has insufficient balance")]
        await rise(b, paid, 150)
        await b.inner.advance(700)

        assert len(own_lists(b)) == 1
        position = await b.position()
        assert position.phase is PositionPhase.PROTECTED
        assert position.unprotected_ms < 1000
        assert b.inner.states(IntentRole.TRAIL.value) == ["FAILED_TERMINAL"]


async def test_cancelled_but_would_trigger_is_sold_now(tmp_path: Path) -> None:
    async with position_bench(fresh(tmp_path), settings=VIRTUAL) as b:
        paid = await protected(b)
        text = "Stop price would trigger immediately."
        b.inner.venue.script = [PlacementRefused(-2010, text)]
        await rise(b, paid, 150)

        sales = [r for r in b.inner.venue.sent if isinstance(r, OrderRequest)]
        assert sales[0].type is OrderType.LIMIT
        assert len(swaps(b)) == 1


async def test_a_refusal_of_the_whole_leaves_the_list_standing(tmp_path: Path) -> None:
    async with position_bench(fresh(tmp_path), settings=VIRTUAL) as b:
        paid = await protected(b)
        b.inner.venue.script = [refused(-1013, "Filter failure: MAX_NUM_ORDERS")]
        await rise(b, paid, 150)
        await b.inner.advance(5000)

        position = await b.position()
        assert position.protected_qty > 0
        assert position.unprotected_ms == 0
        assert len(swaps(b)) == 1


@pytest.mark.parametrize("how", [DROP_ANSWER, DROP_REQUEST])
async def test_a_lost_answer_ends_protected_and_never_with_two_sales(
    tmp_path: Path, how: str
) -> None:
    async with position_bench(fresh(tmp_path), settings=VIRTUAL) as b:
        paid = await protected(b)
        b.inner.venue.script = [how]
        await rise(b, paid, 150)
        await b.inner.advance(4000)

        sells = [
            o
            for o in b.inner.venue.orders_by_id.values()
            if o.status is OrderStatus.NEW and o.stop_price
        ]
        assert len(sells) == 1
        position = await b.position()
        assert position.protected_qty > 0
        signals = b.inner.heard(b.keeper.governor, HealthSignal)
        mine = [s.level for s in signals if s.kind is SignalKind.PROTECTION]
        assert SignalLevel.PAUSE not in mine
