"""Microstructure, regime, costs and the snapshot made of them."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.canonical import canonical_json
from livespot.contracts.market import AggTrade, DepthBook, DepthLevel
from livespot.contracts.orders import CommissionRates
from livespot.contracts.settings import Settings, StrategySettings, VenueSettings
from livespot.contracts.vocabulary import Direction, Interval, RegimeLabel
from livespot.rules.costs import UNFILLABLE_BPS, Slippage, fees_of, slippage_of, walk_bps
from livespot.rules.indicators import Directional
from livespot.rules.microstructure import LatencyWindow, MicroRing, whole_spread_bps
from livespot.rules.regime import regime_of
from livespot.rules.snapshot import problems_of, snapshot_hash, snapshot_json
from livespot.rules.symbol_window import SymbolWindow
from livespot.testing.market_values import NOW_MS, a_book, a_snapshot

_replace = msgspec.structs.replace


def _full(ring: MicroRing) -> MicroRing:
    for _ in range(120):
        ring.sample(a_book())
    return ring


def test_the_ring_is_warm_only_when_a_minute_is_full() -> None:
    ring = MicroRing()
    for _ in range(119):
        ring.sample(a_book())

    assert ring.read(a_book(), 0) is None
    ring.sample(a_book())
    assert ring.read(a_book(), 0) is not None
    ring.clear()
    assert not ring.is_warm


def test_a_steady_book_reads_as_itself() -> None:
    reading = _full(MicroRing()).read(a_book(), 7)

    assert reading is not None
    assert reading.spread_current_bps == 2
    assert reading.spread_bps_p50_60s == 2
    assert reading.delta_spread_bps_p90_10s == 0
    assert reading.bid_ask_imbalance_p50_10s_x10000 == 7000
    assert reading.microvol_bps_10s == 0
    assert reading.out_of_order_drops == 7


def test_an_opening_spread_shows_in_the_delta_at_once() -> None:
    ring = _full(MicroRing())
    for _ in range(20):
        ring.sample(a_book(ask=Decimal("100.11")))

    reading = ring.read(a_book(ask=Decimal("100.11")), 0)

    assert reading is not None
    assert reading.delta_spread_bps_p90_10s == 10
    assert reading.spread_bps_p50_60s == 2
    assert reading.spread_bps_p90_60s == 12


def test_a_positive_spread_is_never_none() -> None:
    assert whole_spread_bps(0.01) == 1
    assert whole_spread_bps(0.0) == 0
    assert whole_spread_bps(2.5) == 2


def test_latency_is_the_nearest_rank_p90() -> None:
    window = LatencyWindow()
    assert window.p90_ms() is None
    for age in range(1, 11):
        window.take(age)

    assert window.p90_ms() == 9
    window.take(500)
    assert window.p90_ms() == 10
    window.clear()
    assert window.p90_ms() is None


def _frames(adx: float, *, up: bool = True) -> dict[Interval, Directional]:
    plus, minus = (30.0, 10.0) if up else (10.0, 30.0)
    return {frame: Directional(adx=adx, plus_di=plus, minus_di=minus) for frame in Interval}


_STRATEGY = StrategySettings()


def test_adx_of_25_in_every_frame_is_a_full_trend() -> None:
    regime = regime_of(_frames(25.0), _STRATEGY)

    assert regime.label is RegimeLabel.TREND
    assert regime.direction is Direction.BULL
    assert (regime.trend_score_x10000, regime.range_score_x10000) == (10_000, 0)


def test_adx_of_15_in_every_frame_is_a_full_range() -> None:
    regime = regime_of(_frames(15.0), _STRATEGY)

    assert regime.label is RegimeLabel.RANGE
    assert (regime.trend_score_x10000, regime.range_score_x10000) == (0, 10_000)


def test_frames_that_disagree_are_unclear() -> None:
    frames = _frames(25.0)
    frames[Interval.H1] = Directional(adx=25.0, plus_di=10.0, minus_di=30.0)

    regime = regime_of(frames, _STRATEGY)

    assert regime.label is RegimeLabel.UNCLEAR
    assert regime.trend_score_x10000 == 2000


def test_a_falling_trend_is_a_bear() -> None:
    assert regime_of(_frames(40.0, up=False), _STRATEGY).direction is Direction.BEAR


@given(st.dictionaries(st.sampled_from(Interval), st.floats(0, 100), min_size=4, max_size=4))
def test_scores_stay_in_range_and_never_sum_above_one(adx: dict[Interval, float]) -> None:
    frames = {f: Directional(adx=v, plus_di=v, minus_di=50.0) for f, v in adx.items()}

    regime = regime_of(frames, _STRATEGY)

    assert regime.trend_score_x10000 + regime.range_score_x10000 <= 10_001


_ZERO = Decimal(0)
_RATES = CommissionRates(
    symbol="SOLUSDT",
    maker=Decimal("0.00075"),
    taker=Decimal("0.001"),
    buyer=Decimal("0.0001"),
    seller=Decimal("0.0002"),
    tax_maker=Decimal("0.0001"),
    tax_taker=Decimal("0.0001"),
    tax_buyer=_ZERO,
    tax_seller=_ZERO,
    special_maker=_ZERO,
    special_taker=_ZERO,
    special_buyer=_ZERO,
    special_seller=_ZERO,
    discount_enabled=True,
    discount_asset="BNB",
    discount=Decimal("0.75"),
)


def test_fees_add_the_side_and_round_up() -> None:
    fees = fees_of(_RATES, VenueSettings(), discount_usable=False)

    assert (fees.maker_fee_bps, fees.taker_fee_bps, fees.base_fee_bps) == (10, 13, 12)


def test_the_discount_lowers_cost_but_never_the_fee_quantities_assume() -> None:
    fees = fees_of(_RATES, VenueSettings(), discount_usable=True)

    assert (fees.maker_fee_bps, fees.taker_fee_bps, fees.base_fee_bps) == (8, 10, 12)


def test_without_an_account_the_configured_fees_stand() -> None:
    fees = fees_of(None, VenueSettings(maker_bps=3, taker_bps=5), discount_usable=False)

    assert (fees.maker_fee_bps, fees.taker_fee_bps, fees.base_fee_bps) == (3, 5, 5)


def _levels(*pairs: tuple[str, str]) -> tuple[DepthLevel, ...]:
    return tuple(DepthLevel(price=Decimal(p), qty=Decimal(q)) for p, q in pairs)


def test_the_book_is_walked_for_the_planned_size() -> None:
    asks = _levels(("100", "1"), ("101", "1"))

    assert walk_bps(asks, Decimal(100)) == 0
    assert walk_bps(asks, Decimal(201)) == 50
    assert walk_bps(asks, Decimal(202)) == UNFILLABLE_BPS


def test_a_missing_book_leaves_the_defaults() -> None:
    assert slippage_of(None, Decimal(200)) == Slippage(
        entry_maker_bps=1, entry_taker_bps=3, exit_taker_bps=2
    )


@given(st.lists(st.integers(1, 50), min_size=1, max_size=20), st.integers(1, 400))
def test_a_larger_order_never_slips_less(sizes: list[int], quote: int) -> None:
    asks = tuple(
        DepthLevel(price=Decimal(100 + i), qty=Decimal(size) / 10) for i, size in enumerate(sizes)
    )

    assert walk_bps(asks, Decimal(quote)) <= walk_bps(asks, Decimal(quote + 50))


def test_the_hash_covers_what_decides_and_not_times_ids_or_health() -> None:
    snapshot = a_snapshot()
    later = _replace(
        snapshot,
        exchange_time_ms=NOW_MS + 1,
        snapshot_id="other",
        health=_replace(snapshot.health, recent_rejects=2),
        market_24h=_replace(snapshot.market_24h, trades=1),
    )
    dearer = _replace(snapshot, cost_inputs=_replace(snapshot.cost_inputs, taker_fee_bps=11))
    revised = _replace(
        snapshot,
        candles_5m=(
            *snapshot.candles_5m[:-1],
            _replace(snapshot.candles_5m[-1], volume=Decimal(16)),
        ),
    )

    assert snapshot_hash(later) == snapshot.snapshot_hash
    assert snapshot_hash(dearer) != snapshot.snapshot_hash
    assert snapshot_hash(revised) != snapshot.snapshot_hash


def test_the_snapshot_is_named_after_symbol_time_and_hash() -> None:
    snapshot = a_snapshot()

    assert snapshot.snapshot_id == f"snap_SOLUSDT_{NOW_MS}_{snapshot.snapshot_hash[:12]}"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("exchange_time_ms", NOW_MS - 60_001),
        ("exchange_time_ms", NOW_MS + 5001),
        ("local_received_ms", NOW_MS - 60_001),
        ("ema20_5m", Decimal(0)),
        ("candles_5m", ()),
        ("filters_hash", "0" * 64),
    ],
)
def test_an_invalid_snapshot_names_its_problem(field: str, value: object) -> None:
    snapshot = _replace(a_snapshot(), **{field: value})

    assert len(problems_of(snapshot, Settings(), now_ms=NOW_MS)) == 1


def test_a_valid_snapshot_has_no_problem() -> None:
    assert problems_of(a_snapshot(), Settings(), now_ms=NOW_MS) == ()


def _window() -> SymbolWindow:
    return SymbolWindow(
        symbol="SOLUSDT", fees=fees_of(None, VenueSettings(), discount_usable=False)
    )


def _trade(at_ms: int, price: str) -> AggTrade:
    return AggTrade(
        symbol="SOLUSDT",
        trade_id=1,
        price=Decimal(price),
        qty=Decimal(1),
        buyer_is_maker=False,
        exchange_time_ms=at_ms,
        local_received_ms=at_ms,
    )


def test_a_book_with_an_older_update_id_is_refused() -> None:
    window = _window()

    assert window.take_book(a_book(5))
    assert not window.take_book(a_book(5))
    assert not window.take_book(a_book(4, bid=Decimal(1)))
    assert window.book == a_book(5)


def test_a_trade_far_behind_its_stream_is_dropped_and_a_little_disorder_is_not() -> None:
    window = _window()
    window.take_trade(_trade(NOW_MS, "100"))

    assert window.take_trade(_trade(NOW_MS - 5000, "99"))
    assert not window.take_trade(_trade(NOW_MS - 5001, "98"))
    assert window.stale_events == 1
    assert window.last_price == 100


def test_depth_that_missed_two_readings_is_not_used() -> None:
    window = _window()
    window.depth = DepthBook(
        symbol="SOLUSDT",
        last_update_id=1,
        bids=_levels(("100", "0.5"), ("90", "9")),
        asks=_levels(("100", "0.5"), ("110", "9")),
        local_received_ms=NOW_MS,
    )

    used = window.cost_inputs(Settings(), NOW_MS + 60_000)
    old = window.cost_inputs(Settings(), NOW_MS + 65_001)

    assert used.slippage_est_entry_taker_bps > 100
    assert old.slippage_est_entry_taker_bps == 3


@pytest.mark.parametrize("spelling", ["1", "1.0", "1.00"])
def test_a_stored_snapshot_is_its_canonical_json_whatever_was_encoded_before(spelling: str) -> None:
    snapshot = a_snapshot()
    candles = tuple(
        msgspec.structs.replace(candle, volume=Decimal(spelling)) for candle in snapshot.candles_5m
    )
    respelled = msgspec.structs.replace(snapshot, candles_5m=candles)

    for this in (snapshot, respelled, respelled, msgspec.structs.replace(snapshot, candles_5m=())):
        assert snapshot_json(this) == canonical_json(this)
