"""A run begins with what is known of the one before it, and ends with a goodbye."""

from pathlib import Path

import msgspec
import pytest

from livespot.contracts.audit import AuditEntry, TrailRepair
from livespot.contracts.codes import ReasonCode
from livespot.contracts.records import RunEnded, RunStarted, SysModeRow
from livespot.contracts.redaction import Redactor
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import EventType, Mode, SysMode
from livespot.runtime.disk import RealDisk
from livespot.runtime.entropy import SeededEntropy
from livespot.runtime.run_records import Birth, after_restore, begin, ended, started
from livespot.store.queries import LedgerQueries
from livespot.store.reader import ReadOnlyDatabase
from livespot.store.restoration import Restoration
from livespot.store.trail import JsonlTrail
from livespot.testing import finished_run
from livespot.testing.clock import ManualClock
from livespot.testing.inline_store import InlineDatabase
from livespot.testing.ledger_rows import NOW_MS, fresh


class _Trail:
    def __init__(self, repair: TrailRepair) -> None:
        self._repair = repair

    async def repair(self) -> TrailRepair:
        return self._repair


class _Life:
    """One database and the runs that live on it, each begun a minute after the one before."""

    def __init__(self, directory: Path) -> None:
        self._path = fresh(directory)
        self._entropy = SeededEntropy(1)
        self.clock = ManualClock(now_ms=NOW_MS)
        self.ledger = LedgerQueries(ReadOnlyDatabase(self._path))

    async def birth(self, repair: TrailRepair | None = None) -> Birth:
        self.clock.advance(60_000)
        return await begin(
            Mode.SIM,
            settings=Settings(),
            clock=self.clock,
            entropy=self._entropy,
            ledger=self.ledger,
            trail=_Trail(repair or TrailRepair()),
        )

    async def write(self, birth: Birth, *entries: AuditEntry) -> None:
        """What a commit leaves in the tables."""
        store = InlineDatabase(self._path, run_id=birth.run_id, redactor=Redactor())
        await store.transaction([record for entry in entries for record in entry.records])
        await store.close()

    async def killed_run(self, mode: SysMode = SysMode.NORMAL) -> Birth:
        """A run that never says goodbye."""
        birth = await self.birth()
        await self.write(birth, *entries_of(birth), mode_entry(birth, mode))
        return birth

    async def clean_run(self, mode: SysMode) -> Birth:
        """A run stopped in order while in `mode`."""
        birth = await self.killed_run(mode)
        goodbye = ended(birth.run_id, now_ms=self.clock.now_ms(), exit_code=0, reasons=())
        await self.write(birth, mode_entry(birth, SysMode.EXIT, previous=mode), goodbye)
        return birth


def entries_of(birth: Birth) -> list[AuditEntry]:
    return started(
        birth, Settings(), config_hash="c", prompt_hash="p", account_label="sim", runs_on={}
    )


def mode_entry(birth: Birth, mode: SysMode, *, previous: SysMode = SysMode.DEGRADE) -> AuditEntry:
    row = SysModeRow(
        run_id=birth.run_id,
        mode=mode,
        previous=previous,
        reasons=(),
        active_json="[]",
        at_ms=birth.at_ms,
    )
    return AuditEntry(draft=entries_of(birth)[0].draft, records=(row,))


def completions(entries: list[AuditEntry]) -> list[RunEnded]:
    return [row for entry in entries for row in entry.records if isinstance(row, RunEnded)]


@pytest.fixture
def life(tmp_path: Path) -> _Life:
    return _Life(tmp_path)


async def test_the_first_run_ever_boots_in_degrade_and_follows_nobody(life: _Life) -> None:
    birth = await life.birth()

    (first,) = entries_of(birth)
    (row,) = first.records
    assert birth.start_mode is SysMode.DEGRADE
    assert not birth.crash_loop
    assert first.draft.event_type is EventType.RUN_STARTED
    assert isinstance(row, RunStarted)
    assert (row.run_id, row.previous_run_id) == (birth.run_id, "")


async def test_beginning_writes_nothing(life: _Life) -> None:
    await life.birth()

    assert await life.ledger.last_run() is None


async def test_a_killed_run_is_completed_as_unclean_by_the_next_one(life: _Life) -> None:
    killed = await life.killed_run()

    birth = await life.birth()
    entries = entries_of(birth)
    await life.write(birth, *entries)

    (row,) = completions(entries)
    assert entries[1].draft.reasons == (ReasonCode.UNCLEAN_SHUTDOWN,)
    assert (row.run_id, row.clean, row.exit_code) == (killed.run_id, False, -1)
    assert row.ended_at_ms == birth.at_ms
    assert entries[0].draft.data["previous_run"] == killed.run_id
    assert not completions(entries_of(await _after_goodbye(life, birth)))


async def _after_goodbye(life: _Life, birth: Birth) -> Birth:
    await life.write(birth, ended(birth.run_id, now_ms=birth.at_ms + 1, exit_code=0, reasons=()))
    return await life.birth()


async def test_a_run_that_said_goodbye_is_not_completed_again(life: _Life) -> None:
    await life.clean_run(SysMode.NORMAL)

    birth = await life.birth()

    assert birth.start_mode is SysMode.DEGRADE
    assert len(entries_of(birth)) == 1


@pytest.mark.parametrize("killed", [True, False])
async def test_pause_survives_the_end_of_the_run(life: _Life, *, killed: bool) -> None:
    await (life.killed_run if killed else life.clean_run)(SysMode.PAUSE)

    birth = await life.birth()

    assert birth.start_mode is SysMode.PAUSE
    assert not birth.crash_loop


