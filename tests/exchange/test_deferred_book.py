"""House levels nobody looks at are not worked out, and nobody can tell."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livespot.exchange import ladder as ladder_module
from livespot.exchange.ladder import Ladder
from livespot.exchange.market import Quote
from livespot.exchange.model import BookChanged, Event, Level, Rejection
from livespot.exchange.tape import Scale
from livespot.testing.spot_desk import START_MS, SYMBOL, SpotDesk

SCALE = Scale.of(Decimal("0.01"), Decimal("0.001"))
BID = 10_000

QUOTES = st.tuples(
    st.just("quote"), st.integers(-40, 40), st.integers(1, 4), st.sampled_from((0, 900, 1000, 4000))
)
# Prices as ticks from the usual bid: within the levels, at their edge, and far away.
PRICES = st.one_of(st.integers(-60, 60), st.sampled_from((-400, -300, 300, 400)))
STEPS = st.lists(
    st.one_of(
        QUOTES,
        QUOTES,
        st.tuples(st.just("order"), PRICES, st.sampled_from(("BUY", "SELL")), st.integers(1, 4)),
        st.tuples(st.just("replace"), PRICES, st.sampled_from(("BUY", "SELL")), st.integers(0, 6)),
        st.tuples(st.just("cancel"), st.integers(0, 6)),
        st.tuples(st.just("print"), PRICES, st.booleans()),
        st.tuples(st.just("depth")),
    ),
    max_size=40,
)


@dataclass(frozen=True, slots=True)
class Told:
    """What one step showed: its events, the book's id and best prices, its depth if asked."""

    events: list[object]
    top: object
    depth: object = None


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_what_is_seen_of_a_book_does_not_depend_on_when_its_levels_are_worked_out(
    steps: list[tuple[object, ...]],
) -> None:
    assert _told(steps, deferring=True) == _told(steps, deferring=False)


@pytest.mark.parametrize("deferring", [True, False])
def test_an_order_that_leaves_while_levels_are_deferred_is_told(
    deferring: bool,
) -> None:
    desk = SpotDesk()
    _quote(desk, 0, 2, 0, deferring=deferring)
    far = desk.order(_limit(400, "SELL", 1))["orderId"]
    _quote(desk, 1, 2, 0, deferring=deferring)
    # Refused after the other has left, since it would take.
    another = "side=BUY type=LIMIT_MAKER price=200 quantity=1"
    desk.replace(f"{another} cancelReplaceMode=STOP_ON_FAILURE cancelOrderId={far}")
    told = [one.update_id for one in desk.engine.drain_events() if isinstance(one, BookChanged)]
    assert told == [1, 2, 3, 4]


def test_a_quote_nobody_looks_behind_works_out_no_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    worked_out: list[Quote] = []
    whole = ladder_module.ladder

    def counted(seed: int, quote: Quote, scale: Scale) -> tuple[list[Level], list[Level]]:
        worked_out.append(quote)
        return whole(seed, quote, scale)

    monkeypatch.setattr(ladder_module, "ladder", counted)
    desk = SpotDesk()
    for number in range(50):
        _quote(desk, number, 2, 0, deferring=True)
    assert not worked_out
    desk.engine.depth(SYMBOL, 5)
    desk.engine.depth(SYMBOL, 5)
    assert [quote.t_ms for quote in worked_out] == [desk.now_ms]


def test_a_watched_book_tells_every_level_it_changes() -> None:
    desk = SpotDesk()
    desk.engine.watch_book(SYMBOL, watched=True)
    desk.engine.drain_events()
    _quote(desk, 0, 2, 0, deferring=True)
    [change] = [one for one in desk.engine.drain_events() if isinstance(one, BookChanged)]
    assert len(change.bids) == len(change.asks) == 20


def _told(steps: Sequence[tuple[object, ...]], *, deferring: bool) -> list[Told]:
    desk = SpotDesk()
    _quote(desk, 0, 2, 0, deferring=deferring)
    told = []
    for step in steps:
        depth = _do(desk, step, deferring=deferring)
        engine = desk.engine
        events = [_without_levels(event) for event in engine.drain_events()]
        told.append(Told(events, engine.best(SYMBOL), depth))
    told.append(Told([], None, desk.engine.depth(SYMBOL, 5000)))
    return told


def _without_levels(event: Event) -> object:
    return event.update_id if isinstance(event, BookChanged) else event


def _do(desk: SpotDesk, step: tuple[object, ...], *, deferring: bool) -> object:
    desk.now_ms += 50
    match step:
        case ("quote", int(offset), int(spread), int(more)):
            _quote(desk, offset, spread, more, deferring=deferring)
        case ("order", int(offset), str(side), int(qty)):
            _attempt(lambda: desk.order(_limit(offset, side, qty)))
        case ("replace", int(offset), str(side), int(order)):
            mode = "cancelReplaceMode=STOP_ON_FAILURE"
            params = f"{_limit(offset, side, 1)} cancelOrderId={order} {mode}"
            _attempt(lambda: desk.replace(params))
        case ("cancel", int(order)):
            _attempt(lambda: desk.cancel(f"orderId={order}"))
        case ("print", int(offset), bool(sold)):
            price = format((BID + offset) * SCALE.tick_size, "f")
            desk.print_sell(price) if sold else desk.print_buy(price)
        case _:
            return desk.engine.depth(SYMBOL, 10)
    return None


def _limit(offset: int, side: str, qty: int) -> str:
    price = format((BID + offset) * SCALE.tick_size, "f")
    return f"side={side} type=LIMIT timeInForce=GTC price={price} quantity={qty}"


def _attempt(call: Callable[[], object]) -> object:
    """What came of it; a refusal is an answer like any other."""
    try:
        return call()
    except Rejection as refused:
        return refused


def _quote(desk: SpotDesk, offset: int, spread: int, more: int, *, deferring: bool) -> None:
    desk.now_ms = max(desk.now_ms, START_MS) + 50
    bid = BID + offset
    quote = Quote(desk.now_ms, bid, bid + spread, 5000 + more, 4000)
    house = Ladder(7, quote, SCALE)
    if deferring:
        desk.engine.set_house(SYMBOL, house, desk.now_ms)
    else:
        desk.engine.set_book(SYMBOL, *house.levels(), desk.now_ms)
