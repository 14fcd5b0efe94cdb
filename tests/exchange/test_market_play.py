"""A played minute is the recorded minute, and the same one every time."""

from decimal import Decimal

import hypothesis.strategies as st
from hypothesis import given, settings

from livespot.exchange.candle import MINUTE_MS, Candle, flaw_of, trade_count
from livespot.exchange.ladder import ladder
from livespot.exchange.market import Backdrop, Print, Quote, minute_events
from livespot.exchange.tape import Scale


@st.composite
def candles(draw: st.DrawFn) -> Candle:
    low = draw(st.integers(1, 10**7))
    high = low + draw(st.integers(0, max(1, low // 20)))
    inside = st.integers(low, high)
    return Candle(
        open_ms=draw(st.integers(0, 10**6)) * MINUTE_MS,
        open=draw(inside),
        high=high,
        low=low,
        close=draw(inside),
        volume=draw(st.integers(4, 10**9)),
    )


@settings(max_examples=60, deadline=None)
@given(candles(), st.integers(0, 5))
def test_trades_of_a_minute_rebuild_its_candle(candle: Candle, seed: int) -> None:
    events = minute_events(f"{seed}", candle, Backdrop(candle.open, candle.volume))

    trades = [event for event in events if isinstance(event, Print)]
    assert flaw_of(candle) is None
    assert len(trades) == trade_count(candle)
    assert trades[0].price == candle.open
    assert max(trade.price for trade in trades) == candle.high
    assert min(trade.price for trade in trades) == candle.low
    assert trades[-1].price == candle.close
    assert sum(trade.qty for trade in trades) == candle.volume
    assert all(trade.qty > 0 for trade in trades)


@settings(max_examples=40, deadline=None)
@given(candles())
def test_every_trade_happens_at_the_quote_before_it(candle: Candle) -> None:
    events = minute_events("1", candle, Backdrop(candle.open, candle.volume))

    times = [event.t_ms for event in events]
    assert times == sorted(times)
    assert all(0 <= t - candle.open_ms < MINUTE_MS for t in times)
    quote: Quote | None = None
    for event in events:
        if isinstance(event, Quote):
            quote = event
            assert 0 < event.bid < event.ask
            assert event.bid_qty > 0
            assert event.ask_qty > 0
        else:
            assert quote is not None
            assert event.price == (quote.bid if event.buyer_is_maker else quote.ask)


def test_the_seed_alone_decides_the_path() -> None:
    candle = Candle(0, 320_000, 321_500, 318_800, 319_000, 1_500_000)
    backdrop = Backdrop(320_500, 1_400_000)

    assert minute_events("7", candle, backdrop) == minute_events("7", candle, backdrop)
    assert minute_events("7", candle, backdrop) != minute_events("8", candle, backdrop)


def test_buyers_gather_when_the_price_has_dipped() -> None:
    candle = Candle(0, 318_000, 318_600, 317_400, 318_100, 1_500_000)

    def mean_imbalance(mean_close: int) -> float:
        quotes = [
            event
            for event in minute_events("1", candle, Backdrop(mean_close, 1_400_000))
            if isinstance(event, Quote)
        ]
        return sum(q.bid_qty / (q.bid_qty + q.ask_qty) for q in quotes) / len(quotes)

    assert mean_imbalance(319_500) > 0.6
    assert mean_imbalance(316_500) < 0.45


def test_a_spread_is_two_to_three_basis_points() -> None:
    candle = Candle(0, 318_000, 318_600, 317_400, 318_100, 1_500_000)

    for event in minute_events("1", candle, Backdrop(318_000, 1_400_000)):
        if isinstance(event, Quote):
            assert 20 <= (event.ask - event.bid) * 100_000 // event.bid <= 30


@settings(max_examples=40, deadline=None)
@given(st.integers(30, 10**7), st.integers(1, 2000), st.integers(1, 10**8), st.integers(0, 9))
def test_a_ladder_has_twenty_ordered_levels_a_side(
    bid: int, spread: int, qty: int, seed: int
) -> None:
    quote = Quote(1_618_919_220_000, bid, bid + spread, qty, qty)

    bids, asks = ladder(seed, quote, Scale.of(Decimal("0.0001"), Decimal("0.01")))

    assert len(asks) == 20
    bid_prices, ask_prices = [p for p, _ in bids], [p for p, _ in asks]
    assert bid_prices == sorted(set(bid_prices), reverse=True)
    assert ask_prices == sorted(set(ask_prices))
    assert all(size > 0 for _, size in bids + asks)
