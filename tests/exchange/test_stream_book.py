"""A local book kept by the exchange's own recipe ends in the exchange's book."""

import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exchange.local_book import GapFound, LocalBook, SnapshotTooOld
from tests.exchange.stream_rig import Rig

from livespot.exchange.stream_json import partial_depth

NAME = "B000USDT"
LIMIT = {"type": "LIMIT", "timeInForce": "GTC", "quantity": "0.5"}


def snapshot(rig: Rig) -> dict[str, Any]:
    return partial_depth(*rig.engine.depth(NAME, 5000))


def disturb(rig: Rig, chance: random.Random) -> None:
    """One thing that happens to a book: a quote, a trade, an order, a cancel."""
    middle = chance.randrange(90, 110)
    match chance.randrange(4):
        case 0 | 1:
            gap = range(1, chance.randrange(2, 12))
            bids = [(Decimal(middle - g), Decimal(chance.randrange(1, 9))) for g in gap]
            asks = [(Decimal(middle + g), Decimal(chance.randrange(1, 9))) for g in gap]
            rig.engine.set_book(NAME, bids, asks, rig.now_ms)
            rig.settle()
        case 2:
            rig.print(NAME, str(middle), "0.7", sell=chance.random() < 0.5)
        case _:
            side = "BUY" if chance.random() < 0.5 else "SELL"
            if len(rig.engine.open_orders("alice", {"symbol": NAME})) > 20:
                rig.engine.cancel_open_orders("alice", {"symbol": NAME}, rig.now_ms)
                rig.settle()
            rig.place("alice", NAME, side=side, price=str(middle), **LIMIT)


@pytest.mark.parametrize("suffix", ["", "@100ms"])
def test_thousands_of_events_lead_to_the_exchange_s_book(suffix: str) -> None:
    chance = random.Random(11)  # noqa: S311
    with Rig() as rig:
        ear = rig.ear(f"b000usdt@depth{suffix}")
        for _ in range(30):
            disturb(rig, chance)
            rig.later(70)
        book = LocalBook()
        book.begin(snapshot(rig), ear.payloads())
        for _ in range(500):
            for _ in range(chance.choice((1, 1, 1, 25))):
                disturb(rig, chance)
            rig.later(chance.choice((0, 40, 130, 2500)))
            for event in ear.payloads():
                book.apply(event)
        rig.later(1000)
        for event in ear.payloads():
            book.apply(event)

        assert book.last_id > 2000
        assert book.same_as(snapshot(rig))


@given(seed=st.integers(0, 2**32), early=st.integers(0, 20), late=st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_the_recipe_holds_wherever_the_snapshot_falls(seed: int, early: int, late: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    with Rig() as rig:
        ear = rig.ear("b000usdt@depth@100ms")
        for _ in range(early):
            disturb(rig, chance)
        rig.to(100 + chance.randrange(200))
        taken = snapshot(rig)
        for _ in range(late):
            disturb(rig, chance)
        rig.to(1000)
        book, events = LocalBook(), ear.payloads()
        try:
            book.begin(taken, events)
        except SnapshotTooOld:
            book.begin(snapshot(rig), events)

        assert book.same_as(snapshot(rig))


def test_a_lost_event_and_a_snapshot_from_before_the_stream_are_noticed() -> None:
    chance = random.Random(5)  # noqa: S311
    with Rig() as rig:
        old = snapshot(rig)
        rig.book(NAME, 99, 102)
        ear = rig.ear("b000usdt@depth@100ms")
        for number in range(3):
            rig.book(NAME, 98 - number, 103)
            rig.to(200 * (number + 1))
        first, _, third = ear.payloads()
        disturb(rig, chance)

    with pytest.raises(SnapshotTooOld):
        LocalBook().begin(old, [first])
    book = LocalBook()
    book.begin({"lastUpdateId": first["u"], "bids": [], "asks": []}, [first])
    with pytest.raises(GapFound):
        book.apply(third)


@pytest.mark.parametrize("speed", [4, 200])
async def test_over_real_sockets_the_book_is_the_exchange_s_at_any_speed(
    exchange: Callable[..., AbstractAsyncContextManager[Any]], speed: int
) -> None:
    book, events = LocalBook(), 0
    async with (
        exchange(speed=speed) as venue,
        venue.connect("/ws/solusdt@depth@100ms") as socket,
    ):
        buffered = [msgspec.json.decode(await socket.recv())]
        while not book.last_id:
            try:
                book.begin(await venue.get("depth", symbol="SOLUSDT", limit=5000), buffered)
            except SnapshotTooOld:
                buffered.append(msgspec.json.decode(await socket.recv()))
        matches = 0
        while events < 40 and matches < 3:
            later = await venue.get("depth", symbol="SOLUSDT", limit=5000)
            while book.last_id < later["lastUpdateId"]:
                book.apply(msgspec.json.decode(await socket.recv()))
                events += 1
            # An event may end beyond the snapshot, which then is of a moment in between.
            if book.last_id == later["lastUpdateId"]:
                assert book.same_as(later)
                matches += 1

    assert matches
