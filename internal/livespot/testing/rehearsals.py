"""Five broken situations in a real database, for an operator who rehearses his first minute.

Each is written as the rows that the runtime would leave. What is shown of them comes from the
product itself; only the answer key is kept here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import msgspec

from livespot.contracts.codes import ReasonCode
from livespot.contracts.records import IntentCreated, PositionRow, Record, RunStarted
from livespot.contracts.vocabulary import (
    IntentAction,
    IntentRole,
    IntentState,
    Mode,
    PositionPhase,
    Severity,
    Side,
    SignalKind,
    SignalLevel,
    SysMode,
)
from livespot.store.migrate import migrate
from livespot.testing import ledger_rows as rows
from livespot.testing import panel_story as story

_FOUND_MS = story.NOW_MS - 9_000
_ASKED_MS = story.NOW_MS - 180_000
_LITTLE_BYTES = 209_715_200


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the first fold must show: a word for the state, the code, and the advice.

    `diagnosis` is what an operator should be able to say after reading it.
    """

    state: str
    code: str
    advice: str
    diagnosis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """One situation. `alive`: a process is to hold the instance lock, and its panel answers."""

    rows: Callable[[], Sequence[Record]]
    alive: bool
    answer: Answer


async def prepare(var: Path, number: int) -> Rehearsal:
    """Write situation `number` into a fresh database below `var`. Raises `KeyError`."""
    chosen = REHEARSALS[number]
    path = var / "data" / "audit.sqlite"
    migrate(path, backup_dir=var / "backups", now_ms=story.START_MS)
    await story.write(path, _run(), *story.events(), *chosen.rows())
    return chosen


def _run() -> RunStarted:
    return msgspec.structs.replace(rows.run_started(), mode=Mode.LIVE, account_label="rehearsal")


def _ordinary(*, free_bytes: int = 0) -> tuple[Record, ...]:
    """What goes on around it and is not to blame; with `free_bytes` the disk has shrunk to that."""
    samples = story.samples()
    if free_bytes:
        figures = msgspec.json.decode(samples[-1].sample_json) | {"disk_free_bytes": free_bytes}
        last = msgspec.structs.replace(
            samples[-1], sample_json=msgspec.json.encode(figures).decode()
        )
        samples = [*samples[:-1], last]
    return (
        *samples,
        *story.watchlist(("BTCUSDT", "ETHUSDT", "ADAUSDT")),
        *story.decisions(),
        story.candle("101.40"),
        story.reconcile(),
    )


def _mode(mode: SysMode, *active: dict[str, object], at_ms: int = _FOUND_MS) -> Record:
    return story.mode(mode, active, at_ms=at_ms)


def _reason(
    code: ReasonCode, kind: SignalKind, level: SignalLevel, detail: str, **measured: int | str
) -> dict[str, object]:
    return {
        "code": code,
        "kind": kind,
        "level": level,
        "source": kind.lower(),
        "since_ms": _FOUND_MS,
        "value": measured.get("value", 0),
        "threshold": measured.get("threshold", 0),
        "unit": measured.get("unit", ""),
        "detail": detail,
        "count": 1,
    }


def _position(phase: PositionPhase, *, bare_since_ms: int = 0) -> PositionRow:
    held = rows.position(phase=phase).position
    covered = Decimal(0) if bare_since_ms else held.protected_qty
    return PositionRow(
        position=msgspec.structs.replace(
            held, unprotected_since_ms=bare_since_ms, protected_qty=covered
        )
    )


def _bare_position() -> Sequence[Record]:
    code = ReasonCode.PAUSE_NEEDS_MANUAL_PROTECTION
    bare = _reason(
        code,
        SignalKind.PROTECTION,
        SignalLevel.PAUSE,
        "BTCUSDT: two lists and a lone stop were refused",
        value=9_000,
        threshold=5_000,
        unit="ms",
    )
    refused = msgspec.structs.replace(
        rows.intent("a"),
        action=IntentAction.OCO_CREATE,
        role=IntentRole.LIST,
        side=Side.SELL,
        created_at_ms=_FOUND_MS,
        updated_at_ms=_FOUND_MS,
    )
    answer = rows.moved(IntentState.CREATED, IntentState.FAILED_TERMINAL)
    return (
        *_ordinary(),
        IntentCreated(intent=refused, aliases=()),
        msgspec.structs.replace(answer, last_error_code="-2010", at_ms=_FOUND_MS + 80),
        _position(PositionPhase.UNPROTECTED, bare_since_ms=_FOUND_MS),
        _mode(SysMode.PAUSE, bare),
        story.alert(Severity.CRIT, code, "BTCUSDT has no live stop"),
    )


