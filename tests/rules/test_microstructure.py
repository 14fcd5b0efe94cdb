"""The minute of books against a naive reading of the same samples."""

import statistics
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livespot.contracts.market import BookTicker, Microstructure
from livespot.rules.microstructure import SAMPLES_60S, MicroRing, spread_bps, whole_spread_bps
from livespot.testing.market_values import a_book

# Bid and spread in ticks of 0.01, sizes in thousandths.
_QUOTE = st.tuples(
    st.integers(5_000, 20_000), st.integers(0, 60), st.integers(0, 9_000), st.integers(0, 9_000)
)
_Quote = tuple[int, int, int, int]


def _books(quotes: list[_Quote], scale: int = 1) -> list[BookTicker]:
    return [
        a_book(
            number,
            bid=Decimal(bid * scale).scaleb(-2),
            ask=Decimal((bid + wide) * scale).scaleb(-2),
            bid_qty=Decimal(left).scaleb(-3),
            ask_qty=Decimal(right).scaleb(-3),
        )
        for number, (bid, wide, left, right) in enumerate(quotes, start=1)
    ]


def _minute(seed: list[_Quote], shift: int) -> list[_Quote]:
    """At least 120 quotes made of a few, in an order that mixes them."""
    wanted = SAMPLES_60S + shift
    return [seed[(i * i + 7 * i) % len(seed)] for i in range(wanted)]


def _read(books: list[BookTicker]) -> Microstructure:
    ring = MicroRing()
    for book in books:
        ring.sample(book)
    reading = ring.read(books[-1], 0)
    assert reading is not None
    return reading


def _exact_spread(book: BookTicker) -> Fraction:
    bid, ask = Fraction(book.bid), Fraction(book.ask)
    return (ask - bid) / ((ask + bid) / 2) * 10_000


def _rank(values: list[Fraction], percent: int) -> Fraction:
    """Nearest rank by its definition: the least value that enough values do not exceed."""
    needed = Fraction(percent * len(values), 100)
    return min(v for v in values if sum(other <= v for other in values) >= needed)


def _whole(value: Fraction) -> int:
    return max(1, round(value)) if value > 0 else 0


_MINUTES = st.builds(_minute, st.lists(_QUOTE, min_size=1, max_size=40), st.integers(0, 60))


@settings(max_examples=60, deadline=None)
@given(_MINUTES)
def test_a_minute_reads_as_its_definitions_say(quotes: list[_Quote]) -> None:
    """Exact fractions, sorted in full, with the last 120 samples picked by hand."""
    books = _books(quotes)
    last = books[-SAMPLES_60S:]
    spreads = [_exact_spread(book) for book in last]

    reading = _read(books)

    assert _near(reading.spread_current_bps, _exact_spread(books[-1]), floor=True)
    assert _near(reading.spread_bps_p50_60s, _rank(spreads, 50), floor=True)
    assert _near(reading.spread_bps_p90_60s, _rank(spreads, 90), floor=True)
    delta = _rank(spreads[-20:], 90) - _rank(spreads[-40:-20], 90)
    assert _near(reading.delta_spread_bps_p90_10s, delta)
    shares = [
        Fraction(b.bid_qty) / max(Fraction(b.bid_qty + b.ask_qty), Fraction(1, 10**9))
        for b in last[-20:]
    ]
    assert _near(
        reading.bid_ask_imbalance_p50_10s_x10000, Fraction(statistics.median(shares)) * 10_000
    )
    mids = [float(b.bid + b.ask) / 2 for b in books[-21:]]
    moves = [(b - a) / a * 10_000 for a, b in pairwise(mids)]
    assert abs(reading.microvol_bps_10s - statistics.stdev(moves)) <= 0.5 + 1e-6


def _near(value: int, exact: Fraction, *, floor: bool = False) -> bool:
    """Half to even of the exact value; only a float's last bit beside a half may decide."""
    wanted = _whole(exact) if floor else round(exact)
    beside_a_half = abs(exact * 2 - round(exact * 2)) < Fraction(1, 10**6)
    return value == wanted or (beside_a_half and abs(value - wanted) <= 1)


@settings(max_examples=60, deadline=None)
@given(_MINUTES)
def test_readings_stay_inside_their_bounds(quotes: list[_Quote]) -> None:
    reading = _read(_books(quotes))

    assert 0 <= reading.spread_bps_p50_60s <= reading.spread_bps_p90_60s
    assert 0 <= reading.bid_ask_imbalance_p50_10s_x10000 <= 10_000
    assert reading.microvol_bps_10s >= 0
    assert abs(reading.delta_spread_bps_p90_10s) <= reading.spread_bps_p90_60s + max(
        whole_spread_bps(spread_bps(b.bid, b.ask)) for b in _books(quotes)
    )


