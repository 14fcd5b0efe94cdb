"""A diverted market: the record before the turn, the script after it."""

from itertools import pairwise

import pytest

from livespot.exchange.market import Print, Quote
from livespot.testing.search.diverted import Deal, DivertedMarket, Move, Script
from livespot.testing.search.kill_scenarios import SCENARIOS

_MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def market() -> DivertedMarket:
    made = SCENARIOS[0].market()
    assert isinstance(made, DivertedMarket)
    return made


def _events(market: DivertedMarket, script: Script, open_ms: int) -> list[Quote | Print]:
    series = DivertedMarket(record=market.record, script=script).series["SOLUSDT"]
    return list(series.events("key", open_ms))


def test_until_the_turn_the_record_plays(market: DivertedMarket) -> None:
    open_ms = market.record.start_ms + 100 * _MINUTE_MS
    script = Script(from_ms=open_ms + 20_000)
    recorded = market.record.series["SOLUSDT"].events("key", open_ms)
    events = _events(market, script, open_ms)

    assert [e for e in events if e.t_ms < script.from_ms] == [
        e for e in recorded if e.t_ms < script.from_ms
    ]
    assert {e.t_ms % 500 for e in events if e.t_ms >= script.from_ms} == {0}


def test_the_bid_moves_in_straight_lines_between_its_points() -> None:
    script = Script(from_ms=0, moves=(Move(1000, 0), Move(3000, -200)))

    assert [script.bps_at(t) for t in (0, 1000, 2000, 3000, 99_000)] == [0, 0, -100, -200, -200]


def test_every_quote_differs_from_the_one_before(market: DivertedMarket) -> None:
    open_ms = market.record.start_ms + 100 * _MINUTE_MS
    events = _events(market, Script(from_ms=open_ms), open_ms)
    quotes = [(e.bid, e.bid_qty) for e in events if isinstance(e, Quote)]

    assert all(left != right for left, right in pairwise(quotes))


def test_a_deal_reaches_the_last_recorded_bid_or_goes_through_it(market: DivertedMarket) -> None:
    open_ms = market.record.start_ms + 100 * _MINUTE_MS
    deals = (Deal(at_ms=1234, steps=7), Deal(at_ms=2345))
    events = _events(market, Script(from_ms=open_ms, deals=deals), open_ms)
    bid = next(e.bid for e in events if isinstance(e, Quote))
    sales = [e for e in events if isinstance(e, Print) and e.buyer_is_maker]

    assert [(e.t_ms - open_ms, e.price, e.qty) for e in sales] == [
        (1234, bid, 7),
        (2345, bid - 1, 5),
    ]