def _dead_process() -> Sequence[Record]:
    return (*_ordinary(), _position(PositionPhase.PROTECTED), _mode(SysMode.NORMAL))


def _unknown_order() -> Sequence[Record]:
    code = ReasonCode.INTENT_SENT_UNKNOWN
    unknown = _reason(
        code,
        SignalKind.INTENT,
        SignalLevel.DEGRADE,
        "SUBMIT ENTRY BTCUSDT: no answer, and no look-up has found it yet",
        value=3,
        threshold=3,
        unit="queries",
    )
    unknown["since_ms"] = _ASKED_MS + 8_000
    entry = msgspec.structs.replace(
        rows.intent("a"), created_at_ms=_ASKED_MS, updated_at_ms=_ASKED_MS
    )
    sent = rows.moved(IntentState.CREATED, IntentState.SENT_UNKNOWN)
    return (
        *_ordinary(),
        IntentCreated(intent=entry, aliases=()),
        msgspec.structs.replace(sent, at_ms=_ASKED_MS + 5),
        _mode(SysMode.DEGRADE, unknown, at_ms=_ASKED_MS + 8_000),
        story.alert(Severity.WARN, code, "an order of BTCUSDT is unknown"),
    )


def _full_disk() -> Sequence[Record]:
    code = ReasonCode.DISK_LOW_PAUSE
    low = _reason(
        code,
        SignalKind.DISK_LOW,
        SignalLevel.PAUSE,
        "",
        value=_LITTLE_BYTES,
        threshold=536_870_912,
        unit="bytes",
    )
    return (
        *_ordinary(free_bytes=_LITTLE_BYTES),
        _position(PositionPhase.PROTECTED),
        _mode(SysMode.PAUSE, low),
        story.alert(Severity.CRIT, code, "NORMAL -> PAUSE because of DISK_LOW_PAUSE"),
    )


def _refused_key() -> Sequence[Record]:
    code = ReasonCode.API_KEY_REJECTED
    key = _reason(code, SignalKind.KEY, SignalLevel.PAUSE, "refused with -2015")
    rest = _reason(
        ReasonCode.REST_STALE_DEGRADE,
        SignalKind.REST_STALE,
        SignalLevel.DEGRADE,
        "",
        value=12_000,
        threshold=10_000,
        unit="ms",
    )
    return (
        *_ordinary(),
        _mode(SysMode.PAUSE, key, rest),
        story.alert(Severity.CRIT, code, "NORMAL -> PAUSE because of API_KEY_REJECTED"),
    )


REHEARSALS = {
    1: Rehearsal(
        rows=_bare_position,
        alive=True,
        answer=Answer(
            state="PAUSE",
            code="PAUSE_NEEDS_MANUAL_PROTECTION",
            advice="Place a stop for BTCUSDT on the exchange, or sell it.",
            diagnosis="A position has no live stop, every repair was refused; act on the exchange.",
        ),
    ),
    2: Rehearsal(
        rows=_dead_process,
        alive=False,
        answer=Answer(
            state="CRASHED",
            code="CRASHED",
            advice="Start it again: livespot live --live",
            diagnosis="The process died with a protected position open; restarting is safe.",
        ),
    ),
    3: Rehearsal(
        rows=_unknown_order,
        alive=True,
        answer=Answer(
            state="DEGRADE",
            code="INTENT_SENT_UNKNOWN",
            advice="Look for BTCUSDT among the open orders on the exchange.",
            diagnosis="An entry is unknown for minutes; look it up, and send nothing by hand.",
        ),
    ),
    4: Rehearsal(
        rows=_full_disk,
        alive=True,
        answer=Answer(
            state="PAUSE",
            code="DISK_LOW_PAUSE",
            advice="Free space now, then resume with a reason.",
            diagnosis="The audit's volume is nearly full; the position is protected.",
        ),
    ),
    5: Rehearsal(
        rows=_refused_key,
        alive=True,
        answer=Answer(
            state="PAUSE",
            code="API_KEY_REJECTED",
            advice="Check key, rights and allowed addresses; resume afterwards.",
            diagnosis="The exchange refuses the key; the stale REST age is only its consequence.",
        ),
    ),
}
