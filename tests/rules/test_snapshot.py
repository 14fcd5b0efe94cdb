"""What a snapshot's hash covers, what makes one invalid, and what keeps one from existing."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.canonical import hash_of
from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import (
    BookTicker,
    Candle,
    DepthBook,
    DepthLevel,
    Prices,
    Regime,
    Rejection,
    Snapshot,
)
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import Direction, Interval, RegimeLabel
from livespot.rules.snapshot import (
    SnapshotContext,
    build_snapshot,
    deep_features,
    identified,
    problems_of,
    snapshot_hash,
)
from livespot.rules.symbol_window import SymbolWindow
from livespot.testing.market_values import NOW_MS, a_book, a_snapshot, recorded_minutes
from livespot.testing.recorded_market import window_of

_replace = msgspec.structs.replace
_SETTINGS = Settings()
_AT = 1_618_919_400_000


def _one_more(value: Any) -> Any:
    """Another valid value of the same kind."""
    match value:
        case bool():
            return not value
        case RegimeLabel():
            return RegimeLabel.RANGE
        case Direction():
            return Direction.BEAR
        case Interval():
            return Interval.M1
        case str():
            return value + "x"
        case int():
            return value + 1
        case Decimal():
            return value + Decimal("0.001")
        case tuple():
            return (*value[:-1], _one_more(value[-1])) if value else (_LEVEL,)
        case _:
            return _replace(
                value, **{name: _one_more(getattr(value, name)) for name in [_first(value)]}
            )


def _first(struct: msgspec.Struct) -> str:
    return struct.__struct_fields__[0]


_LEVEL = DepthLevel(price=Decimal(1), qty=Decimal(1))
_HASHED = {
    "symbol",
    "symbol_status",
    "filters_hash",
    "config_hash",
    "thresholds_hash",
    "regime",
    "microstructure",
    "volatility",
    "prices",
    "cost_inputs",
    "returns",
    "candles_5m",
}
_FREE = {
    "market_24h",
    "health",
    "exchange_time_ms",
    "local_received_ms",
    "snapshot_id",
    "snapshot_hash",
    # These follow from what is hashed, or act only through it.
    "ema20_5m",
    "volume_ratio_5m_x10000",
    "depth_top5_bids",
    "depth_top5_asks",
    "constraints",
}


def test_every_member_of_a_snapshot_is_either_hashed_or_free() -> None:
    assert set(Snapshot.__struct_fields__) == _HASHED | _FREE
    assert not _HASHED & _FREE


@pytest.mark.parametrize("name", sorted(_FREE))
def test_times_ids_health_and_the_day_leave_the_hash_alone(name: str) -> None:
    snapshot = a_snapshot()
    changed = _replace(snapshot, **{name: _one_more(getattr(snapshot, name))})

    assert changed != snapshot
    assert snapshot_hash(changed) == snapshot.snapshot_hash


def _hashed_members() -> list[tuple[str, ...]]:
    """Each hashed member, and each member of those that have some."""
    snapshot = a_snapshot()
    found: list[tuple[str, ...]] = []
    for name in sorted(_HASHED):
        value = getattr(snapshot, name)
        inner = getattr(value, "__struct_fields__", ())
        found += [(name, part) for part in inner if part != "frames"] or [(name,)]
    return found


@pytest.mark.parametrize("path", _hashed_members(), ids=".".join)
def test_each_deciding_member_changes_the_hash(path: tuple[str, ...]) -> None:
    snapshot = a_snapshot()
    name, *part = path
    value = getattr(snapshot, name)
    new = (
        _replace(value, **{part[0]: _one_more(getattr(value, part[0]))})
        if part
        else _one_more(value)
    )

    changed = _replace(snapshot, **{name: new})

    assert snapshot_hash(changed) != snapshot.snapshot_hash


@pytest.mark.parametrize("frame", [interval.value for interval in Interval])
@pytest.mark.parametrize("reading", ["adx_x10000", "plus_di_x10000", "minus_di_x10000"])
def test_each_frames_readings_change_the_hash(frame: str, reading: str) -> None:
    snapshot = a_snapshot()
    old = snapshot.regime.frames[frame]
    frames = snapshot.regime.frames | {frame: _replace(old, **{reading: getattr(old, reading) + 1})}

    changed = _replace(snapshot, regime=_replace(snapshot.regime, frames=frames))

    assert snapshot_hash(changed) != snapshot.snapshot_hash


@pytest.mark.parametrize("place", [0, 20, 39])
@pytest.mark.parametrize("field", Candle.__struct_fields__)
def test_each_number_of_each_candle_changes_the_hash(field: str, place: int) -> None:
    snapshot = a_snapshot()
    candles = list(snapshot.candles_5m)
    old = candles[place]
    nudge = {"open_time_ms": 1, "low": Decimal("-0.001")}.get(field, Decimal("0.001"))
    candles[place] = _replace(old, **{field: getattr(old, field) + nudge})

    assert snapshot_hash(_replace(snapshot, candles_5m=tuple(candles))) != snapshot.snapshot_hash


@given(st.permutations([interval.value for interval in Interval]))
def test_the_order_of_a_mapping_is_no_part_of_the_hash(order: list[str]) -> None:
    snapshot = a_snapshot()
    frames = {name: snapshot.regime.frames[name] for name in order}
    regime = Regime(
        **{n: getattr(snapshot.regime, n) for n in Regime.__struct_fields__ if n != "frames"},
        frames=frames,
    )

    assert identified(_replace(snapshot, regime=regime)) == snapshot


_INTS = st.integers(-10_000, 10_000)
_AMOUNTS = st.decimals("1e-9", "1e9", places=9).filter(lambda amount: amount > 0)
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(
    texts=st.tuples(_TEXTS, _TEXTS, _TEXTS, _TEXTS, _TEXTS),
    numbers=st.tuples(_INTS, _INTS, _INTS),
    prices=st.tuples(_AMOUNTS, _AMOUNTS, _AMOUNTS, _AMOUNTS),
    returns=st.lists(_INTS, max_size=4),
)
def test_the_hash_is_that_of_an_object_of_its_parts(
    texts: tuple[str, ...],
    numbers: tuple[int, ...],
    prices: tuple[Decimal, ...],
    returns: list[int],
) -> None:
    first, second, third = numbers
    bid, ask = sorted(prices[:2])
    plain = a_snapshot()
    snapshot = _replace(
        plain,
        **dict(zip(_NAMES, texts, strict=True)),
        microstructure=_replace(plain.microstructure, delta_spread_bps_p90_10s=first),
        volatility=_replace(plain.volatility, atr14_15m_bps=second),
        cost_inputs=_replace(plain.cost_inputs, base_fee_bps=third),
        prices=Prices(best_bid=bid, best_ask=ask, mid_price=prices[2], last_price=prices[3]),
        returns=_replace(plain.returns, log_return_bps=tuple(returns)),
    )
    parts = {name: getattr(snapshot, name) for name in (*_NAMES, *_READINGS)}

    assert snapshot_hash(snapshot) == hash_of(
        parts | {"candles_5m_sha256": hash_of(snapshot.candles_5m)}
    )


_NAMES = ("symbol", "symbol_status", "filters_hash", "config_hash", "thresholds_hash")
_READINGS = ("regime", "microstructure", "volatility", "prices", "cost_inputs", "returns")


# ---- validation


def _micro(**changes: int) -> dict[str, Any]:
    return {"microstructure": _replace(a_snapshot().microstructure, **changes)}


def _frames(**changes: int) -> dict[str, Any]:
    regime = a_snapshot().regime
    frames = regime.frames | {"1h": _replace(regime.frames["1h"], **changes)}
    return {"regime": _replace(regime, frames=frames)}


def _day(**changes: Any) -> dict[str, Any]:
    return {"market_24h": _replace(a_snapshot().market_24h, **changes)}


def _returns(**changes: Any) -> dict[str, Any]:
    return {"returns": _replace(a_snapshot().returns, **changes)}


def _level(price: str, qty: str = "1") -> DepthLevel:
    return DepthLevel(price=Decimal(price), qty=Decimal(qty))


_STALE, _EARLY = NOW_MS - 60_001, NOW_MS + 5_001
_BROKEN: dict[str, dict[str, Any]] = {
    "symbol": {"symbol": ""},
    "status": {"symbol_status": ""},
    "config": {"config_hash": ""},
    "thresholds": {"thresholds_hash": ""},
    "filters": {"filters_hash": "0" * 64},
    "candles-none": {"candles_5m": ()},
    "candles-39": {"candles_5m": a_snapshot().candles_5m[1:]},
    "frame-missing": {
        "regime": _replace(
            a_snapshot().regime,
            frames={k: v for k, v in a_snapshot().regime.frames.items() if k != "1m"},
        )
    },
    "adx-above": _frames(adx_x10000=1_000_001),
    "di-below": _frames(minus_di_x10000=-1),
    "imbalance-above": _micro(bid_ask_imbalance_p50_10s_x10000=10_001),
    "imbalance-below": _micro(bid_ask_imbalance_p50_10s_x10000=-1),
    "spread-below": _micro(spread_current_bps=-1),
    "p50-above-p90": _micro(spread_bps_p50_60s=9, spread_bps_p90_60s=8),
    "microvol-below": _micro(microvol_bps_10s=-1),
    "atr-below": {"volatility": _replace(a_snapshot().volatility, atr14_15m_bps=-1)},
    "ema-zero": {"ema20_5m": Decimal(0)},
    "ema-nan": {"ema20_5m": Decimal("NaN")},
    "ema-infinite": {"ema20_5m": Decimal("Infinity")},
    "ratio-below": {"volume_ratio_5m_x10000": -1},
    "returns-short": _returns(log_return_bps=(0,) * 71),
    "returns-frame": _returns(timeframe=Interval.M1),
    "returns-missing": _returns(missing_count=73),
    "exchange-stale": {"exchange_time_ms": _STALE},
    "exchange-early": {"exchange_time_ms": _EARLY},
    "local-stale": {"local_received_ms": _STALE},
    "local-early": {"local_received_ms": _EARLY},
    "day-stale": _day(source_ts_ms=_STALE - 60_000),
    "day-early": _day(source_ts_ms=_EARLY),
    "day-volume-nan": _day(quote_volume=Decimal("NaN")),
    "day-volume-below": _day(quote_volume=Decimal(-1)),
    "day-trades": _day(trades=-1),
    "depth-price": {"depth_top5_bids": (_level("0"),)},
    "depth-size": {"depth_top5_asks": (_level("1", "-1"),)},
    "depth-nan": {"depth_top5_asks": (_level("NaN"),)},
    "depth-crossed": {"depth_top5_bids": (_level("2"),), "depth_top5_asks": (_level("1"),)},
}


@pytest.mark.parametrize("changes", _BROKEN.values(), ids=_BROKEN)
def test_each_broken_rule_is_named_alone(changes: dict[str, Any]) -> None:
    snapshot = _replace(a_snapshot(), **changes)

    assert len(problems_of(snapshot, _SETTINGS, now_ms=NOW_MS)) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"exchange_time_ms": _STALE + 1},
        {"exchange_time_ms": _EARLY - 1},
        {"local_received_ms": _STALE + 1},
        _day(source_ts_ms=_STALE + 1 - 60_000),
        {"depth_top5_bids": (_level("1"),), "depth_top5_asks": (_level("1"),)},
    ],
)
def test_the_last_allowed_value_is_allowed(changes: dict[str, Any]) -> None:
    assert problems_of(_replace(a_snapshot(), **changes), _SETTINGS, now_ms=NOW_MS) == ()


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "sNaN", "Infinity"])
@pytest.mark.parametrize("name", Prices.__struct_fields__)
def test_no_snapshot_can_hold_an_insane_price(name: str, price: str) -> None:
    with pytest.raises((ValueError, ArithmeticError)):
        Prices(**{**msgspec.structs.asdict(a_snapshot().prices), name: Decimal(price)})


def test_no_snapshot_can_hold_a_crossed_book() -> None:
    prices = a_snapshot().prices

    with pytest.raises(ValueError, match="must not cross"):
        _checked(prices, best_bid=prices.best_ask + 1)


@pytest.mark.parametrize("score", [-1, 10_001])
@pytest.mark.parametrize("name", ["trend_score_x10000", "range_score_x10000"])
def test_no_regime_can_hold_a_score_out_of_range(name: str, score: int) -> None:
    with pytest.raises(ValueError, match=name):
        _checked(a_snapshot().regime, **{name: score})


def _checked(value: Any, **changes: Any) -> Any:
    """A changed copy, made as any other value of its type."""
    return type(value)(**{n: changes.get(n, getattr(value, n)) for n in value.__struct_fields__})


# ---- from a window


@dataclass(frozen=True, slots=True)
class _Case:
    change: Callable[[SymbolWindow], None]
    reason: ReasonCode


def _window() -> SymbolWindow:
    minutes = tuple(m for m in recorded_minutes("SOLUSDT") if m.open_time_ms + 60_000 <= _AT)
    return window_of("SOLUSDT", minutes[-20_000:], _AT)


def _context() -> SnapshotContext:
    return SnapshotContext(
        settings=_SETTINGS, config_hash="c" * 64, thresholds_hash="d" * 64, now_ms=_AT, ws_ok=True
    )


def _crossed_depth(window: SymbolWindow) -> None:
    window.depth = DepthBook(
        symbol=window.symbol,
        last_update_id=1,
        bids=(_level("40", "9999"),),
        asks=(_level("30", "9999"),),
        local_received_ms=_AT,
    )


def _spike(window: SymbolWindow) -> None:
    book = window.book
    assert book is not None
    half = Decimal("0.6")
    window.take_book(
        a_book(
            book.update_id + 1,
            window.symbol,
            bid=book.bid * half,
            ask=book.ask * half,
            local_received_ms=_AT,
        )
    )


_CASES = {
    "no-info": _Case(lambda w: setattr(w, "info", None), ReasonCode.STRAT_MISSING_FIELD),
    "no-constraints": _Case(
        lambda w: setattr(w, "info", w.info and _replace(w.info, constraints=None)),
        ReasonCode.STRAT_MISSING_FIELD,
    ),
    "no-day": _Case(lambda w: setattr(w, "ticker", None), ReasonCode.STRAT_MISSING_FIELD),
    "no-last-price": _Case(
        lambda w: setattr(w, "last_price", None), ReasonCode.STRAT_MISSING_FIELD
    ),
    "no-book": _Case(lambda w: w.forget_live(), ReasonCode.STRAT_WARMUP),
    "cold-ring": _Case(lambda w: w.ring.clear(), ReasonCode.STRAT_WARMUP),
    "stale-events": _Case(
        lambda w: setattr(w, "exchange_time_ms", _AT - 60_001), ReasonCode.STRAT_INPUT_INVALID
    ),
    "stale-books": _Case(
        lambda w: setattr(w, "local_received_ms", _AT - 60_001), ReasonCode.STRAT_INPUT_INVALID
    ),
    "old-day": _Case(
        lambda w: setattr(w, "ticker", w.ticker and _replace(w.ticker, close_time_ms=1)),
        ReasonCode.STRAT_INPUT_INVALID,
    ),
    "crossed-depth": _Case(_crossed_depth, ReasonCode.STRAT_INPUT_INVALID),
    "zero-last-price": _Case(
        lambda w: setattr(w, "last_price", Decimal(0)), ReasonCode.STRAT_INPUT_INVALID
    ),
    "spike": _Case(_spike, ReasonCode.MD_PRICE_INSANE),
}


def test_a_complete_window_gives_a_valid_snapshot() -> None:
    built = build_snapshot(_window(), _context(), out_of_order_drops=4)

    assert isinstance(built, Snapshot)
    assert problems_of(built, _SETTINGS, now_ms=_AT) == ()
    assert built == identified(built)
    assert built.microstructure.out_of_order_drops == 4
    assert built.snapshot_id == f"snap_SOLUSDT_{built.exchange_time_ms}_{built.snapshot_hash[:12]}"


@pytest.mark.parametrize("case", _CASES.values(), ids=_CASES)
def test_a_window_that_lacks_something_gives_no_snapshot_and_says_why(case: _Case) -> None:
    window = _window()
    case.change(window)

    built = build_snapshot(window, _context(), out_of_order_drops=0)

    assert isinstance(built, Rejection)
    assert built.reasons == (case.reason,)
    assert built.detail


def test_a_missing_field_is_named() -> None:
    window = _window()
    window.info = window.ticker = None

    built = build_snapshot(window, _context(), out_of_order_drops=0)

    assert isinstance(built, Rejection)
    assert built.detail == "info, constraints, ticker"


def test_a_doubtful_price_sits_out_the_deep_scan_too() -> None:
    window = _window()
    calm = deep_features(window, _context(), out_of_order_drops=0)
    _spike(window)

    doubtful = deep_features(window, _context(), out_of_order_drops=0)

    assert calm.warm
    assert not doubtful.warm
    assert doubtful.microstructure is None


def test_a_book_of_the_future_minute_is_no_part_of_what_was_built() -> None:
    """Readings are remembered between closes; what is built twice is equal, and new books show."""
    window = _window()
    one = build_snapshot(window, _context(), out_of_order_drops=0)
    again = build_snapshot(window, _context(), out_of_order_drops=0)
    book = window.book
    assert isinstance(book, BookTicker)
    window.take_book(_replace(book, update_id=book.update_id + 1, bid=book.bid - Decimal("0.01")))
    later = build_snapshot(window, _context(), out_of_order_drops=0)

    assert one == again
    assert isinstance(later, Snapshot)
    assert isinstance(one, Snapshot)
    assert later.prices.best_bid == one.prices.best_bid - Decimal("0.01")
    assert later.snapshot_hash != one.snapshot_hash
