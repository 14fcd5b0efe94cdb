"""Counts how well a run, and every run in the database, survived; for people, never a decision.

The definitions are those of a finished run's evidence. Here the database adds up, so that even a
run of weeks costs the process no more than a connection.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from livespot.contracts.ports import Clock
from livespot.panel.database import PanelDatabase, PanelUnreadable
from livespot.panel.tabs import SurvivalTab, SurvivalView
from livespot.rules.survival import FATAL_EXITS, INTERNAL_FAILURES, Lived, told

_EVERY_MS = 60_000
_LONGEST_LIST = 10_000
_FAILURES = ", ".join(f"'{code}'" for code in sorted(INTERNAL_FAILURES))
_RUNS = f"""
WITH failed AS (
    SELECT run_id, count(*) AS times FROM alerts WHERE code IN ({_FAILURES}) GROUP BY run_id)
SELECT runs.run_id, started_at_ms, ended_at_ms, exit_code, clean,
       coalesce((SELECT ts_ms FROM audit_events e WHERE e.run_id = runs.run_id
                 ORDER BY seq DESC LIMIT 1), 0),
       coalesce(failed.times, 0),
       (SELECT at_ms FROM sysmodes m WHERE m.run_id = runs.run_id AND m.mode = 'NORMAL'
        ORDER BY id LIMIT 1)
FROM runs LEFT JOIN failed ON failed.run_id = runs.run_id
ORDER BY runs.rowid DESC LIMIT {_LONGEST_LIST}
"""  # noqa: S608  literals of the program
_SPENT = f"""
SELECT run_id, mode, sum(CASE WHEN until IS NULL THEN 0 ELSE max(0, until - at_ms) END),
       max(CASE WHEN until IS NULL THEN at_ms END)
FROM (SELECT run_id, mode, at_ms, lead(at_ms) OVER (PARTITION BY run_id ORDER BY id) AS until
      FROM sysmodes)
GROUP BY run_id, mode LIMIT {_LONGEST_LIST * 4}
"""  # noqa: S608
_BARE = f"""
SELECT run_id, unprotected_ms FROM positions ORDER BY rowid DESC LIMIT {_LONGEST_LIST}
"""  # noqa: S608
_FILLS = "SELECT run_id, count(*), sum(source <> 'STREAM') FROM fills GROUP BY run_id"
_PASSES = """
SELECT run_id, count(*), sum(CASE WHEN diffs_json = '[]' THEN 0 ELSE
    (SELECT count(*) FROM json_each(diffs_json) WHERE value ->> 'corrected') END)
FROM reconcile_reports GROUP BY run_id
"""
# In doubt: no answer came, absence had to be proven, another run settled it, or nobody has.
_DOUBTS = f"""
SELECT i.run_id, i.state IN ('CREATED', 'SENT_UNKNOWN'),
       coalesce((SELECT at_ms FROM intent_transitions t WHERE
                 t.order_intent_id = i.order_intent_id AND t.to_state = 'SENT_UNKNOWN'
                 ORDER BY id LIMIT 1), i.created_at_ms),
       (SELECT at_ms FROM intent_transitions t WHERE t.order_intent_id = i.order_intent_id
        ORDER BY id DESC LIMIT 1),
       (SELECT group_concat(DISTINCT run_id) FROM intent_transitions t
        WHERE t.order_intent_id = i.order_intent_id)
FROM order_intents i
WHERE i.state IN ('CREATED', 'SENT_UNKNOWN')
   OR EXISTS (SELECT 1 FROM intent_transitions t WHERE t.order_intent_id = i.order_intent_id
              AND (t.run_id <> i.run_id OR t.to_state = 'NOT_FOUND'))
   OR EXISTS (SELECT 1 FROM audit_events e WHERE e.order_intent_id = i.order_intent_id
              AND e.order_intent_id <> '' AND e.event_type IN ('ORDER_SUBMIT', 'ORDER_CANCEL')
              AND EXISTS (SELECT 1 FROM json_each(e.reasons) WHERE value = 'INTENT_SENT_UNKNOWN'))
