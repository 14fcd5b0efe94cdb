"""The plan of one run of the search: market, settings, faults and deaths."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from livespot.contracts.errors import ConfigInvalid
from livespot.exchange.faults.plan import Fault, FaultPlan, Millis
from livespot.exchange.settings import ExchangeSettings
from livespot.exchange.sources import MarketSource
from livespot.runtime.config import LoadedSettings, load_settings, rehashed
from livespot.runtime.paths import Paths
from livespot.runtime.replay_course import Death
from livespot.runtime.replay_run import ReplayOrder
from livespot.runtime.replay_schedule import EarlyRestart
from livespot.testing.search.gauges import Gauge
from livespot.testing.search.settling import Settling
from livespot.testing.search.stage import StagePlan
from livespot.testing.search.troubles import Trouble
from livespot.testing.search.troubling import Troubler

# Between two looks at the records of a life that is about to be settled.
_LOOK_MS = 5000


class DeathPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A life ends `after_ms` from its birth, or at its `point`-th step if that comes first.

    Or it ends as soon as its `commit`-th transaction about an order is durable. With `power_cut`
    everything that was not synced is lost. A `cancelled` life is not killed: it is cancelled
    wherever it is waiting, and cleans up.
    """

    after_ms: Millis
    point: int | None = None
    commit: int | None = None
    down_ms: Millis = 1000
    power_cut: bool = False
    cancelled: bool = False


class RunPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run in four phases: faults, about two quiet minutes, orderly restarts, short last lives.

    `safety_ms` is how long faults and deaths may happen, `liveness_ms` how long the runtime then
    has to recover, `settle_ms` how long the life after each of the `restarts` lasts. With
    `quiet_ms` the recovery ends once all has been settled for that long (see `Settling`), and what
    follows comes sooner. The market is `stage`, or without one the recorded days. `settings`
    overrides defaults by dotted key. `swap_proven` stands for the rehearsal that VIRTUAL trailing
    needs.
    """

    seed: int
    start_ms: int
    safety_ms: Millis
    liveness_ms: Millis
    settle_ms: Millis
    symbols: tuple[str, ...]
    stage: StagePlan | None = None
    quiet_ms: Annotated[int, msgspec.Meta(ge=1)] | None = None
    restarts: Annotated[int, msgspec.Meta(ge=1, le=3)] = 1
    shuffled: bool = False
    settings: dict[str, str | int] = {}
    swap_proven: bool = False
    faults: tuple[Fault, ...] = ()
    deaths: tuple[DeathPlan, ...] = ()
    troubles: tuple[Trouble, ...] = ()

    @property
    def mishaps(self) -> list[tuple[str, str]]:
        """(id, verb) of everything that goes wrong on either side, deaths left out."""
        theirs = [(fault.id, fault.verb) for fault in self.faults]
        return theirs + [(trouble.id, trouble.verb) for trouble in self.troubles]

    @property
    def hurts_at_home(self) -> bool:
        """Whether anything goes wrong on the runtime's own machine but sudden deaths."""
        return bool(self.troubles) or any(
            death.power_cut or death.commit is not None for death in self.deaths
        )

    @property
    def healed_ms(self) -> int:
        """Market time from which nothing is made to fail."""
        return self.start_ms + self.safety_ms

    @property
    def restart_ms(self) -> int:
        """Market time of the orderly restart, at the latest."""
        return self.healed_ms + self.liveness_ms

    @property
    def span_ms(self) -> int:
        return self.safety_ms + self.liveness_ms + self.restarts * self.settle_ms

    @property
    def restarts_at_ms(self) -> tuple[int, ...]:
        """When lives are stopped in order, counted from the start."""
        first = self.safety_ms + self.liveness_ms
        return tuple(first + number * self.settle_ms for number in range(self.restarts))


def encoded(plan: RunPlan) -> str:
    """The plan as indented JSON, for a file; what a fault does not say is left out."""
    rows = msgspec.to_builtins(plan)
    if plan.stage is None:
        del rows["stage"]
    if not plan.swap_proven:
        del rows["swap_proven"]
    if plan.quiet_ms is None:
        del rows["quiet_ms"]
    for fault in rows["faults"]:
        for part in ("match", "when"):
            said = {name: value for name, value in fault.pop(part).items() if value or value == 0}
            if said:
                fault[part] = said
    return msgspec.json.format(msgspec.json.encode(rows), indent=1).decode() + "\n"


def read_plan(path: Path) -> RunPlan:
    """Raises `ConfigInvalid` when it is not a plan, `OSError` when it cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunPlan)
    except msgspec.DecodeError as error:
        raise ConfigInvalid([f"{path}: {error}"]) from error


def order_of(plan: RunPlan, directory: Path, source: MarketSource | None) -> ReplayOrder:
    """What to replay so that the plan happens, its files below `directory`."""
    gauge = Gauge(plan.safety_ms)
    troubler = Troubler(plan.troubles, plan.safety_ms, gauge)
    paths = Paths(var=directory)
    return ReplayOrder(
        paths=paths,
        loaded=loaded_for(plan.settings),
        start_ms=plan.start_ms,
        span_ms=plan.span_ms,
        seed=plan.seed,
        exchange=ExchangeSettings(
            symbols=frozenset(plan.symbols),
            plan=FaultPlan(seed=plan.seed, heal_after_ms=plan.safety_ms, faults=plan.faults),
        ),
        source=source,
        shuffled=plan.shuffled,
        dress=troubler.dress if plan.hurts_at_home else gauge.dress,
        watch=gauge.watch,
        deaths=tuple(
            Death(
                point=death.point,
                due=None if death.commit is None else troubler.commits.reached(death.commit),
                after_ms=death.after_ms,
                down_ms=death.down_ms,
                power_cut=death.power_cut,
                cancels=_always if death.cancelled else _never,
            )
            for death in plan.deaths
        ),
        restarts_at_ms=plan.restarts_at_ms,
        early=_early(plan),
        swap_proven=plan.swap_proven,
    )


def _early(plan: RunPlan) -> EarlyRestart | None:
    if plan.quiet_ms is None:
        return None
    settling = Settling(healed_ms=plan.safety_ms, quiet_ms=plan.quiet_ms)
    return EarlyRestart(from_ms=plan.safety_ms, every_ms=_LOOK_MS, settled=settling.is_over)


def _always() -> bool:
    return True


def _never() -> bool:
    return False


def loaded_for(overrides: Mapping[str, str | int]) -> LoadedSettings:
    """The default settings with some keys changed. Raises `ConfigInvalid` for an unknown key.

    Orders go by REST unless the plan says otherwise: that is where its faults look for them.
    """
    loaded = load_settings(None, path="defaults")
    settings = loaded.settings
    for key, value in {"venue.order_transport": "REST", **overrides}.items():
        section, _, field = key.partition(".")
        values: Any = getattr(settings, section, None)
        if not hasattr(values, field):
            raise ConfigInvalid([f"{key}: no such setting"])
        changed = msgspec.structs.replace(values, **{field: value})
        settings = msgspec.structs.replace(settings, **{section: changed})
    return rehashed(loaded, settings)