@settings(max_examples=60, deadline=None)
@given(_MINUTES, st.sampled_from([2, 4, 64, 1024]))
def test_all_prices_times_a_power_of_two_change_nothing(quotes: list[_Quote], k: int) -> None:
    """Basis points know no price level; powers of two lose no bit on the way."""
    scaled = [(bid * k, wide * k, left, right) for bid, wide, left, right in quotes]

    assert _read(_books(scaled)) == _read(_books(quotes))


@settings(max_examples=60, deadline=None)
@given(_MINUTES, st.integers(3, 9_999))
def test_all_prices_times_anything_move_no_reading_by_more_than_the_rounding(
    quotes: list[_Quote], k: int
) -> None:
    one, other = _read(_books(quotes)), _read(_books(quotes, scale=k))

    for name in one.__struct_fields__:
        assert abs(getattr(one, name) - getattr(other, name)) <= 1


@settings(max_examples=40, deadline=None)
@given(_MINUTES, st.permutations(range(80)))
def test_the_percentiles_of_a_minute_do_not_depend_on_its_order(
    quotes: list[_Quote], order: list[int]
) -> None:
    """The first 80 samples speak only through the percentiles, so their order is free."""
    last = quotes[-SAMPLES_60S:]

    mixed = [last[i] for i in order] + last[80:]

    assert _read(_books(mixed)) == _read(_books(last))


@given(st.lists(_QUOTE, min_size=1, max_size=SAMPLES_60S - 1))
def test_less_than_a_minute_says_nothing(quotes: list[_Quote]) -> None:
    ring = MicroRing()
    for book in _books(quotes):
        ring.sample(book)

    assert not ring.is_warm
    assert ring.read(_books(quotes)[-1], 0) is None


@settings(max_examples=40, deadline=None)
@given(_MINUTES, st.lists(_QUOTE, min_size=1, max_size=5))
def test_what_was_read_before_a_sample_leaves_no_trace(
    quotes: list[_Quote], more: list[_Quote]
) -> None:
    """Readings are remembered between samples, and forgotten with the next one."""
    ring = MicroRing()
    for book in _books([*quotes, *more]):
        ring.sample(book)
        ring.read(book, 0)

    assert ring.read(_books(more)[-1], 3) == _with_drops(_read(_books([*quotes, *more])), 3)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(_QUOTE, st.integers(0, 60)), min_size=2, max_size=12))
def test_a_book_that_stood_is_as_good_as_samples_of_it(stood: list[tuple[_Quote, int]]) -> None:
    books = _books([quote for quote, _ in stood])
    at_once, one_by_one = MicroRing(), MicroRing()
    for book, (_, times) in zip(books, stood, strict=True):
        at_once.sample(book, times)
        for _ in range(times):
            one_by_one.sample(book)

    assert at_once.read(books[-1], 0) == one_by_one.read(books[-1], 0)


def _with_drops(reading: Microstructure, drops: int) -> Microstructure:
    values = {name: getattr(reading, name) for name in reading.__struct_fields__}
    return Microstructure(**{**values, "out_of_order_drops": drops})


@pytest.mark.parametrize(
    ("wide", "delta"),
    [
        pytest.param((117, 118, 119), 10, id="three-now"),
        pytest.param((100, 101, 102), 10, id="three-at-the-edge-of-now"),
        pytest.param((98, 99, 100, 101), 0, id="two-on-either-side"),
        pytest.param((97, 98, 99), -10, id="three-before"),
        pytest.param((80, 81, 82), -10, id="three-at-the-far-edge"),
        pytest.param((79, 80, 81), 0, id="one-of-three-is-too-old"),
        pytest.param((118, 119), 0, id="two-of-twenty-are-no-p90"),
    ],
)
def test_the_delta_compares_ten_seconds_with_the_ten_before(
    wide: tuple[int, ...], delta: int
) -> None:
    """A spread of 2 bps, and of 12 at the given samples of the minute."""
    ring = MicroRing()
    for place in range(SAMPLES_60S):
        ring.sample(a_book(ask=Decimal("100.11")) if place in wide else a_book())

    reading = ring.read(a_book(), 0)

    assert reading is not None
    assert reading.delta_spread_bps_p90_10s == delta


def test_spreads_round_half_to_even_and_a_positive_one_is_at_least_one() -> None:
    halves = {0.5: 1, 1.5: 2, 2.5: 2, 3.5: 4, 4.5: 4, 0.49: 1, 1e-9: 1, 0.0: 0}

    assert {value: whole_spread_bps(value) for value in halves} == halves
