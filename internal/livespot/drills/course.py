"""Finds out what the user's configuration does in the drills' market if nothing goes wrong."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from livespot.contracts.errors import PreflightFailed
from livespot.contracts.settings import (
    AdaptiveSettings,
    SelectionSettings,
    Settings,
    StrategySettings,
)
from livespot.drills.catalogue import Course
from livespot.drills.market import QUOTE_ASSET, START_MS, SYMBOL, market
from livespot.evidence.journal import JournalFill, JournalRows
from livespot.exchange.settings import ExchangeSettings
from livespot.runtime.config import LoadedSettings, rehashed
from livespot.runtime.paths import Paths
from livespot.runtime.replay_life import Surroundings
from livespot.runtime.replay_loop import VirtualLoop
from livespot.runtime.replay_run import ReplayOrder, run_virtual
from livespot.runtime.simulation_journal import read_rows

SEED = 7
# An entry that has not filled by then is no longer expected.
_PATIENCE_MS = 300_000
# The stability window before NORMAL; a longer one would only cost time.
_QUIET_MS = 60_000
_AS_SHIPPED: tuple[tuple[str, object], ...] = (
    ("selection", SelectionSettings()),
    ("strategy", StrategySettings()),
    ("adaptive", AdaptiveSettings()),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """The settings the drills run with, the user's settings left out, and the resulting course."""

    loaded: LoadedSettings
    replaced: tuple[str, ...]
    course: Course


def rehearse(loaded: LoadedSettings, directory: Path) -> Rehearsed:
    """Trade once undisturbed, with the user's settings, else with the shipped entry settings.

    Raises `PreflightFailed` when nothing is bought with either.
    """
    attempts = [_fitted(loaded)]
    attempts += [_choosing_as_shipped(attempts[0])] if _choosing(loaded.settings) else []
    for number, attempt in enumerate(attempts):
        course = _played(attempt, directory / f"undisturbed-{number}")
        if course is not None:
            return Rehearsed(
                loaded=attempt,
                replaced=_differing(loaded.settings, attempt.settings),
                course=course,
            )
    raise PreflightFailed(
        "with these settings nothing is bought in the drills' market, so nothing can be drilled.\n"
        "Next: livespot config diff, and look for limits below the smallest order"
    )


def _fitted(loaded: LoadedSettings) -> LoadedSettings:
    """The user's settings, in the market's currency and with a shorter stability window."""
    settings = loaded.settings
    quiet_ms = min(settings.health.degrade_exit_stable_window_ms, _QUIET_MS)
    fitted = msgspec.structs.replace(
        settings,
        venue=msgspec.structs.replace(settings.venue, quote_asset=QUOTE_ASSET),
        health=msgspec.structs.replace(settings.health, degrade_exit_stable_window_ms=quiet_ms),
    )
    return rehashed(loaded, fitted)


def _choosing(settings: Settings) -> list[str]:
    """Names of the sections that select entries and differ from the shipped ones."""
    return [name for name, usual in _AS_SHIPPED if getattr(settings, name) != usual]


def _choosing_as_shipped(loaded: LoadedSettings) -> LoadedSettings:
    return rehashed(loaded, msgspec.structs.replace(loaded.settings, **dict(_AS_SHIPPED)))


def _differing(own: Settings, used: Settings) -> tuple[str, ...]:
    """Dotted keys whose values differ."""
    found = []
    for section in msgspec.structs.fields(Settings):
        left, right = getattr(own, section.name), getattr(used, section.name)
        found += [
            f"{section.name}.{field.name}"
            for field in msgspec.structs.fields(type(left))
            if getattr(left, field.name) != getattr(right, field.name)
        ]
    return tuple(found)


def _played(loaded: LoadedSettings, directory: Path) -> Course | None:
    """The course of one undisturbed run, which ends once something was bought."""
    filled: list[str] = []

    def dress(around: Surroundings, loop: VirtualLoop) -> Surroundings:
        del loop
        told = around.committed

        def committed(rows: set[str]) -> None:
            told(rows)
            filled.extend(rows & {"FillRow"})

        return replace(around, committed=committed)

    result = run_virtual(
        ReplayOrder(
            paths=Paths(var=directory),
            loaded=loaded,
            start_ms=START_MS,
            span_ms=_PATIENCE_MS,
            seed=SEED,
            exchange=ExchangeSettings(symbols=frozenset({SYMBOL})),
            source=market(),
            dress=dress,
            watch=lambda _: not filled,
        )
    )
    return _course(loaded.settings, read_rows(result.journal))


def _course(settings: Settings, rows: JournalRows) -> Course | None:
    entry = next((r for r in rows.requests if r.buys and r.accepted), None)
    fill = _first(rows.fills, lambda fill: fill.side == "BUY")
    if entry is None or fill is None:
        return None
    return Course(
        settings=settings,
        method=entry.method,
        path=entry.path,
        entry_ms=entry.arrived_ms - START_MS,
        filled_ms=fill.at_ms - START_MS,
    )


def _first(fills: Iterable[JournalFill], of: Callable[[JournalFill], bool]) -> JournalFill | None:
    return next((fill for fill in fills if of(fill)), None)
