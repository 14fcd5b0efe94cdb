"""Boot recovery: the order of questions, the choice, its event, and when its demand ends."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from livespot.actors.boot_watch import BootWatch
from livespot.actors.mail import OrdersAsked, PositionsAsked, RecoverAsked, RecoverySummary
from livespot.actors.recovery import BootRecovery
from livespot.contracts.codes import ReasonCode
from livespot.contracts.orders import Position
from livespot.contracts.queries import LastRun
from livespot.contracts.records import Record
from livespot.contracts.redaction import Redactor
from livespot.contracts.settings import Settings
from livespot.contracts.system import Alert, CloseAsked, HealthSignal
from livespot.contracts.vocabulary import Mode, PositionPhase, SignalLevel, SysMode
from livespot.runtime.mailboxes import Mailbox
from livespot.store.queries import LedgerQueries
from livespot.testing.audit import RecordingAudit
from livespot.testing.clock import ManualClock
from livespot.testing.inline_store import InlineDatabase, InlineReader
from livespot.testing.ledger_rows import (
    RUN,
    created,
    fill,
    fresh,
    order,
    position,
    run_started,
)

QUIET = RecoverySummary(resolved=0, unresolved=0, detail="")
KILLED = LastRun(
    run_id="run_before",
    mode=Mode.SIM,
    sysmode=SysMode.NORMAL,
    ended=False,
    exit_code=0,
    last_seq=77,
    last_hash="h",
    started_at_ms=1,
)


class Theatre:
    """Plays the three actors that recovery asks; `positions` is called at every question."""

    def __init__(
        self,
        path: Path,
        *,
        previous: LastRun | None = None,
        positions: Callable[[int], tuple[Position, ...]] = lambda _: (),
        held_by: tuple[ReasonCode, ...] = (),
        **summaries: RecoverySummary,
    ) -> None:
        self.clock = ManualClock()
        self.audit = RecordingAudit()
        self.asked: list[str] = []
        self.closed: list[str] = []
        self._summaries = summaries
        self._positions = positions
        self._questions = 0
        self._boxes: dict[str, Mailbox[Any]] = {
            name: Mailbox(name, 100, self.clock)
            for name in ("execution", "position", "reconciler", "governor")
        }
        self.recovery = BootRecovery(
            mode=Mode.SIM,
            settings=Settings(),
            clock=self.clock,
            audit=self.audit,
            ledger=LedgerQueries(InlineReader(path)),
            previous=previous,
            execution=self._boxes["execution"],
            position=self._boxes["position"],
            reconciler=self._boxes["reconciler"],
            governor=self._boxes["governor"],
            beat=lambda: None,
            held_by=held_by,
        )

    async def run(self) -> None:
        """Until recovery withdraws its demand by itself."""
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                for name in ("execution", "position", "reconciler"):
                    tasks.start_soon(self._answer, name)
                await self.recovery.run()
                tasks.cancel_scope.cancel()

    def told(self) -> list[Any]:
        return list(iter(self._boxes["governor"].receive_nowait, None))

    async def _answer(self, name: str) -> None:
        async for message in self._boxes[name]:
            if isinstance(message, RecoverAsked):
                self.asked.append(name)
                message.reply.answer(self._summaries.get(name, QUIET))
            elif isinstance(message, CloseAsked):
                self.closed.extend(message.symbols)
            elif isinstance(message, PositionsAsked):
                self._questions += 1
                message.reply.answer(self._positions(self._questions))
            elif isinstance(message, OrdersAsked):
                message.reply.answer(())


def levels(told: list[Any]) -> list[SignalLevel]:
    return [m.level for m in told if isinstance(m, HealthSignal)]


def a_position(phase: PositionPhase) -> Position:
    return msgspec.structs.replace(position().position, phase=phase)


async def test_intents_come_first_then_positions_then_the_comparison(tmp_path: Path) -> None:
    stage = Theatre(fresh(tmp_path))

    await stage.run()

    assert stage.asked == ["execution", "position", "reconciler"]
    assert levels(stage.told()) == [SignalLevel.DEGRADE, SignalLevel.CLEAR]


async def test_the_choice_is_on_record_and_names_the_run_that_was_killed(tmp_path: Path) -> None:
    stage = Theatre(fresh(tmp_path), previous=KILLED)

    await stage.run()

    (entry,) = stage.audit.entries
    assert entry.draft.reasons == (ReasonCode.BOOT_RECOVERY, ReasonCode.UNCLEAN_SHUTDOWN)
    assert entry.draft.data["previous_last_seq"] == 77
    alerts = [m for m in stage.told() if isinstance(m, Alert)]
    assert [(a.code, a.severity) for a in alerts] == [("UNCLEAN_SHUTDOWN", "INFO")]


async def test_a_bare_position_holds_degrade_until_it_is_protected(tmp_path: Path) -> None:
    def positions(question: int) -> tuple[Position, ...]:
        bare = question < 3
        return (a_position(PositionPhase.UNPROTECTED if bare else PositionPhase.PROTECTED),)

    stage = Theatre(fresh(tmp_path), positions=positions)

    await stage.run()

    assert levels(stage.told()) == [SignalLevel.DEGRADE, SignalLevel.DEGRADE, SignalLevel.CLEAR]


async def test_a_run_that_ended_in_pause_demands_pause_and_calls_for_the_operator(
    tmp_path: Path,
) -> None:
    paused = msgspec.structs.replace(KILLED, sysmode=SysMode.PAUSE)
    stage = Theatre(fresh(tmp_path), previous=paused)

    await stage.run()

    told = stage.told()
    assert levels(told) == [SignalLevel.DEGRADE, SignalLevel.PAUSE, SignalLevel.CLEAR]
    crit = [m.code for m in told if isinstance(m, Alert) and m.severity == "CRIT"]
    assert crit == [ReasonCode.PAUSE_NEEDS_MANUAL]


async def test_an_exchange_that_contradicts_the_ledger_pauses(tmp_path: Path) -> None:
    drifted = RecoverySummary(resolved=0, unresolved=0, detail="", drift=SignalLevel.PAUSE)
    stage = Theatre(fresh(tmp_path), reconciler=drifted)

    await stage.run()

    assert levels(stage.told())[1] is SignalLevel.PAUSE
    assert stage.audit.entries[0].draft.data["choice"] == "AMBIGUOUS_PAUSE"


@pytest.mark.parametrize("code", [ReasonCode.DB_ROLLBACK_DETECTED, ReasonCode.ACTOR_FAILED])
async def test_a_run_begun_in_pause_says_why_a_person_should_look(
    tmp_path: Path, code: ReasonCode
) -> None:
    stage = Theatre(fresh(tmp_path), held_by=(code,))

    await stage.run()

    crit = [m for m in stage.told() if isinstance(m, Alert) and m.severity == "CRIT"]
    assert [alert.code for alert in crit] == [code]
    assert crit[0].text


async def test_a_bare_position_that_the_exchange_contradicts_is_sold_and_the_run_pauses(
    tmp_path: Path,
) -> None:
    drifted = RecoverySummary(resolved=0, unresolved=0, detail="", drift=SignalLevel.PAUSE)
    bare = a_position(PositionPhase.UNPROTECTED)

    def positions(question: int) -> tuple[Position, ...]:
        return (bare,) if question < 3 else ()

    stage = Theatre(fresh(tmp_path), reconciler=drifted, positions=positions)

    await stage.run()

    assert stage.audit.entries[0].draft.data["choice"] == "CLOSE_SAFELY_THEN_PAUSE"
    assert stage.closed == [bare.symbol]
    assert levels(stage.told())[1] is SignalLevel.PAUSE


async def _store(path: Path, *rows: Record) -> None:
    database = InlineDatabase(path, run_id=RUN, redactor=Redactor())
    try:
        await database.transaction(rows)
    finally:
        await database.close()


async def test_what_the_last_life_left_bare_pauses_in_time_while_nobody_answers(
    tmp_path: Path,
) -> None:
    path = fresh(tmp_path)
    await _store(path, run_started(), position(phase=PositionPhase.UNPROTECTED))
    stage = Theatre(path)
    told: list[Any] = []

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.recovery.run)
            while not any(isinstance(m, Alert) for m in told):
                await anyio.lowlevel.checkpoint()
                told += stage.told()
            tasks.cancel_scope.cancel()

    (alert,) = [m for m in told if isinstance(m, Alert)]
    assert levels(told) == [SignalLevel.DEGRADE, SignalLevel.PAUSE]
    assert stage.clock.mono_ms < 15_000
    assert alert.severity == "CRIT"
    assert alert.code is ReasonCode.PAUSE_NEEDS_MANUAL_PROTECTION
    assert "BTCUSDT" in alert.text


async def test_what_is_protected_before_the_boots_time_is_up_does_not_pause(
    tmp_path: Path,
) -> None:
    path = fresh(tmp_path)
    await _store(path, run_started(), position(phase=PositionPhase.UNPROTECTED))
    clock = ManualClock()
    watch = BootWatch(
        ledger=LedgerQueries(InlineReader(path)), clock=clock, born_ms=0, compared=lambda: True
    )
    found: list[tuple[str, ...]] = []

    async def look() -> None:
        found.append(await watch.still_bare())

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(look)
            while clock.mono_ms < 5000:
                await anyio.lowlevel.checkpoint()
            await _store(path, position(phase=PositionPhase.PROTECTED))

    assert found == [()]


@pytest.mark.parametrize(("compared", "bare"), [(False, ("BTCUSDT",)), (True, ())])
async def test_fills_that_no_position_counted_yet_are_bare_until_the_exchange_was_read(
    tmp_path: Path,
    compared: bool,
    bare: tuple[str, ...],
) -> None:
    path = fresh(tmp_path)
    rows = (run_started(), created(), order(), fill(), position(phase=PositionPhase.OPENING))
    await _store(path, *rows)
    watch = BootWatch(
        ledger=LedgerQueries(InlineReader(path)),
        clock=ManualClock(),
        born_ms=0,
        compared=lambda: compared,
    )

    assert await watch.still_bare() == bare
