"""The reference scenarios in which the runtime is killed at every point: one short trade each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from livespot.exchange.faults.plan import DropEvents, Fault, Match, Reply, When
from livespot.exchange.journal import FillRow, OrderRow
from livespot.exchange.recorded import RecordedMarket, load_recorded, packaged_data
from livespot.exchange.sources import MarketSource
from livespot.testing.search.diverted import Deal, DivertedMarket, Move, Script
from livespot.testing.search.plan import DeathPlan, RunPlan
from livespot.testing.search.stage import Leg, StagedSymbol, StagePlan
from livespot.testing.search.staged_market import open_stage
from livespot.testing.search.witness import Witness

# A minute at whose close the default strategy buys this symbol.
_SYMBOL = "SOLUSDT"
_ENTRY_MS = 1619049900000
# The shortest run-up after which it still buys.
_LEAD_MS = 65_000
# The made-up market begins just after the first minute of an even hour.
_STAGED_ENTRY_MS = 1749996005000 + _LEAD_MS
# By then the decision is made and the order in flight; from here on the script rules.
_TURN_MS = 30
# The longest doubt about an order: its window, the engine's and the reads' delays, rounds of reads.
_LIVENESS_MS = 100_000
# The recovery is over once all has been settled for so long.
_QUIET_MS = 30_000
_SETTLE_MS = 6000
_SEED = 7
_SEPARATE: Mapping[str, str | int] = {"exit.attach": "SEPARATE"}
_IMPATIENT: Mapping[str, str | int] = {"entry.maker_ttl_ms": 2000}
_LISTS = Match(method="POST", path="/api/v3/orderList*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One trade, and the span, counted from the entry's minute, in which a life may die.

    `shows` is whether an undisturbed run did what the scenario is for. `life` is the number of the
    life that dies; `deaths` are those before it. Its market is the recorded one, which follows
    `moves` and `deals` after the entry, or the made-up `stage`.
    """

    name: str
    from_ms: int
    until_ms: int
    shows: Callable[[Witness], bool]
    moves: tuple[Move, ...] = ()
    deals: tuple[Deal, ...] = ()
    displayed_steps: int = 1000
    settings: Mapping[str, str | int] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    deaths: tuple[DeathPlan, ...] = ()
    stage: StagePlan | None = None

    @property
    def entry_ms(self) -> int:
        """The minute at whose close the entry is decided."""
        return _ENTRY_MS if self.stage is None else _STAGED_ENTRY_MS

    @property
    def life(self) -> int:
        return len(self.deaths) + 1

    @property
    def window(self) -> tuple[int, int]:
        """Market time from which and until which the life dies."""
        return self.entry_ms + self.from_ms, self.entry_ms + self.until_ms

    def plan(self, *last: DeathPlan) -> RunPlan:
        """The run, with one more death if given."""
        return RunPlan(
            seed=_SEED,
            start_ms=self.entry_ms - _LEAD_MS,
            safety_ms=_LEAD_MS + self.until_ms + 4000,
            liveness_ms=_LIVENESS_MS,
            quiet_ms=_QUIET_MS,
            settle_ms=_SETTLE_MS,
            symbols=(_SYMBOL,),
            stage=self.stage,
            swap_proven=self.stage is not None,
            settings=dict(self.settings),
            faults=self.faults,
            deaths=(*self.deaths, *last),
        )

    def market(self) -> MarketSource:
        if self.stage is not None:
            return open_stage(self.stage, self.entry_ms - _LEAD_MS)
        script = Script(
            from_ms=_ENTRY_MS + _TURN_MS,
            moves=self.moves,
            deals=self.deals,
            displayed_steps=self.displayed_steps,
        )
        return DivertedMarket(record=_record(), script=script)


@lru_cache(maxsize=1)
def _record() -> RecordedMarket:
    return load_recorded(packaged_data(), frozenset({_SYMBOL}))


def _orders(witness: Witness) -> list[OrderRow]:
    return [row for row in witness.rows if isinstance(row, OrderRow)]


def _bought(witness: Witness, *types: str) -> bool:
    """Whether an entry of one of these types was filled as a whole."""
    return any(
        row.side == "BUY" and row.type in types and row.status == "FILLED"
        for row in _orders(witness)
    )


def _sold(witness: Witness, *types: str) -> bool:
    return any(
        row.side == "SELL" and row.type in types and row.status == "FILLED"
        for row in _orders(witness)
    )


def _entries(witness: Witness) -> int:
    return len({row.oid for row in _orders(witness) if row.side == "BUY"})


def _partly(witness: Witness) -> bool:
    return any(
        row.side == "BUY" and 0 < row.exec < row.qty and row.t_end for row in _orders(witness)
    )