async def test_a_resumed_run_does_not_leave_its_pause_behind(life: _Life) -> None:
    await life.clean_run(SysMode.PAUSE)
    await life.clean_run(SysMode.NORMAL)

    assert (await life.birth()).start_mode is SysMode.DEGRADE


async def test_a_crash_loop_boots_in_pause(life: _Life) -> None:
    for _ in range(2):
        await life.killed_run()
    assert (await life.birth()).start_mode is SysMode.DEGRADE

    await life.killed_run()
    birth = await life.birth()

    assert birth.crash_loop
    assert birth.start_mode is SysMode.PAUSE


async def test_a_crash_loop_is_on_record_with_its_reason(life: _Life) -> None:
    for _ in range(3):
        await life.killed_run()

    birth = await life.birth()

    assert birth.held_by == (ReasonCode.ACTOR_FAILED,)
    assert entries_of(birth)[-1].draft.reasons == (ReasonCode.ACTOR_FAILED,)


async def test_a_database_put_back_to_an_earlier_state_boots_in_pause(life: _Life) -> None:
    """It may have lost rows of orders that stand: nothing is bought until a person has looked."""
    birth = await life.birth(TrailRepair(removed=3, unknown=2))

    assert birth.held_by == (ReasonCode.DB_ROLLBACK_DETECTED,)
    assert birth.start_mode is SysMode.PAUSE


async def test_a_trail_that_only_lags_holds_nobody(life: _Life) -> None:
    birth = await life.birth(TrailRepair(added=2))

    assert birth.held_by == ()
    assert birth.start_mode is SysMode.DEGRADE


async def test_crashes_of_long_ago_are_no_crash_loop(life: _Life) -> None:
    for _ in range(3):
        await life.killed_run()
    life.clock.advance(600_000)

    birth = await life.birth()

    assert not birth.crash_loop
    assert birth.start_mode is SysMode.DEGRADE


async def test_orderly_restarts_are_no_crash_loop(life: _Life) -> None:
    for _ in range(4):
        await life.clean_run(SysMode.NORMAL)

    assert not (await life.birth()).crash_loop


@pytest.mark.parametrize(
    ("repair", "code"),
    [
        pytest.param(TrailRepair(added=2), ReasonCode.RECONCILE_DIFF_DETECTED, id="lines-missing"),
        pytest.param(
            TrailRepair(removed=3, unknown=2), ReasonCode.DB_ROLLBACK_DETECTED, id="lines-unknown"
        ),
    ],
)
async def test_a_mended_trail_is_reported(
    life: _Life, repair: TrailRepair, code: ReasonCode
) -> None:
    birth = await life.birth(repair)

    note = entries_of(birth)[-1].draft
    assert note.reasons == (code,)
    assert note.data == {
        "trail_lines_added": repair.added,
        "trail_lines_removed": repair.removed,
        "trail_lines_unknown": repair.unknown,
    }


def test_a_goodbye_says_how_and_why() -> None:
    goodbye = ended("run_one", now_ms=5, exit_code=10, reasons=(ReasonCode.OPERATOR_STOP,))

    assert goodbye.draft.event_type is EventType.RUN_ENDED
    assert goodbye.draft.data == {"exit_code": 10}
    assert goodbye.records == (
        RunEnded(
            run_id="run_one",
            ended_at_ms=5,
            exit_code=10,
            reasons=(ReasonCode.OPERATOR_STOP,),
            clean=True,
        ),
    )


async def test_a_torn_trail_is_mended_at_the_boot_and_the_audit_says_by_how_much(
    tmp_path: Path,
) -> None:
    """What a power cut takes of the lines is not lost: the database has it."""
    path = await finished_run.told(tmp_path)
    (lines,) = (tmp_path / "logs").glob("audit-*.jsonl")
    whole = lines.read_bytes()
    lines.write_bytes(whole[: -len(whole) // 3])
    reader = ReadOnlyDatabase(path)

    birth = await begin(
        Mode.SIM,
        settings=Settings(),
        clock=ManualClock(now_ms=NOW_MS),
        entropy=SeededEntropy(1),
        ledger=LedgerQueries(reader),
        trail=JsonlTrail(RealDisk(), tmp_path / "logs", reader),
    )

    assert lines.read_bytes() == whole
    (note,) = (e for e in entries_of(birth) if "trail_lines_added" in e.draft.data)
    assert note.draft.reasons == (ReasonCode.RECONCILE_DIFF_DETECTED,)
    assert note.draft.data["trail_lines_added"] == birth.repair.added > 1
    # The line that was cut through.
    assert note.draft.data["trail_lines_removed"] == 1


@pytest.mark.parametrize(
    ("whole", "mode", "reasons"),
    [
        pytest.param(True, SysMode.DEGRADE, (), id="whole"),
        pytest.param(False, SysMode.PAUSE, (ReasonCode.DB_ROLLBACK_DETECTED,), id="older"),
    ],
)
async def test_the_first_start_after_a_restore_tells_of_it(
    life: _Life, *, whole: bool, mode: SysMode, reasons: tuple[ReasonCode, ...]
) -> None:
    restoration = Restoration(at_ms=NOW_MS, source="usb", aside="replaced", whole=whole)

    birth = after_restore(await life.birth(), restoration)

    told = entries_of(birth)[-1].draft
    assert (birth.start_mode, birth.held_by) == (mode, reasons)
    assert told.reasons == (ReasonCode.RESTORED_FROM_BACKUP, *reasons)
    assert told.data["restore"] == msgspec.to_builtins(restoration)


async def test_a_whole_restore_ends_no_pause(life: _Life) -> None:
    await life.clean_run(SysMode.PAUSE)

    birth = after_restore(await life.birth(), Restoration(at_ms=NOW_MS, source="usb", whole=True))

    assert birth.start_mode is SysMode.PAUSE
