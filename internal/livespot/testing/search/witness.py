"""Everything that a finished run left, read from its files: journal, database, directory."""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from livespot.contracts.system import Alert
from livespot.evidence.facts import read_facts
from livespot.evidence.journal import JournalRows
from livespot.evidence.rows import Facts
from livespot.exchange.faults.plan import SuspendClock
from livespot.exchange.journal import ModeRow, RequestRow, Row, read_journal, with_their_replies
from livespot.runtime.replay_run import Lived, RunResult
from livespot.runtime.simulation import demo_secrets
from livespot.runtime.simulation_journal import rows_of
from livespot.store.inline import InlineReader, at_once
from livespot.testing.search.board import LOG_FILE, Noted, read_hits, read_log
from livespot.testing.search.gauges import GAUGES_FILE, Reading, read_gauges
from livespot.testing.search.leaks import files_below, leaks
from livespot.testing.search.plan import RunPlan, loaded_for
from livespot.testing.search.staged_market import least_order
from livespot.testing.search.troubles import ClockSet

_NEVER = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """When an intent's request left by our clock (0: never), and how long it was good for."""

    at_ms: int
    recv_window_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """How much was written: bytes by kind of file, the longest alert, the most repeated line."""

    bytes_of: Mapping[str, int]
    longest_alert: int
    repeated: str
    repeats_per_minute: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """What the checks look at. `rows` is the exchange's journal with the places of its rows.

    `restart_ms` is the market time of the first orderly restart, which may have come before the
    latest one of the plan.

    `received` holds, by (symbol, trade id), when the ledger learned of a fill; `updated`, by
    (symbol, order id), when it last learned of an order. `cycles` are the times of the decision
    cycles' events. `commits` holds the kinds of rows of each durable transaction; `recovered`, by
    run, when its boot had compared everything. `samples` are what the process measured of itself
    every few seconds, `told_fills` the (symbol, trade id) of each audited fill. `leaks` names what
    holds a secret of the `searched` files. `days` are the summaries on record,
    `gauges` what was measured in passing; `ahead` is by how much somebody had set the runtime's
    clock forward at each row, where anybody had. `asked` is how many requests to its panel each run
    wrote down, those aside that were turned away for their number. `least` is what the smallest
    order is worth in quote on symbols of a made-up market, whose rules no file of ours holds.
    `announced` is what was said aloud, whether or not it could be put on record.
    """

    plan: RunPlan
    restart_ms: int
    lives: tuple[Lived, ...]
    facts: Facts
    journal: JournalRows
    rows: tuple[Row, ...]
    sent: Mapping[str, Sent]
    received: Mapping[tuple[str, int], int]
    updated: Mapping[tuple[str, int], int]
    cycles: tuple[int, ...]
    executed: tuple[tuple[str, int, str], ...]
    volume: Volume
    offsets: tuple[int, ...]
    troubled: Mapping[str, int] = field(default_factory=dict)
    commits: tuple[frozenset[str], ...] = ()
    recovered: Mapping[str, int] = field(default_factory=dict)
    hasty: frozenset[str] = frozenset()
    searched: int = 0
    leaks: tuple[str, ...] = ()
    samples: tuple[Mapping[str, Any], ...] = ()
    told_fills: tuple[tuple[str, int], ...] = ()
    hits: tuple[Noted, ...] = ()
    gauges: tuple[Reading, ...] = ()
    asked: Mapping[str, int] = field(default_factory=dict)
    days: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    ahead: tuple[int, ...] = ()
    least: Mapping[str, Decimal] = field(default_factory=dict)
    announced: tuple[Alert, ...] = ()
    _requests: tuple[tuple[int, RequestRow], ...] = field(init=False, repr=False, compare=False)
    _turns: Mapping[str, tuple[ModeRow, ...]] = field(init=False, repr=False, compare=False)
    _steps: tuple[tuple[int, int], ...] = field(init=False, repr=False, compare=False)
    _modes: tuple[tuple[int, str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Sort out the rows once: checks ask again and again, and a soak has half a million."""
        requests, turns = [], defaultdict[str, list[ModeRow]](list)
        for place, row in enumerate(self.rows, 1):
            if isinstance(row, RequestRow):
                requests.append((place, row))
            elif isinstance(row, ModeRow):
                turns[row.fault].append(row)
        object.__setattr__(self, "_requests", tuple(requests))
        object.__setattr__(self, "_turns", {name: tuple(rows) for name, rows in turns.items()})
        object.__setattr__(self, "_steps", house_steps(self.plan))
        object.__setattr__(self, "_modes", tuple(self._dated_modes()))

    @property
    def clock_moved(self) -> bool:
        """Whether a fault changed the exchange's clock at any time."""
        return any(isinstance(r, ModeRow) and r.verb.startswith("clock.") for r in self.rows)

    @property
    def writer_capacity(self) -> int:
        """How many units may wait for the writer of the audit."""
        return loaded_for(self.plan.settings).settings.audit.writer_queue_capacity

    @property
    def house_moved(self) -> bool:
        """Whether somebody set the runtime's own clock."""
        return any(isinstance(trouble.what, ClockSet) for trouble in self.plan.troubles)

    def least_order(self, symbol: str) -> Decimal:
        """What the smallest order on a symbol is worth in quote, before any fault."""
        return self.least[symbol] if symbol in self.least else least_order(symbol)

    def requests(self) -> tuple[tuple[int, RequestRow], ...]:
        """Requests with their place in the journal."""
        return self._requests

    def turns_of(self, fault: str) -> tuple[ModeRow, ...]:
        """What the journal says of a fault: when it began, hit and ended."""
        return self._turns.get(fault, ())

    def fired(self) -> Counter[str]:
        """How often each fault or trouble of the plan hit something or took effect."""
        faults = {
            row.fault: row.fired
            for row in self.rows
            if isinstance(row, ModeRow) and row.event in ("fire", "end") and row.fired
        }
        return Counter({**faults, **self.troubled})

    def at(self, place: int, exchange_ms: int) -> int:
        """An instant that the exchange stamped in the row of this place, by the runtime's clock.

        That is market time, unless somebody set that clock.
        """
        return exchange_ms - self.offsets[place - 1]

    def mode_at(self, at_ms: int) -> str:
        """The mode in force at a market time; empty before the first."""
        modes = [mode for since_ms, mode in self._modes if since_ms <= at_ms]
        return modes[-1] if modes else ""

    def _dated_modes(self) -> Iterator[tuple[int, str]]:
        """Each mode with the market time at which it began, in their order."""
        since_ms = 0
        for mode in self.facts.modes:
            shown = self.in_market(mode.at_ms)
            since_ms = next((at_ms for at_ms in shown if at_ms >= since_ms), since_ms)
            yield since_ms, mode.mode

    def mode_before(self, at_ms: int) -> str:
        """The same just before that time, at which something changes it or asks for a stop."""
        return self.mode_at(at_ms - 1)

    def ahead_ms(self, place: int) -> int:
        """By how much somebody had set the runtime's clock forward at this row."""
        return self.ahead[place - 1] if place <= len(self.ahead) else 0

    def market_at(self, place: int, exchange_ms: int) -> int:
        """The same in market time, in which lives are told."""
        return self.at(place, exchange_ms) - self.ahead_ms(place)

    def in_market(self, stamp_ms: int) -> tuple[int, ...]:
        """The market times at which the runtime's clock showed this, in their order.

        More than one if somebody set it back over that time, none if they set it forward over it.
        """
        shown: list[int] = []
        since_ms, ahead_ms = 0, 0
        for step_ms, ms in (*self._steps, (_NEVER, 0)):
            if since_ms <= stamp_ms - ahead_ms <= step_ms:
                shown.append(stamp_ms - ahead_ms)
            since_ms, ahead_ms = step_ms, ahead_ms + ms
        return tuple(shown)


def read_witness(plan: RunPlan, result: RunResult, *, samples_apart: int = 1) -> Witness:
    """Read all of it; of the samples of health every so many.

    Raises what reading raises: `OSError`, `JournalInvalid`, store errors.
    """
    rows = with_their_replies(read_journal(result.journal))
    run_id = next(life.run_id for life in reversed(result.lives) if life.run_id)
    reader = InlineReader(result.database)
    with closing(sqlite3.connect(result.database)) as database:
        reader.borrow(database)
        facts = at_once(read_facts(reader, result.logs, run_id))
        files = files_below(result.journal.parent)
        return Witness(
            plan=plan,
            restart_ms=plan.restart_ms - result.saved_ms,
            lives=result.lives,
            facts=facts,
            journal=rows_of(str(result.journal), rows),
            rows=rows,
            sent=_sent(database),
            received=_times(database, "trade_id", "fills"),
            updated=_times(database, "order_id", "orders"),
            cycles=_cycles(database),
            executed=_executed(database),
            volume=_volume(result, database),
            offsets=offsets_of(plan, rows),
            troubled=read_log(result.journal.with_name(LOG_FILE)),
            commits=tuple(commit.rows for commit in result.commits),
            recovered=_recovered(database),
            hasty=_hasty(database),
            samples=_samples(database, samples_apart),
            told_fills=_told_fills(database),
            hits=read_hits(result.journal.with_name(LOG_FILE)),
            gauges=read_gauges(result.journal.with_name(GAUGES_FILE)),
            asked=_asked(database),
            days=_days(database),
            ahead=ahead_of(plan, rows),
            announced=result.alerts,
            searched=len(files),
            leaks=tuple(leaks(files, (secret.reveal() for secret in demo_secrets().all()))),
        )


def offsets_of(plan: RunPlan, rows: Sequence[Row]) -> tuple[int, ...]:
    """How far the exchange's clock was ahead of the runtime's own at each row of its journal."""
    faults = {fault.id: fault.what for fault in plan.faults}
    stepped, newest_ms = 0, plan.start_ms
    house = house_steps(plan)
    running: dict[str, tuple[int, int]] = {}
    found = []
    for row in rows:
        if isinstance(row, ModeRow):
            newest_ms = max(newest_ms, row.t_ms)
            what: Any = faults.get(row.fault)
            if row.verb == "clock.step" and row.event == "fire":
                stepped += what.ms
            elif row.verb == "clock.skew" and row.event == "fire":
                running[row.fault] = (row.t_ms, what.ppm)
            elif row.fault in running and row.event == "end":
                since_ms, ppm = running.pop(row.fault)
                stepped += (row.t_ms - since_ms) * ppm // 1_000_000
        elif isinstance(row, RequestRow):
            newest_ms = max(newest_ms, row.t_arrive - stepped)
        drift = sum((newest_ms - since) * ppm // 1_000_000 for since, ppm in running.values())
        ahead = sum(ms for at_ms, ms in house if at_ms <= newest_ms)
        found.append(stepped + drift - ahead)
    return tuple(found)


def ahead_of(plan: RunPlan, rows: Sequence[Row]) -> tuple[int, ...]:
    """How far the runtime's own clock had been set forward at each row of the journal."""
    if not house_steps(plan):
        return ()
    untouched = offsets_of(replace(plan, troubles=()), rows)
    return tuple(
        by_market - by_house
        for by_market, by_house in zip(untouched, offsets_of(plan, rows), strict=True)
    )


def house_steps(plan: RunPlan) -> tuple[tuple[int, int], ...]:
    """(market time, milliseconds) of each step of the runtime's own clock."""
    found = []
    for trouble in plan.troubles:
        if isinstance(trouble.what, ClockSet):
            begin_ms, end_ms = plan.start_ms + trouble.after_ms, trouble.after_ms + trouble.for_ms
            found.append((begin_ms, trouble.what.ms))
            found.append((plan.start_ms + min(end_ms, plan.safety_ms), -trouble.what.ms))
    return tuple(sorted(found))


def stood_still(witness: Witness) -> dict[int, int]:
    """By the one stamp that the exchange's clock gave meanwhile, for how long it stood."""
    faults = witness.plan.faults
    for_ms = {f.id: f.what.ms for f in faults if isinstance(f.what, SuspendClock)}
    return {
        row.t_ms: for_ms[row.fault]
        for row in witness.rows
        if isinstance(row, ModeRow) and row.event == "fire" and row.fault in for_ms
    }


def _sent(database: sqlite3.Connection) -> dict[str, Sent]:
    # The ledger's own `sent_at_ms` is in server time; a step's is by the clock of the trail.
    sql = (
        "SELECT i.order_intent_id, coalesce(t.at_ms, 0), i.recv_window_ms FROM order_intents i "
        "LEFT JOIN intent_transitions t "
        "ON t.order_intent_id = i.order_intent_id AND t.to_state = 'SENT_UNKNOWN'"
    )
    rows = database.execute(sql)
    return {name: Sent(at_ms=at, recv_window_ms=window) for name, at, window in rows}


def _times(database: sqlite3.Connection, key: str, table: str) -> dict[tuple[str, int], int]:
    sql = f"SELECT symbol, {key}, local_received_ms FROM {table}"  # noqa: S608  literals above
    return {(symbol, number): at_ms for symbol, number, at_ms in database.execute(sql)}


def _cycles(database: sqlite3.Connection) -> tuple[int, ...]:
    sql = "SELECT min(ts_ms) FROM audit_events WHERE cycle_id <> '' GROUP BY cycle_id ORDER BY 1"
    return tuple(at_ms for (at_ms,) in database.execute(sql))


def _days(database: sqlite3.Connection) -> dict[str, dict[str, Any]]:
    rows = database.execute("SELECT day, summary_json FROM daily_summaries ORDER BY day")
    return {day: msgspec.json.decode(summary) for day, summary in rows}


def _asked(database: sqlite3.Connection) -> dict[str, int]:
    sql = (
        "SELECT run_id, count(*) FROM audit_events WHERE event_type = 'WEBUI_REQUEST' "
        "AND json_extract(data, '$.status') <> 429 GROUP BY run_id"
    )
    return dict(database.execute(sql))


def _recovered(database: sqlite3.Connection) -> dict[str, int]:
    """When each run's boot had said how it goes on."""
    sql = (
        "SELECT run_id, min(ts_ms) FROM audit_events WHERE event_type = 'STAGE_CHANGED' "
        "AND json_extract(data, '$.choice') IS NOT NULL GROUP BY run_id"
    )
    return dict(database.execute(sql))


def _hasty(database: sqlite3.Connection) -> frozenset[str]:
    """Runs that are told to be NORMAL in a row before the one that says how they go on."""
    sql = (
        "SELECT run_id FROM audit_events GROUP BY run_id HAVING "
        "min(CASE WHEN event_type = 'SYSMODE_CHANGED' AND json_extract(data, '$.to') = 'NORMAL' "
        "THEN seq END) < min(CASE WHEN event_type = 'STAGE_CHANGED' "
        "AND json_extract(data, '$.choice') IS NOT NULL THEN seq END)"
    )
    return frozenset(run_id for (run_id,) in database.execute(sql))


def _told_fills(database: sqlite3.Connection) -> tuple[tuple[str, int], ...]:
    sql = (
        "SELECT symbol, json_extract(data, '$.trade_id') FROM audit_events "
        "WHERE event_type = 'FILL' ORDER BY id"
    )
    return tuple((symbol, int(number)) for symbol, number in database.execute(sql))


def _samples(database: sqlite3.Connection, apart: int) -> tuple[Mapping[str, Any], ...]:
    sql = "SELECT sample_json FROM health_samples WHERE rowid % ? = 0 ORDER BY at_ms"
    rows = database.execute(sql, (apart,))
    return tuple(msgspec.json.decode(text) for (text,) in rows)


def _executed(database: sqlite3.Connection) -> tuple[tuple[str, int, str], ...]:
    """(symbol, order id, executed quantity) of each audited order update, in their order."""
    sql = (
        "SELECT symbol, data FROM audit_events WHERE event_type = 'ORDER_UPDATE' "
        "AND json_extract(data, '$.executed_qty') IS NOT NULL ORDER BY id"
    )
    found = []
    for symbol, text in database.execute(sql):
        data = msgspec.json.decode(text)
        found.append((symbol, int(data.get("order_id", 0)), str(data["executed_qty"])))
    return tuple(found)


def _volume(result: RunResult, database: sqlite3.Connection) -> Volume:
    text = database.execute("SELECT coalesce(max(length(text)), 0) FROM alerts").fetchone()
    lines = [msgspec.json.decode(line) for line in _log(result.logs).splitlines() if line]
    said = Counter(
        (str(line.get("event", "")), int(line.get("ts_ms", 0)) // 60_000) for line in lines
    )
    top, repeats = said.most_common(1)[0] if said else (("", 0), 0)
    return Volume(
        bytes_of={
            "database": result.database.stat().st_size,
            "trail": sum(path.stat().st_size for path in result.logs.glob("audit-*")),
            "log": len(_log(result.logs)),
        },
        longest_alert=int(text[0]),
        repeated=top[0],
        repeats_per_minute=repeats,
    )


def _log(logs: Path) -> str:
    path = logs / "replay.log"
    return path.read_text(encoding="utf-8") if path.exists() else ""
