"""What a made-up market goes through: regimes on a timeline, read from a small TOML file."""

import re
import tomllib
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from livespot.contracts.errors import PreflightFailed
from livespot.exchange.fixed_point import BPS, log_of

_SPAN = re.compile(r"(\d+)(m|h|d)")
_MINUTES = {"m": 1, "h": 60, "d": 1440}
_LONGEST = 14 * 1440
_KEPT_HOURS = 256

Regime = Literal["trend_up", "trend_down", "range", "chop", "jump", "crash", "thin", "halt"]


class ScenarioInvalid(PreflightFailed):
    """A scenario file is missing or says something impossible."""


class PhaseRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[phase]]`. Spans are written 15m, 2h or 1d; an absent size takes the regime's own.

    `symbols`: names, or `all`, or `1/3` for every third symbol from the first on (`2/3`: from the
    second on). `size` is per cent: an hour's drift of a trend, or the whole move of a jump or a
    crash, both in the direction of the sign.
    """

    start: str = msgspec.field(name="from")
    length: str = msgspec.field(name="for")
    regime: Regime
    symbols: str | list[str] = "all"
    size: float | None = None


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    repeat: str = ""
    origin: Literal["start", "day"] = "start"
    phase: list[PhaseRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One phase in minutes from the scenario's origin."""

    start: int
    length: int
    regime: Regime
    symbols: str | tuple[str, ...]
    size_bps: int

    def covers(self, symbol: str, number: int) -> bool:
        """Whether it concerns the symbol, the `number`-th of the market from 0."""
        if not isinstance(self.symbols, str):
            return symbol in self.symbols
        if self.symbols == "all":
            return True
        first, every = map(int, self.symbols.split("/"))
        return number % every == first - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A timeline of `length` minutes, once or for ever.

    It begins with play, or with the day (UTC), so that it is the same market after a restart.
    """

    name: str
    phases: tuple[Phase, ...]
    length: int
    repeat: bool
    from_day: bool

    def phases_of(self, symbol: str, number: int) -> tuple[Phase, ...]:
        """What one symbol, the `number`-th of the market from 0, goes through."""
        return tuple(phase for phase in self.phases if phase.covers(symbol, number))


@dataclass(frozen=True, slots=True)
class _Nature:
    """What a regime does by itself: per cent of the usual, and basis points."""

    size_bps: int = 0
    noise: int = 100
    volume: int = 100
    spread: int = 100
    depth: int = 100
    pullback_bps: int = 0


_NATURES: dict[Regime, _Nature] = {
    "trend_up": _Nature(240, noise=190, volume=170, pullback_bps=130),
    "trend_down": _Nature(-240, noise=190, volume=170, pullback_bps=130),
    "range": _Nature(noise=80, volume=80),
    "chop": _Nature(noise=260, volume=150),
    "jump": _Nature(400, noise=150, volume=300),
    "crash": _Nature(-3000, noise=250, volume=600, spread=300, depth=30),
    "thin": _Nature(noise=120, volume=30, spread=900, depth=8),
    "halt": _Nature(),
}
# A trend advances for some minutes and gives part of it back in the next.
_ADVANCE, _SWING = 24, 35


@dataclass(frozen=True, slots=True)
class HourWeather:
    """Sixty minutes of each column; `drift` has the hour's end too."""

    noise: list[int]
    volume: list[int]
    spread: list[int]
    halted: list[int]
    drift: list[int]
    calm: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """Columns of one symbol's conditions by minute of the scenario.

    `drift` has one value more than there are minutes, in ONE of a logarithm; the others are per
    cent of the usual; `halted` is 1 where trading is halted.
    """

    scenario: Scenario
    origin_minute: int
    drift: "array[int]"
    noise: "array[int]"
    volume: "array[int]"
    spread: "array[int]"
    depth: "array[int]"
    halted: "array[int]"
    _hours: dict[int, HourWeather] = field(init=False, default_factory=dict)

    def hour(self, number: int) -> HourWeather:
        """The columns of an epoch hour."""
        found = self._hours.get(number)
        if found is None:
            if len(self._hours) >= _KEPT_HOURS:
                self._hours.clear()
            first, last = self.place(number * 60), self.place(number * 60 + 59)
            noise, volume, spread, halted, drift = (
                self._column(column, first, number * 60)
                for column in (self.noise, self.volume, self.spread, self.halted, self.drift)
            )
            drift.append(self.drift[last + 1])
            calm = not any(halted) and max(spread) <= 100
            found = HourWeather(noise, volume, spread, halted, drift, calm)
            self._hours[number] = found
        return found

    def _column(self, column: "array[int]", first: int, minute: int) -> list[int]:
        """An hour's sixty values from the epoch minute on, which stands at place `first`."""
        if self.place(minute + 59) == first + 59:
            return column[first : first + 60].tolist()
        return [column[self.place(minute + i)] for i in range(60)]

    def place(self, minute: int) -> int:
        """The column of an epoch minute; beyond both ends of a single run, the nearest calm one."""
        since = minute - self.origin_minute
        if self.scenario.repeat:
            return since % self.scenario.length
        return min(max(since, -1), self.scenario.length) + 1


def read_scenario(path: Path) -> Scenario:
    """Raises `ScenarioInvalid` with what is wrong and where."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ScenarioInvalid(f"cannot read {path}: {error.strerror}") from error
    try:
        return _scenario(msgspec.convert(tomllib.loads(text), type=_File))
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, ValueError) as error:
        raise ScenarioInvalid(f"{path}: {error}") from error


def _scenario(file: _File) -> Scenario:
    phases = tuple(_phase(row) for row in file.phase)
    last = max((phase.start + phase.length for phase in phases), default=1)
    length = _minutes(file.repeat) if file.repeat else last
    if length < last:
        raise ValueError(f"it repeats after {file.repeat}, before its last phase ends")
    if not 0 < length <= _LONGEST:
        raise ValueError(f"it lasts {length} minutes, which is not between 1 and {_LONGEST}")
    return Scenario(
        name=file.name,
        phases=phases,
        length=length,
        repeat=bool(file.repeat),
        from_day=file.origin == "day",
    )


def _phase(row: PhaseRow) -> Phase:
    bps = _NATURES[row.regime].size_bps if row.size is None else round(row.size * 100)
    length = _minutes(row.length)
    if length < 1:
        raise ValueError(f"a phase of {row.length} is no phase")
    if not -9_000 <= bps <= 20_000:
        raise ValueError(f"size {row.size} is not between -90 and 200 per cent")
    symbols = row.symbols
    if isinstance(symbols, str) and not (symbols == "all" or _fraction(symbols)):
        raise ValueError(f"symbols {symbols!r} is neither a list, nor all, nor a part such as 1/3")
    return Phase(
        start=_minutes(row.start),
        length=length,
        regime=row.regime,
        symbols=symbols if isinstance(symbols, str) else tuple(symbols),
        size_bps=bps,
    )


def _fraction(text: str) -> bool:
    found = re.fullmatch(r"(\d{1,3})/(\d{1,3})", text)
    return found is not None and 1 <= int(found[1]) <= int(found[2])


def _minutes(text: str) -> int:
    if text == "0":
        return 0
    found = _SPAN.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a span of time; write 15m, 2h or 1d")
    return int(found[1]) * _MINUTES[found[2]]


def weather(scenario: Scenario, phases: tuple[Phase, ...], origin_minute: int) -> Weather:
    """The columns of a symbol that goes through these phases."""
    # A single run has a calm column before and after it.
    edge = 0 if scenario.repeat else 1
    count = scenario.length + 2 * edge
    columns = {name: array("i", [100] * count) for name in ("noise", "volume", "spread", "depth")}
    halted, moves = array("i", bytes(4 * count)), [0] * count
    for phase in phases:
        nature = _NATURES[phase.regime]
        for at in range(phase.start, min(phase.start + phase.length, scenario.length)):
            for name, column in columns.items():
                column[at + edge] = column[at + edge] * getattr(nature, name) // 100
            halted[at + edge] |= phase.regime == "halt"
            moves[at + edge] += _move(phase, nature, at - phase.start)
    return Weather(
        scenario=scenario,
        origin_minute=origin_minute,
        drift=_drift(moves, closed=scenario.repeat),
        halted=halted,
        **columns,
    )


def _move(phase: Phase, nature: _Nature, at: int) -> int:
    """The logarithm by which a phase moves the price in its `at`-th minute."""
    if phase.regime in ("jump", "crash"):
        return log_of(10_000 + phase.size_bps) if at == 0 else 0
    move = phase.size_bps * BPS // 60
    if nature.pullback_bps:
        sign = 1 if phase.size_bps >= 0 else -1
        whole = sign * nature.pullback_bps * BPS
        back = _SWING - _ADVANCE
        move += whole // _ADVANCE if at % _SWING < _ADVANCE else -whole // back
    return move


def _drift(moves: list[int], *, closed: bool) -> "array[int]":
    """Sums of the moves; a repeating scenario's excess is taken back evenly, so that it closes."""
    total = sum(moves) if closed else 0
    drift, walked = array("q", [0]), 0
    for done, move in enumerate(moves, start=1):
        walked += move
        drift.append(walked - total * done // len(moves))
    return drift
