"""Draws a made-up market: how the first entry is filled, and how the price moves afterwards."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from livespot.testing.search.dice import Dice
from livespot.testing.search.stage import Leg, Shape, StagedSymbol, StagePlan
from livespot.testing.search.staged_market import BILLS

# A minute of samples and a decision: the default strategy enters about this long after its boot.
ENTRY_MS = 66_000
# Variants of the past whose trend and range were found clear enough.
VARIANTS: Mapping[Shape, tuple[int, ...]] = {"rising": (4, 5, 6), "ranging": (0, 1, 2)}
_EVENING = 20


@dataclass(frozen=True, slots=True)
class Scene:
    """A drawn market and how long its story lasts; the rest of the run stands still."""

    stage: StagePlan
    story_ms: int
    start_ms: int


@dataclass(frozen=True, slots=True)
class _Filling:
    """How an entry fares: where the price goes meanwhile, and what is traded there."""

    legs: tuple[Leg, ...]
    noise_x100: int
    top_quote: int
    print_quote: int


def drawn_scene(seed: int, *, after_ms: int) -> Scene:
    """One trade, seldom two; `after_ms` is how long the run goes on after the story."""
    dice = Dice(f"scene {seed}")
    names = _picked(dice, 2 if dice.percent(15) else 1)
    symbols = tuple(_symbol(dice, name, _lead(dice)) for name in names)
    return _scene(dice, seed, symbols, after_ms)


def drawn_play(seed: int, *, story_ms: int, after_ms: int) -> Scene:
    """Three symbols whose prices come back again and again, so that each is traded several times.

    The last act begins before `story_ms`.
    """
    dice = Dice(f"play {seed}")
    symbols = tuple(_long_symbol(dice, name, story_ms) for name in _picked(dice, 3))
    return _scene(dice, seed, symbols, after_ms)


def _scene(dice: Dice, seed: int, symbols: tuple[StagedSymbol, ...], after_ms: int) -> Scene:
    story_ms = max(_length(staged.legs) for staged in symbols)
    stage = StagePlan(seed=seed, end_ms=story_ms + after_ms, symbols=symbols)
    return Scene(stage=stage, story_ms=story_ms, start_ms=_begin(dice))


def _long_symbol(dice: Dice, name: str, story_ms: int) -> StagedSymbol:
    staged = _symbol(dice, name, _lead(dice))
    legs = staged.legs
    while _length(legs) < story_ms:
        back = -sum(leg.bps for leg in legs)
        pause = Leg(ms=dice.between(10_000, 60_000), bps=0)
        another = _FILLINGS[dice.pick(tuple(_FILLINGS))](dice).legs
        returned = Leg(ms=dice.between(10_000, 30_000), bps=back)
        legs = (*legs, returned, pause, *another, *_sequels(dice))
    return msgspec.structs.replace(staged, legs=legs)


def _length(legs: tuple[Leg, ...]) -> int:
    return sum(leg.ms for leg in legs)


def _lead(dice: Dice) -> Leg:
    """Until about the first entry."""
    return Leg(ms=dice.between(ENTRY_MS - 6000, ENTRY_MS + 4000), bps=0)


def _begin(dice: Dice) -> int:
    """Just after a candle of an even hour began, sometimes just before a day ends."""
    day = dice.between(19_700, 20_400) * 86_400_000
    at = 86_100_000 if dice.percent(_EVENING) else dice.between(0, 11) * 7_200_000
    return day + at + dice.between(1000, 20_000)


def _picked(dice: Dice, count: int) -> list[str]:
    left = list(BILLS)
    return [left.pop(dice.between(0, len(left) - 1)) for _ in range(count)]


def _symbol(dice: Dice, name: str, lead: Leg) -> StagedSymbol:
    shape = dice.pick(tuple(VARIANTS))
    filling = _FILLINGS[dice.pick(tuple(_FILLINGS))](dice)
    legs = (lead, *filling.legs, *_sequels(dice))
    return StagedSymbol(
        symbol=name,
        shape=shape,
        variant=dice.pick(VARIANTS[shape]),
        plain_stops=dice.percent(50),
        below_bps=dice.between(28, 60),
        spread_x100=dice.between(100, 600),
        noise_x100=filling.noise_x100,
        buyers_percent=dice.between(62, 80),
        top_quote=filling.top_quote,
        print_quote=filling.print_quote,
        quote_ms=dice.between(350, 600),
        print_ms=dice.between(1000, 3000),
        legs=legs,
    )


def _at_once(dice: Dice) -> _Filling:
    """The price comes down through the bid."""
    legs = (Leg(ms=dice.between(500, 8000), bps=-dice.between(3, 10)),)
    return _Filling(legs, dice.between(0, 300), dice.scaled(200, 50_000), dice.scaled(50, 5000))


def _in_crumbs(dice: Dice) -> _Filling:
    """The price stands, small trades eat through a short queue, then it leaves."""
    legs = (
        Leg(ms=dice.between(8000, 30_000), bps=0),
        Leg(ms=dice.between(500, 4000), bps=dice.pick((-8, 6, 12))),
    )
    return _Filling(legs, 0, dice.between(20, 120), dice.between(20, 120))


def _never(dice: Dice) -> _Filling:
    """The price climbs away from every order, until one takes it."""
    step = dice.between(2, 6)
    legs = tuple(Leg(ms=dice.between(20_000, 30_000), bps=step) for _ in range(4))
    return _Filling(legs, dice.between(0, 60), dice.scaled(2000, 50_000), dice.scaled(20, 500))


def _after_a_reprice(dice: Dice) -> _Filling:
    """The price climbs away from the first order and falls upon the second or third."""
    away = dice.between(25_000, 65_000)
    legs = (
        Leg(ms=away // 2, bps=dice.between(4, 9)),
        Leg(ms=away - away // 2, bps=dice.between(1, 3)),
        Leg(ms=dice.between(2000, 10_000), bps=-dice.between(8, 16)),
    )
    return _Filling(legs, dice.between(0, 60), dice.scaled(500, 50_000), dice.scaled(50, 2000))


_FILLINGS: Mapping[str, Callable[[Dice], _Filling]] = {
    "at once": _at_once,
    "at once, more often": _at_once,
    "in crumbs": _in_crumbs,
    "never": _never,
    "after a reprice": _after_a_reprice,
}


def _sequels(dice: Dice) -> Iterator[Leg]:
    """What happens to the position: nothing, a little, its stop, its target, or a turn."""
    yield Leg(ms=dice.between(2000, 25_000), bps=dice.between(-5, 5))
    kind = dice.pick(("quiet", "stopped", "stopped", "targeted", "targeted", "turned", "fallen"))
    match kind:
        case "stopped":
            yield Leg(ms=dice.between(5000, 40_000), bps=-dice.between(140, 260))
        case "targeted":
            yield Leg(ms=dice.between(5000, 40_000), bps=dice.between(200, 330))
        case "turned":
            yield Leg(ms=dice.between(5000, 20_000), bps=dice.between(60, 150))
            yield Leg(ms=dice.between(5000, 20_000), bps=-dice.between(80, 260))
        case "fallen":
            yield Leg(ms=dice.between(200, 1500), bps=-dice.between(150, 400))
        case _:
            yield Leg(ms=dice.between(5000, 30_000), bps=dice.between(-15, 15))