def _attached(witness: Witness) -> bool:
    return any(row.status == "PENDING_NEW" for row in _orders(witness)) and _bought(
        witness, "LIMIT_MAKER"
    )


def _stops(witness: Witness) -> int:
    return len(
        {
            row.oid
            for row in _orders(witness)
            if row.type.startswith("STOP_LOSS") and row.status == "NEW"
        }
    )


def _closed(witness: Witness) -> bool:
    return any(isinstance(r, FillRow) and r.side == "SELL" for r in witness.rows) and _sold(
        witness, "LIMIT", "MARKET"
    )


_FILLED = (Deal(at_ms=770),)
# A trend, so that the stop may follow: the order is filled, then the price climbs twice.
_CLIMB = StagePlan(
    seed=_SEED,
    end_ms=600_000,
    symbols=(
        StagedSymbol(
            symbol=_SYMBOL,
            shape="rising",
            variant=4,
            noise_x100=0,
            legs=(
                Leg(ms=66_000, bps=0),
                Leg(ms=2000, bps=-8),
                Leg(ms=12_000, bps=120),
                Leg(ms=6000, bps=60),
            ),
        ),
    ),
)

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="entry-maker",
        from_ms=0,
        until_ms=1500,
        deals=_FILLED,
        settings=_SEPARATE,
        shows=lambda witness: _bought(witness, "LIMIT_MAKER"),
    ),
    Scenario(
        name="entry-repriced",
        from_ms=1900,
        until_ms=3600,
        moves=(Move(1000, 0), Move(1500, 2)),
        deals=(Deal(at_ms=3000),),
        settings=_IMPATIENT,
        shows=lambda witness: _entries(witness) > 1 and _bought(witness, "LIMIT_MAKER"),
    ),
    Scenario(
        name="fallback-ioc",
        from_ms=6100,
        until_ms=7500,
        settings=_IMPATIENT,
        shows=lambda witness: _bought(witness, "LIMIT"),
    ),
    Scenario(
        name="partial-fill",
        from_ms=700,
        until_ms=3500,
        deals=(Deal(at_ms=770, steps=1400),),
        shows=_partly,
    ),
    Scenario(name="attached-list", from_ms=0, until_ms=1500, deals=_FILLED, shows=_attached),
    Scenario(
        name="oco-install",
        from_ms=790,
        until_ms=1500,
        deals=_FILLED,
        settings=_SEPARATE,
        shows=lambda witness: _stops(witness) == 1,
    ),
    Scenario(
        name="swap-to-trailing",
        from_ms=16_900,
        until_ms=20_800,
        stage=_CLIMB,
        settings={**_SEPARATE, "exit.trailing_policy": "VIRTUAL"},
        shows=lambda witness: _stops(witness) > 1,
    ),
    Scenario(
        name="stop-fills",
        from_ms=6000,
        until_ms=16_000,
        deals=_FILLED,
        moves=(Move(2000, 0), Move(12_000, -200), Move(20_000, -200)),
        shows=lambda witness: _sold(witness, "STOP_LOSS_LIMIT", "STOP_LOSS"),
    ),
    Scenario(
        name="target-fills",
        from_ms=6000,
        until_ms=16_000,
        deals=_FILLED,
        moves=(Move(2000, 0), Move(12_000, 300), Move(20_000, 300)),
        settings={"exit.trailing_policy": "OFF"},
        shows=lambda witness: _sold(witness, "LIMIT_MAKER"),
    ),
    Scenario(
        name="close-safely",
        from_ms=790,
        until_ms=6000,
        deals=_FILLED,
        settings=_SEPARATE,
        faults=(
            Fault(
                id="no-list",
                what=Reply(status=400, code=-2010, msg="Order would trigger immediately."),
                match=_LISTS,
                when=When(after_ms=_LEAD_MS, count=20),
            ),
        ),
        shows=_closed,
    ),
    Scenario(
        name="reconcile-correction",
        from_ms=790,
        until_ms=12_000,
        deals=_FILLED,
        settings=_SEPARATE,
        faults=(
            Fault(
                id="fill-unseen",
                what=DropEvents(),
                match=Match(event="executionReport"),
                when=When(after_ms=_LEAD_MS + 500, count=3),
            ),
        ),
        shows=lambda witness: _stops(witness) == 1,
    ),
    Scenario(
        name="boot-recovery",
        from_ms=2200,
        until_ms=4200,
        deals=_FILLED,
        settings=_SEPARATE,
        deaths=(DeathPlan(after_ms=_LEAD_MS + 790, down_ms=1500),),
        shows=lambda witness: _stops(witness) == 1,
    ),
)


def scenario_named(name: str) -> Scenario | None:
    return next((scenario for scenario in SCENARIOS if scenario.name == name), None)
