"""The symbols of a made-up market: names, prices, trading rules, how they move."""

from dataclasses import dataclass
from decimal import Decimal
from importlib import resources
from math import isqrt
from typing import Any

import msgspec

from livespot.exchange.prng import SplitMix
from livespot.exchange.synthetic import Character

MOST_SYMBOLS = 1000
# Round figures of 2024, so that bots configured for these pairs find familiar magnitudes.
_KNOWN = {
    "BTCUSDT": (Decimal(61_200), 60),
    "ETHUSDT": (Decimal(3_100), 75),
    "SOLUSDT": (Decimal(148), 120),
    "BNBUSDT": (Decimal(560), 70),
    "XRPUSDT": (Decimal("0.58"), 100),
    "DOGEUSDT": (Decimal("0.155"), 140),
    "ADAUSDT": (Decimal("0.46"), 120),
    "LINKUSDT": (Decimal("14.2"), 125),
    "LTCUSDT": (Decimal(78), 95),
    "MATICUSDT": (Decimal("0.71"), 135),
}
_ONSETS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "tr", "kr")
_VOWELS = ("a", "e", "i", "o", "u")
_CODAS = ("x", "n", "r", "l", "s", "m", "k", "")
_LIMIT_STOPS = ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"]
_ALL_STOPS = [*_LIMIT_STOPS, "STOP_LOSS", "TAKE_PROFIT"]
_LARGEST_VOLUME = 1_500_000_000
_SMALLEST_VOLUME = 7_000_000
_MINUTES = 1440

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Listing:
    """One symbol as the exchange lists it, and what it is like."""

    symbol: str
    row: Row
    tick_size: Decimal
    step_size: Decimal
    character: Character


def listed(seed: int, count: int) -> list[Listing]:
    """The first `count` symbols: ten known pairs, then invented ones. More only adds to fewer."""
    packaged = resources.files("livespot.exchange") / "data" / "symbols.json"
    rows = {
        row["symbol"]: row for row in msgspec.json.decode(packaged.read_bytes(), type=list[Row])
    }
    known = [
        _listing(seed, number, rows[symbol], *_KNOWN[symbol])
        for number, symbol in enumerate(_KNOWN)
    ][:count]
    taken = set(_KNOWN)
    invented = []
    template = rows["SOLUSDT"]
    for number in range(len(_KNOWN), count):
        draw = SplitMix(f"{seed}:listing:{number}")
        base = _name(draw)
        while f"{base}USDT" in taken:
            base = _name(draw)
        taken.add(f"{base}USDT")
        price = _price(draw)
        row = _row(template, base, price, draw)
        invented.append(_listing(seed, number, row, price, 80 + draw.below(90)))
    return known + invented


def _listing(seed: int, number: int, row: Row, price: Decimal, deviation_bps: int) -> Listing:
    draw = SplitMix(f"{seed}:character:{number}")
    filters = {rule["filterType"]: rule for rule in row["filters"]}
    tick = Decimal(filters["PRICE_FILTER"]["tickSize"])
    step = Decimal(filters["LOT_SIZE"]["stepSize"])
    daily = max(_SMALLEST_VOLUME, _LARGEST_VOLUME // (number + 1)) * (80 + draw.below(41)) // 100
    loading = 550 + draw.below(300)
    return Listing(
        row["symbol"],
        row,
        tick,
        step,
        Character(
            deviation_bps=deviation_bps,
            loading=loading,
            rest=isqrt(1_000_000 - loading * loading),
            mean_price=int(price / tick),
            mean_volume=int(daily / (_MINUTES * price * step)),
        ),
    )


def _name(draw: SplitMix) -> str:
    syllables = [
        _ONSETS[draw.below(len(_ONSETS))] + _VOWELS[draw.below(len(_VOWELS))] for _ in range(2)
    ]
    return ("".join(syllables) + _CODAS[draw.below(len(_CODAS))]).upper()


def _price(draw: SplitMix) -> Decimal:
    """Three digits between 0.00100 and 999, the magnitudes equally likely."""
    return Decimal(100 + draw.below(900)).scaleb(-5 + draw.below(6))


def _row(template: Row, base: str, price: Decimal, draw: SplitMix) -> Row:
    """Rules in the mix of styles the exchange has: old and new notionals, few or all stop types."""
    # Four to six digits of price, and a lot step worth a cent or less.
    tick = Decimal(1).scaleb(price.adjusted() - 3 - draw.below(3)).max(Decimal("1E-8"))
    step = Decimal(1).scaleb(-2 - price.adjusted() - draw.below(2)).max(Decimal("1E-8"))
    step = step.min(Decimal(1))
    lot = {"minQty": _text(step), "maxQty": _text(step * 900_000_000), "stepSize": _text(step)}
    span = {"minPrice": _text(tick), "maxPrice": _text(tick * 10_000_000)}
    changed = {
        "PRICE_FILTER": {**span, "tickSize": _text(tick)},
        "LOT_SIZE": lot,
        "MARKET_LOT_SIZE": {"maxQty": _text(step * 90_000_000)},
    }
    filters = [rule | changed.get(rule["filterType"], {}) for rule in template["filters"]]
    if draw.below(4) == 0:
        filters = [_old_notional() if r["filterType"] == "NOTIONAL" else r for r in filters]
    return template | {
        "symbol": f"{base}USDT",
        "baseAsset": base,
        "orderTypes": _ALL_STOPS if draw.below(2) else _LIMIT_STOPS,
        "filters": filters,
    }


def _old_notional() -> Row:
    return {
        "filterType": "MIN_NOTIONAL",
        "minNotional": "10.00000000",
        "applyToMarket": True,
        "avgPriceMins": 5,
    }


def _text(value: Decimal) -> str:
    return format(value, ".8f")
