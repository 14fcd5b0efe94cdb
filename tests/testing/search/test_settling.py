"""When a short run's recovery is over: read from the records, not told by the program."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from livespot.contracts.chain import Place, SealedEvent, seal
from livespot.contracts.records import SysModeRow
from livespot.contracts.redaction import Redactor
from livespot.contracts.vocabulary import IntentState, Mode, SysMode
from livespot.runtime.replay_run import run_virtual
from livespot.runtime.replay_schedule import Schedule
from livespot.store.inline import InlineDatabase, InlineReader
from livespot.store.statements import StoreRow
from livespot.testing.ledger_rows import NOW_MS, RUN, created, draft, fresh, moved
from livespot.testing.search.drawing import draw
from livespot.testing.search.plan import order_of
from livespot.testing.search.running import judged_result, market_for
from livespot.testing.search.settling import Settling

_HEALED_MS = 100_000


def _settling() -> Settling:
    return Settling(healed_ms=_HEALED_MS, quiet_ms=30_000)


async def _write(path: Path, *rows: StoreRow) -> None:
    store = InlineDatabase(path, run_id=RUN, redactor=Redactor())
    await store.transaction(rows)
    await store.close()


def _mode(mode: SysMode) -> SysModeRow:
    return SysModeRow(
        run_id=RUN,
        mode=mode,
        previous=SysMode.DEGRADE,
        reasons=(),
        active_json="[]",
        at_ms=NOW_MS,
    )


def _cycle_begins(number: int, prev_hash: str) -> SealedEvent:
    """The run's event of this number, which names a cycle."""
    place = Place(run_id=RUN, mode=Mode.SIM, seq=number, ts_ms=NOW_MS + number, prev_hash=prev_hash)
    return seal(replace(draft(number, data={}), cycle_id=f"cycle {number}"), b"{}", place)


def _answers(settling: Settling, path: Path, *seconds: int) -> list[bool]:
    records = InlineReader(path)
    return [settling.is_over(_HEALED_MS + second * 1000, records) for second in seconds]


async def test_a_paused_run_is_settled_when_nothing_has_changed_for_so_long(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    await _write(path, _mode(SysMode.PAUSE))

    assert _answers(_settling(), path, -5, 0, 5, 25, 30) == [False, False, False, False, True]


async def test_any_change_of_mode_begins_the_wait_anew(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    settling = _settling()
    await _write(path, _mode(SysMode.PAUSE))
    assert _answers(settling, path, 0, 25) == [False, False]
    await _write(path, _mode(SysMode.PAUSE))

    assert _answers(settling, path, 30, 55, 60) == [False, False, True]


async def test_a_degraded_run_is_never_settled(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    await _write(path, _mode(SysMode.DEGRADE))

    assert not any(_answers(_settling(), path, *range(0, 120, 5)))


async def test_an_intent_in_doubt_keeps_a_run_from_being_settled(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    sent = moved(IntentState.CREATED, IntentState.SENT_UNKNOWN)
    await _write(path, _mode(SysMode.PAUSE), created(), sent)
    settling = _settling()
    assert not any(_answers(settling, path, 0, 30, 60))
    await _write(path, moved(IntentState.SENT_UNKNOWN, IntentState.FAILED_TERMINAL))

    assert _answers(settling, path, 65, 90, 95) == [False, False, True]


async def test_a_working_run_must_have_begun_a_cycle_meanwhile(tmp_path: Path) -> None:
    path = fresh(tmp_path)
    first = _cycle_begins(1, "")
    await _write(path, _mode(SysMode.NORMAL), first)
    settling = _settling()
    assert not any(_answers(settling, path, 0, 30, 60))
    await _write(path, _cycle_begins(2, first.hash))

    assert _answers(settling, path, 65) == [True]


def test_what_follows_the_first_restart_keeps_its_distance() -> None:
    schedule = Schedule(restarts_at_ms=(200_000, 212_000), span_ms=224_000)
    schedule.bring_forward(130_000)

    assert (schedule.restarts_at_ms, schedule.span_ms) == ((130_000, 142_000), 154_000)
    assert schedule.saved_ms == 70_000
    assert schedule.end_after(131_000) == 142_000
    assert schedule.is_last(schedule.end_after(150_000))
    assert not schedule.is_unscathed(130_000)


@pytest.mark.slow
def test_a_short_run_restarts_early_and_is_judged_at_that_instant(tmp_path: Path) -> None:
    # No fault, so that what is settled is settled when the story is over.
    plan = replace(draw("short", 5), faults=(), troubles=(), deaths=())
    result = run_virtual(order_of(plan, tmp_path, market_for(plan)))
    outcome, witness = judged_result(plan, result)

    assert outcome.violations == ()
    assert result.saved_ms > 50_000
    assert witness.restart_ms == plan.restart_ms - result.saved_ms
    first, second = (life.over_ms for life in witness.lives[-3:-1])
    assert witness.restart_ms <= first < witness.restart_ms + 5000
    assert 0 <= second - (witness.restart_ms + plan.settle_ms) < 5000


@pytest.mark.slow
def test_a_plan_that_does_not_ask_for_it_keeps_its_whole_time(tmp_path: Path) -> None:
    plan = replace(draw("short", 5), faults=(), troubles=(), deaths=(), quiet_ms=None)
    plan = replace(plan, safety_ms=30_000, liveness_ms=45_000)
    result = run_virtual(order_of(plan, tmp_path, market_for(plan)))

    assert result.saved_ms == 0
    assert result.lives[0].over_ms >= plan.restart_ms
