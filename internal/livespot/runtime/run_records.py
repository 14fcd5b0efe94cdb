"""The first and last records of a run in the audit."""

import platform
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import msgspec

from livespot import __version__
from livespot.actors.limits_keeper import KeptSilence
from livespot.contracts.audit import AuditDraft, AuditEntry, TrailRepair
from livespot.contracts.canonical import canonical_json
from livespot.contracts.codes import ReasonCode
from livespot.contracts.ids import run_id
from livespot.contracts.ports import Clock, Entropy
from livespot.contracts.queries import LastRun, LedgerReader
from livespot.contracts.records import RunEnded, RunStarted
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import EventType, Mode, Stage, SysMode
from livespot.store.restoration import Restoration

_CRASH_WINDOW_MS = 600_000
_SILENCE = msgspec.json.Decoder(KeptSilence)


class RepairableTrail(Protocol):
    async def repair(self) -> TrailRepair: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """What a run knows when it begins: its id, the previous run, and the mode it boots in.

    `start_mode` is PAUSE when the previous run was left in PAUSE or `held_by` gives a reason, else
    DEGRADE. `silence` is the silence that the exchange asked of an earlier run.
    """

    run_id: str
    mode: Mode
    at_ms: int
    last: LastRun | None
    repair: TrailRepair
    start_mode: SysMode
    crash_loop: bool
    silence: KeptSilence = field(default_factory=KeptSilence)
    restoration: Restoration | None = None

    @property
    def held_by(self) -> tuple[ReasonCode, ...]:
        """Why a person should look before this run trades: lost history or a loop of crashes."""
        lost = self.repair.unknown or (self.restoration is not None and not self.restoration.whole)
        rollback = (ReasonCode.DB_ROLLBACK_DETECTED,) if lost else ()
        return (*rollback, *((ReasonCode.ACTOR_FAILED,) if self.crash_loop else ()))


async def begin(
    mode: Mode,
    *,
    settings: Settings,
    clock: Clock,
    entropy: Entropy,
    ledger: LedgerReader,
    trail: RepairableTrail,
) -> Birth:
    """Read how the last run ended and repair the trail; writes nothing to the database."""
    now = clock.now_ms()
    last = await ledger.last_run()
    repair = await trail.repair()
    crashes = await ledger.quick_unclean_runs(since_ms=now - _CRASH_WINDOW_MS)
    kept = await ledger.latest_event_data(EventType.RATE_LIMIT)
    crash_loop = crashes >= settings.live.crash_loop_max
    paused = last is not None and last.sysmode is SysMode.PAUSE
    held = paused or crash_loop or repair.unknown > 0
    return Birth(
        run_id=run_id(now, entropy.hex(6)),
        mode=mode,
        at_ms=now,
        last=last,
        repair=repair,
        start_mode=SysMode.PAUSE if held else SysMode.DEGRADE,
        crash_loop=crash_loop,
        silence=KeptSilence() if kept is None else _SILENCE.decode(kept),
    )


def after_restore(birth: Birth, restoration: Restoration | None) -> Birth:
    """The same, told of a restore; where that may have lost something, the run begins in PAUSE."""
    if restoration is None:
        return birth
    mode = birth.start_mode if restoration.whole else SysMode.PAUSE
    return replace(birth, restoration=restoration, start_mode=mode)


def interpreter() -> dict[str, str]:
    """Return the versions of Python and SQLite, for the first event of a run."""
    return {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}


def started(
    birth: Birth,
    settings: Settings,
    *,
    config_hash: str,
    prompt_hash: str,
    account_label: str,
    runs_on: Mapping[str, str],
) -> list[AuditEntry]:
    """Return the first events of a run: its start, and what it found of the previous one."""
    entries = [
        AuditEntry(
            draft=AuditDraft(
                event_type=EventType.RUN_STARTED,
                stage=Stage.BOOT,
                ts_ms=birth.at_ms,
                data={
                    "version": __version__,
                    "config_hash": config_hash,
                    "prompt_hash": prompt_hash,
                    **runs_on,
                    "previous_run": birth.last.run_id if birth.last else "",
                },
            ),
            records=(
                RunStarted(
                    run_id=birth.run_id,
                    mode=birth.mode,
                    started_at_ms=birth.at_ms,
                    config_hash=config_hash,
                    config_json=canonical_json(settings).decode(),
                    prompt_hash=prompt_hash,
                    version=__version__,
                    platform=platform.platform(),
                    account_label=account_label,
                    previous_run_id=birth.last.run_id if birth.last else "",
                ),
            ),
        )
    ]
    if birth.last is not None and not birth.last.ended:
        entries.append(_unclean(birth, birth.last))
    if birth.restoration is not None:
        entries.append(_restored(birth, birth.restoration))
    if birth.crash_loop:
        entries.append(_note(birth, (ReasonCode.ACTOR_FAILED,), {"crash_loop": True}))
    if birth.repair.needed:
        code = (
            ReasonCode.DB_ROLLBACK_DETECTED
            if birth.repair.unknown
            else ReasonCode.RECONCILE_DIFF_DETECTED
        )
        entries.append(
            _note(
                birth,
                (code,),
                {
                    "trail_lines_added": birth.repair.added,
                    "trail_lines_removed": birth.repair.removed,
                    "trail_lines_unknown": birth.repair.unknown,
                },
            )
        )
    return entries


def ended(run: str, *, now_ms: int, exit_code: int, reasons: tuple[ReasonCode, ...]) -> AuditEntry:
    """Return the last event of a run that ends in order."""
    return AuditEntry(
        draft=AuditDraft(
            event_type=EventType.RUN_ENDED,
            stage=Stage.SHUTDOWN,
            ts_ms=now_ms,
            reasons=reasons,
            data={"exit_code": exit_code},
        ),
        records=(
            RunEnded(
                run_id=run, ended_at_ms=now_ms, exit_code=exit_code, reasons=reasons, clean=True
            ),
        ),
    )


def _unclean(birth: Birth, last: LastRun) -> AuditEntry:
    note = _note(
        birth, (ReasonCode.UNCLEAN_SHUTDOWN,), {"run": last.run_id, "last_seq": last.last_seq}
    )
    return AuditEntry(
        draft=note.draft,
        records=(
            RunEnded(
                run_id=last.run_id,
                ended_at_ms=birth.at_ms,
                exit_code=-1,
                reasons=(ReasonCode.UNCLEAN_SHUTDOWN,),
                clean=False,
            ),
        ),
    )


def _restored(birth: Birth, restoration: Restoration) -> AuditEntry:
    rollback = () if restoration.whole else (ReasonCode.DB_ROLLBACK_DETECTED,)
    return _note(
        birth,
        (ReasonCode.RESTORED_FROM_BACKUP, *rollback),
        {"restore": msgspec.to_builtins(restoration)},
    )


def _note(birth: Birth, codes: tuple[ReasonCode, ...], data: dict[str, object]) -> AuditEntry:
    return AuditEntry(
        draft=AuditDraft(
            event_type=EventType.ALERT_RAISED,
            stage=Stage.BOOT,
            ts_ms=birth.at_ms,
            reasons=codes,
            data=data,
        )
    )
