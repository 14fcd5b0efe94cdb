"""The recorded market and the demonstration's minutes do not change by a single event."""

import hashlib

import pytest

from livespot.exchange.candle import MINUTE_MS
from livespot.exchange.ladder import ladder
from livespot.exchange.market import Print, Quote
from livespot.exchange.prng import SplitMix
from livespot.exchange.pump import Player
from livespot.exchange.recorded import load_recorded, packaged_data
from livespot.exchange.sources import WARM_UP_MINUTES
from livespot.exchange.tape import Scale

# 2021-04-22T00:01 UTC, with which `livespot sim` begins, and the seed it uses.
START_MS = 1_619_049_660_000
SEED = 7
MINUTES = 10
EVENTS = "d7c45a64beca2923e16f548439b8791d6b69270fb57478523ab1d365b27ddbc9"
LADDERS = "750611724c14978647d8e29c03ef995209936a25b01b45f4a383753dc191928b"


@pytest.mark.slow
def test_the_first_minutes_of_the_demonstration_are_what_they_always_were() -> None:
    events, ladders = hashlib.sha256(), hashlib.sha256()
    first_ms = START_MS - WARM_UP_MINUTES * MINUTE_MS
    market = load_recorded(packaged_data())

    for symbol, series in market.series.items():
        key = f"{SEED}:{symbol}"
        scale = Scale.of(series.tick_size, series.step_size)
        player = Player(key, series, first_ms)
        while player.prepare(START_MS + MINUTES * MINUTE_MS):
            pass
        for number, event in enumerate(player.waiting):
            assert isinstance(event, Quote | Print)
            events.update(f"{symbol} {line(event)}\n".encode())
            if number % 100 == 0 and isinstance(event, Quote):
                levels = ladder(SplitMix(key).bits(), event, scale)
                ladders.update(f"{symbol} {levels}\n".encode())

    assert events.hexdigest() == EVENTS
    assert ladders.hexdigest() == LADDERS


def line(event: Quote | Print) -> str:
    """One event as text that does not depend on how the classes print themselves."""
    if isinstance(event, Quote):
        return f"Q {event.t_ms} {event.bid} {event.ask} {event.bid_qty} {event.ask_qty}"
    return f"T {event.t_ms} {event.price} {event.qty} {int(event.buyer_is_maker)}"
