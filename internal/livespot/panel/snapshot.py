"""Builds the dashboard from the audit database alone, in one short read transaction."""

from dataclasses import dataclass, field

import msgspec

from livespot.contracts.settings import PanelSettings
from livespot.panel import system_queries, trade_queries
from livespot.panel.advice import known_start, next_step
from livespot.panel.dashboard import (
    SCHEMA_VERSION,
    AlertsView,
    Dashboard,
    ExecutionView,
    HeaderView,
    PnlView,
    ProcessView,
)
from livespot.panel.database import PanelDatabase, PanelUnreadable
from livespot.panel.gate_queries import gate
from livespot.panel.limits import limits_of
from livespot.panel.market_queries import market
from livespot.panel.risk_queries import risk
from livespot.panel.run_queries import run_tab
from livespot.panel.selection_queries import selection
from livespot.panel.system_queries import RunFacts, unsampled
from livespot.panel.tabs import GateTab, MarketView, RiskTab, RunTab, SelectionTab, SurvivalTab


@dataclass(frozen=True, slots=True, kw_only=True)
class Vantage:
    """The circumstances of a look at the database.

    `running` says whether a process holds the instance lock, None when that is not known.
    `silent_ms` is the wall time since the last write, None when not measured. `survival` is a
    recent count, which is too much work for every snapshot.
    """

    now_ms: int
    running: bool | None = True
    silent_ms: int | None = None
    refresh_ms: int = 1000
    settings: PanelSettings = field(default_factory=PanelSettings)
    survival: SurvivalTab = field(default_factory=SurvivalTab)


async def read_dashboard(database: PanelDatabase, vantage: Vantage) -> Dashboard:
    """Read one consistent snapshot. Raises `PanelUnreadable`."""
    try:
        async with database.transaction():
            run = await system_queries.run_facts(database)
            if run is None:
                return empty_dashboard(vantage)
            return await _read(database, run, vantage)
    except msgspec.MsgspecError as e:
        raise PanelUnreadable(f"a row of the audit database has an unknown shape: {e}") from e


async def _read(database: PanelDatabase, run: RunFacts, vantage: Vantage) -> Dashboard:
    now, settings, limits = vantage.now_ms, vantage.settings, limits_of(run.config_json)
    spans = await system_queries.stages(database, run)
    header = await system_queries.header(database, run, spans[0].stage if spans else "BOOT")
    execution = await trade_queries.execution(
        database,
        limits.churn,
        now,
        intents=settings.intents_recent_limit,
        diffs=settings.reconcile_diffs_recent_limit,
    )
    positions = await trade_queries.positions(database)
    pnl = await trade_queries.pnl(database, positions, limits.risk.max_daily_loss, now)
    process = _process(run, vantage)
    return Dashboard(
        schema_version=SCHEMA_VERSION,
        now_ms=now,
        refresh_ms=vantage.refresh_ms,
        process=process,
        header=header,
        next=next_step(process, header, execution, positions, now),
        alerts=await system_queries.alerts(database, run, now),
        stages=spans,
        health=await system_queries.health(database, run, now, limits.audit.writer_max_lag_ms),
        execution=execution,
        decisions=await trade_queries.decisions(database, settings.market_symbols_limit),
        watchlist=await trade_queries.watchlist(database, settings.market_symbols_limit),
        orders=await trade_queries.orders(database),
        positions=positions,
        pnl=pnl,
        fills=await trade_queries.fills(database),
        market=await market(database, settings.market_symbols_limit),
        risk=await risk(database, limits, positions, pnl, now),
        gate=await gate(database),
        selection=await selection(database, limits.selection),
        run=await run_tab(database, run, limits),
        exposures=await trade_queries.exposures(database),
        survival=vantage.survival,
    )


def empty_dashboard(vantage: Vantage, note: str = "No run is recorded yet.") -> Dashboard:
    """Return what is shown before the first run has written anything."""
    process = ProcessView(state="NEVER_RAN", note=note)
    header, execution = HeaderView(), ExecutionView()
    return Dashboard(
        schema_version=SCHEMA_VERSION,
        now_ms=vantage.now_ms,
        refresh_ms=vantage.refresh_ms,
        process=process,
        header=header,
        next=next_step(process, header, execution, (), vantage.now_ms),
        alerts=AlertsView(),
        stages=(),
        health=unsampled(),
        execution=execution,
        decisions=(),
        watchlist=(),
        orders=(),
        positions=(),
        pnl=PnlView(unknown=_nothing("unrealised_quote", "max_daily_loss_quote")),
        fills=(),
        market=MarketView(unknown=_nothing("symbols")),
        risk=RiskTab(unknown=_nothing("gauges", "balance", "curve", "streaks", "fired")),
        gate=GateTab(unknown=_nothing("failure_rate_x10000", "latency_p50_ms", "latency_p90_ms")),
        selection=SelectionTab(unknown=_nothing("choices")),
        run=RunTab(unknown=_nothing("manifest", "config")),
        survival=SurvivalTab(unknown=_nothing("run", "over_runs")),
    )


def _nothing(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, "nothing has run in this database yet")


def _process(run: RunFacts, vantage: Vantage) -> ProcessView:
    state, note = _standing(run, running=vantage.running)
    return ProcessView(
        state=state,
        note=note,
        last_event_ms=run.last_event_ms,
        silent_ms=vantage.silent_ms,
        again=known_start(run.mode),
    )


def _standing(run: RunFacts, *, running: bool | None) -> tuple[str, str]:
    if run.ended_ms:
        if run.clean:
            return "DOWN", f"The run ended with exit code {run.exit_code}."
        return "CRASHED", "The run died; the next boot completed its record."
    if running is None:
        return "UNKNOWN", "The run has not ended; whether its process lives is not known."
    if running:
        return "RUNNING", ""
    return "CRASHED", "The run has not ended, but no process holds its lock: it died."
