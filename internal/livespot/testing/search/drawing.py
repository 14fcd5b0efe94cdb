"""Draws a plan from a seed: which hour, which settings, which faults and which deaths."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from livespot.exchange.faults.plan import Fault
from livespot.testing.search.dice import Dice
from livespot.testing.search.fault_kinds import KINDS, Stage
from livespot.testing.search.oddities import with_ill_model, with_oddities
from livespot.testing.search.plan import DeathPlan, RunPlan
from livespot.testing.search.rarities import (
    with_deaths_among_crumbs,
    with_even_prints,
    with_hands,
    with_house,
    with_late_market,
    with_manners,
    with_trailing,
    with_unseen_crumbs,
)
from livespot.testing.search.scenes import ENTRY_MS, Scene, drawn_play, drawn_scene
from livespot.testing.search.socket_orders import with_socket_orders
from livespot.testing.search.sparing import met_at_ms, with_entry_spared
from livespot.testing.search.trouble_kinds import with_troubles

LIVENESS_MS = 120_000
# The recovery of a short run ends once all has been settled for this long.
_QUIET_MS = 30_000
# Length of the lives after a short run's restarts, and how long faults may outlast its story.
_SHORT_SETTLE_MS = 12_000
_AFTER_STORY_MS = 12_000
_LONG_STORY_MS = 960_000
_RECORDED_PERCENT = 25
# Otherwise a symbol would wait for five minutes after each trade.
_EAGER: dict[str, str | int] = {
    "risk.cooldown_seconds": 10,
    "risk.max_trades_per_window": 20,
    "risk.max_consecutive_losses": 20,
}
SETTLE_MS = 40_000
_LEAD_MS = 110_000
_MEAN_FAULTS = 6
_MOST_FAULTS = 25
_WITHOUT_FAULT_PERCENT = 10
# Runs without, with one, two and three deaths.
_DEATHS = (0, 0, 0, 0, 0, 1, 1, 1, 2, 3)
# Steps of a boot.
_BOOT_POINTS = (20, 8000)


@dataclass(frozen=True, slots=True)
class Hour:
    """A minute at whose close the default strategy enters, and the symbols to show it."""

    entry_ms: int
    symbols: tuple[str, ...]


# Found by replaying the recorded days without faults.
HOURS = (
    Hour(1619049900000, ("ETHUSDT", "SOLUSDT")),
    Hour(1618965900000, ("ADAUSDT", "LTCUSDT")),
)


def draw(profile: str, seed: int) -> RunPlan:
    """Return the plan of a seed in a profile; it only changes with this code."""
    plan = with_socket_orders(DRAWS[profile](seed))
    entry_ms = _LEAD_MS if plan.stage is None else ENTRY_MS
    plan = with_entry_spared(with_troubles(plan, entry_ms=entry_ms), entry_ms=entry_ms)
    met_ms = met_at_ms(seed, entry_ms=entry_ms)
    plan = with_house(with_hands(plan, entry_ms=met_ms), entry_ms=met_ms)
    plan = with_manners(with_late_market(plan, entry_ms=entry_ms))
    plan = with_even_prints(with_trailing(plan))
    plan = with_deaths_among_crumbs(with_unseen_crumbs(plan, entry_ms=entry_ms))
    return with_ill_model(with_oddities(plan, entry_ms=met_ms), entry_ms=entry_ms)


def _recorded(seed: int) -> RunPlan:
    dice = Dice(f"run {seed}")
    hour = dice.pick(HOURS)
    safety_ms = dice.between(300, 460) * 1000
    stage = Stage(
        Dice(f"faults {seed}"), entry_ms=_LEAD_MS, safety_ms=safety_ms, symbols=hour.symbols
    )
    quiet = dice.percent(_WITHOUT_FAULT_PERCENT)
    return RunPlan(
        seed=seed,
        start_ms=hour.entry_ms - _LEAD_MS,
        safety_ms=safety_ms,
        liveness_ms=LIVENESS_MS,
        settle_ms=SETTLE_MS,
        symbols=hour.symbols,
        shuffled=dice.percent(50),
        settings=_settings(dice),
        faults=() if quiet else _faults(stage),
        deaths=() if quiet else _deaths(dice, safety_ms),
    )


def _settings(dice: Dice) -> dict[str, str | int]:
    drawn: dict[str, str | int] = {}
    if dice.percent(40):
        drawn["exit.attach"] = "SEPARATE"
    if dice.percent(30):
        # The recorded symbols offer no plain stop; asked for, it would only prevent every entry.
        drawn["exit.stop_kind"] = "STOP_LOSS_LIMIT"
    if dice.percent(50):
        drawn["ai_gate.pause_after_failures"] = 3
    return drawn


def _faults(stage: Stage) -> tuple[Fault, ...]:
    dice = stage.dice
    kinds = dice.half_of(tuple(KINDS))
    faults = []
    for number in range(dice.count(mean=_MEAN_FAULTS, most=_MOST_FAULTS)):
        name = dice.pick(kinds)
        what, match, when = KINDS[name](stage)
        faults.append(Fault(id=f"{number}-{name}", what=what, match=match, when=when))
    return tuple(faults)


def _deaths(dice: Dice, safety_ms: int) -> tuple[DeathPlan, ...]:
    """Return deaths that all happen before the healing, however long the lives in between."""
    deaths: list[DeathPlan] = []
    now_ms = 0
    for _ in range(dice.pick(_DEATHS)):
        soonest = 0 if deaths else _LEAD_MS
        latest = safety_ms - now_ms - 10_000
        if latest <= soonest + 500:
            break
        # A life is most vulnerable just after its birth, or after it has decided to enter.
        after_ms = min(latest, soonest + dice.scaled(5, 120_000))
        down_ms = dice.scaled(500, 8000)
        point = dice.between(*_BOOT_POINTS) if deaths and dice.percent(50) else None
        deaths.append(DeathPlan(after_ms=after_ms, point=point, down_ms=down_ms))
        now_ms += after_ms + down_ms
    return tuple(deaths)


def _short(seed: int) -> RunPlan:
    """One trade in a market that was made up for it: about five minutes in all."""
    after_ms = LIVENESS_MS + 2 * _SHORT_SETTLE_MS + _AFTER_STORY_MS
    plan = _staged(seed, drawn_scene(seed, after_ms=after_ms), {})
    return msgspec.structs.replace(plan, quiet_ms=_QUIET_MS)


def _long(seed: int) -> RunPlan:
    """Some ten trades of three symbols in twenty minutes; every fourth run is a recorded hour."""
    if Dice(f"long {seed}").percent(_RECORDED_PERCENT):
        return _recorded(seed)
    after_ms = LIVENESS_MS + 2 * _SHORT_SETTLE_MS + _AFTER_STORY_MS
    scene = drawn_play(seed, story_ms=_LONG_STORY_MS, after_ms=after_ms)
    return _staged(seed, scene, _EAGER)


def _staged(seed: int, scene: Scene, always: dict[str, str | int]) -> RunPlan:
    dice = Dice(f"run {seed}")
    safety_ms = scene.story_ms + dice.between(1000, _AFTER_STORY_MS)
    symbols = tuple(staged.symbol for staged in scene.stage.symbols)
    stage = Stage(Dice(f"faults {seed}"), entry_ms=ENTRY_MS, safety_ms=safety_ms, symbols=symbols)
    quiet = dice.percent(_WITHOUT_FAULT_PERCENT)
    return RunPlan(
        seed=seed,
        start_ms=scene.start_ms,
        safety_ms=safety_ms,
        liveness_ms=LIVENESS_MS,
        settle_ms=_SHORT_SETTLE_MS,
        restarts=2,
        symbols=symbols,
        stage=scene.stage,
        shuffled=dice.percent(50),
        settings=always | _settings(dice),
        faults=() if quiet else _faults(stage),
        deaths=() if quiet else _deaths(dice, safety_ms),
    )


DRAWS: Mapping[str, Callable[[int], RunPlan]] = {"short": _short, "long": _long}
