"""The data sets an exchange can be started with, by name or by directory."""

import difflib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from livespot.contracts.errors import PreflightFailed
from livespot.exchange.candle import MINUTE_MS
from livespot.exchange.continued import ContinuedMarket, continued
from livespot.exchange.limits import iso
from livespot.exchange.listings import MOST_SYMBOLS
from livespot.exchange.recorded import (
    FORMAT as RECORDED_FORMAT,
)
from livespot.exchange.recorded import (
    RecordedDataInvalid,
    RecordedMarket,
    load_recorded,
    packaged_data,
    read,
)
from livespot.exchange.replayed import FORMAT as REPLAYED_FORMAT
from livespot.exchange.replayed import ReplayedMarket, load_replayed
from livespot.exchange.scenario import Scenario, read_scenario
from livespot.exchange.sources import WARM_UP_MINUTES, MarketSource
from livespot.exchange.synthetic_market import SyntheticMarket, SyntheticOrder, open_synthetic

_DAY_MS = 86_400_000
# How much of a record lies before the present when it is moved to the present.
_PAST_DAYS = 5
_MADE_UP_SYMBOLS = 12


@dataclass(frozen=True, slots=True)
class DataSet:
    """One set that comes with the program. `symbols` is 0 for recordings."""

    name: str
    about: str
    symbols: int = 0
    scenario: str = ""


DATA_SETS = (
    DataSet("recorded", "ten USDT pairs, real one-minute candles of April 2021"),
    DataSet("replayed", "three minutes of BTCUSDT of August 2024, every real quote and trade"),
    DataSet("synthetic", "made up: 12 pairs, trends and ranges for ever", _MADE_UP_SYMBOLS, "day"),
    DataSet("synthetic-400", "made up: the same with 400 pairs", 400, "day"),
    DataSet(
        "synthetic-stress",
        "made up: thin book, crash, halt and jumps within half an hour of the start",
        _MADE_UP_SYMBOLS,
        "stress",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataOrder:
    """What to play. `name` is a set's, `synthetic-N`, or a directory's path.

    `shifted`: a record is moved by whole days so that the present lies inside it, and its last
    days repeat after its end. Otherwise it plays at its own times and then stands still.
    """

    name: str
    seed: int
    now_ms: int
    shifted: bool = False
    only: frozenset[str] = frozenset()
    scenario: Path | None = None


def open_market(order: DataOrder) -> MarketSource:
    """Raises `PreflightFailed` when there is no such set, it is damaged, or not of this time."""
    chosen = _named(order.name)
    if chosen is not None and chosen.symbols:
        return _made_up(order, chosen)
    if order.scenario is not None:
        raise PreflightFailed("a scenario needs made-up data; add --data synthetic")
    if chosen is None:
        return _directory(order, Path(order.name))
    packaged = packaged_data()
    return _directory(order, packaged if chosen.name == "recorded" else packaged / chosen.name)


def live_from(source: MarketSource, now_ms: int) -> int:
    """The minute play begins with: some before the present, so that averages have a past.

    Raises `RecordedDataInvalid` when the present is not in the data.
    """
    warm_up = source.warm_up_minutes * MINUTE_MS
    first = now_ms // MINUTE_MS * MINUTE_MS - warm_up
    if source.start_ms <= first and (source.end_ms is None or now_ms < source.end_ms):
        return first
    until = iso(source.end_ms) if source.end_ms is not None else "any later time"
    raise RecordedDataInvalid(
        f"the recorded data plays from {iso(source.start_ms + warm_up)} to {until}, "
        f"not at {iso(now_ms)}"
    )


def _named(name: str) -> DataSet | None:
    for data_set in DATA_SETS:
        if data_set.name == name:
            return data_set
    kind, _, count = name.partition("-")
    if kind != "synthetic" or not (count.isascii() and count.isdigit()):
        return None
    if not 1 <= int(count) <= MOST_SYMBOLS:
        raise PreflightFailed(f"{name}: between 1 and {MOST_SYMBOLS} pairs can be made up")
    return DataSet(name, "", int(count), "day")


def _made_up(order: DataOrder, chosen: DataSet) -> SyntheticMarket:
    from_ms = (order.now_ms // MINUTE_MS - WARM_UP_MINUTES) * MINUTE_MS
    try:
        return open_synthetic(
            SyntheticOrder(
                name=chosen.name,
                seed=order.seed,
                count=chosen.symbols,
                scenario=_scenario(order, chosen),
                # A timeline counts from what clients see first, not from the warm-up.
                from_ms=from_ms + WARM_UP_MINUTES * MINUTE_MS,
                only=order.only,
            )
        )
    except ValueError as error:
        raise PreflightFailed(str(error)) from error


def _scenario(order: DataOrder, chosen: DataSet) -> Scenario:
    packaged = packaged_data() / f"scenario-{chosen.scenario}.toml"
    return read_scenario(order.scenario if order.scenario is not None else packaged)


def _directory(order: DataOrder, directory: Path) -> MarketSource:
    head = _head(directory)
    if head.format == REPLAYED_FORMAT:
        shift = _shift(head, order, MINUTE_MS) if order.shifted else 0
        return load_replayed(directory, order.only, shift)
    if head.format != RECORDED_FORMAT:
        raise RecordedDataInvalid(f"{directory}: unknown format {head.format!r}")
    if not order.shifted:
        return load_recorded(directory, order.only)
    # A record of less than two days can only be moved by minutes.
    unit = _DAY_MS if head.end_ms - head.start_ms >= 2 * _DAY_MS else MINUTE_MS
    return continued(load_recorded(directory, order.only, _shift(head, order, unit)))


class _Head(msgspec.Struct, frozen=True):
    format: str
    start_ms: int
    end_ms: int


def _head(directory: Path) -> _Head:
    path = directory / "manifest.json"
    if not path.is_file():
        names = [data_set.name for data_set in DATA_SETS]
        close = difflib.get_close_matches(str(directory), names, n=1)
        meant = f" (did you mean {close[0]}?)" if close else ""
        raise RecordedDataInvalid(
            f"cannot read {path}: no such file{meant}; --data takes a directory with a "
            f"manifest.json or one of {', '.join(names)}"
        )
    try:
        return msgspec.json.decode(read(path), type=_Head)
    except msgspec.DecodeError as error:
        raise RecordedDataInvalid(f"{path}: {error}") from error


def _shift(head: _Head, order: DataOrder, unit_ms: int) -> int:
    """By how much to move a record so that the present lies in it, as early as its past allows."""
    if unit_ms == MINUTE_MS:
        past = 0 if head.format == REPLAYED_FORMAT else WARM_UP_MINUTES * MINUTE_MS
    else:
        past = min(_PAST_DAYS * _DAY_MS, (head.end_ms - head.start_ms) // 2)
    return (order.now_ms - head.start_ms - past) // unit_ms * unit_ms


def recorded_until(source: MarketSource) -> int | None:
    """When a record that plays comes to its end; None where there is nothing recorded."""
    match source:
        case ContinuedMarket():
            return source.recorded_until_ms
        case RecordedMarket() | ReplayedMarket():
            return source.end_ms
        case _:
            return None