ORDER BY i.rowid DESC LIMIT {_LONGEST_LIST}
"""  # noqa: S608
_NO_RUN = "nothing has run in this database yet"


class _Run(NamedTuple):
    run_id: str
    started_ms: int
    ended_ms: int
    exit_code: int
    clean: int
    last_event_ms: int
    failure_alerts: int
    normal_ms: int | None

    @property
    def over_ms(self) -> int:
        """When it was last alive; the end of a killed one was only noticed by the next."""
        last = self.last_event_ms or self.started_ms
        return self.ended_ms if self.ended_ms and self.clean else last

    @property
    def failures(self) -> int:
        if self.ended_ms and not self.clean:
            return self.failure_alerts + 1
        fatal = self.exit_code in FATAL_EXITS and self.ended_ms and not self.failure_alerts
        return self.failure_alerts + int(bool(fatal))


class _Doubt(NamedTuple):
    run_id: str
    unsettled: int
    sent_ms: int
    settled_ms: int | None
    also_runs: str | None

    def concerns(self, runs: frozenset[str]) -> bool:
        return bool(runs & {self.run_id, *(self.also_runs or "").split(",")})


class _Counted(NamedTuple):
    """The rows that the figures are computed from, by run where they are sums."""

    runs: Sequence[_Run]
    spent: Sequence[tuple[str, str, int, int | None]]
    bare: Sequence[tuple[str, int]]
    fills: Sequence[tuple[str, int, int]]
    passes: Sequence[tuple[str, int, int]]
    doubts: Sequence[_Doubt]


@dataclass(slots=True)
class SurvivalCount:
    """Counts at most once a minute: it reads whole tables, and runs may be long."""

    wall: Clock
    _counted: SurvivalTab = field(default_factory=SurvivalTab)
    _at_ms: int | None = None

    async def lately(self, database: PanelDatabase, now_ms: int) -> SurvivalTab:
        """Return the last count, made anew when it is older than a minute of machine time."""
        wall_ms = self.wall.monotonic_ms()
        if self._at_ms is None or wall_ms - self._at_ms >= _EVERY_MS:
            self._at_ms = wall_ms
            self._counted = await read_survival(database, now_ms)
        return self._counted


async def read_survival(database: PanelDatabase, now_ms: int) -> SurvivalTab:
    """Return the figures of the newest run and of all runs.

    A count that is interrupted for taking too long is unknown, not 0.
    """
    try:
        async with database.transaction():
            counted = _Counted(
                runs=[_Run(*row) for row in await database.rows(_RUNS)],
                spent=[(*row,) for row in await database.rows(_SPENT)],
                bare=[(*row,) for row in await database.rows(_BARE)],
                fills=[(*row,) for row in await database.rows(_FILLS)],
                passes=[(*row,) for row in await database.rows(_PASSES)],
                doubts=[_Doubt(*row) for row in await database.rows(_DOUBTS)],
            )
    except PanelUnreadable as error:
        return SurvivalTab(at_ms=now_ms, unknown={"run": str(error), "over_runs": str(error)})
    if not counted.runs:
        return SurvivalTab(at_ms=now_ms, unknown={"run": _NO_RUN, "over_runs": _NO_RUN})
    return SurvivalTab(
        at_ms=now_ms,
        run=_figures(counted, counted.runs[:1]),
        over_runs=_figures(counted, counted.runs),
    )


def _figures(counted: _Counted, runs: Sequence[_Run]) -> SurvivalView:
    ids = frozenset(run.run_id for run in runs)
    uptime = sum(run.over_ms - run.started_ms for run in runs)
    failed = sum(run.failures for run in runs)
    fills, missed = _added(counted.fills, ids)
    passes, corrected = _added(counted.passes, ids)
    doubts = [doubt for doubt in counted.doubts if doubt.concerns(ids)]
    figures, unknown = told(
        Lived(
            uptime_ms=uptime,
            failures=failed,
            starts_ms=[r.normal_ms - r.started_ms for r in runs if r.normal_ms is not None],
            bare_ms=[span for run_id, span in counted.bare if run_id in ids],
            settled_ms=[
                doubt.settled_ms - doubt.sent_ms
                for doubt in doubts
                if doubt.settled_ms is not None and not doubt.unsettled
            ],
            fills=fills,
            missed=missed,
            passes=passes,
            corrected=corrected,
        )
    )
    return SurvivalView(
        runs=len(runs),
        uptime_ms=uptime,
        internal_failures=failed,
        modes_ms=_modes(counted.spent, runs),
        unknown_intents=len(doubts),
        unresolved_intents=sum(bool(doubt.unsettled) for doubt in doubts),
        unknown=unknown,
        **figures,
    )


def _added(rows: Iterable[tuple[str, int, int]], ids: frozenset[str]) -> tuple[int, int]:
    own = [(many, some) for run_id, many, some in rows if run_id in ids]
    return sum(many for many, _ in own), sum(some for _, some in own)


def _modes(
    spent: Iterable[tuple[str, str, int, int | None]], runs: Sequence[_Run]
) -> dict[str, int]:
    """Return the time in each mode, longest first; a run's last stay ends with the run."""
    over = {run.run_id: run.over_ms for run in runs}
    total: dict[str, int] = {}
    for run_id, mode, ended_stays, last_since in spent:
        if run_id in over:
            open_stay = 0 if last_since is None else max(0, over[run_id] - last_since)
            total[mode] = total.get(mode, 0) + ended_stays + open_stay
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))
