"""Troubles of the runtime's own machine: they happen once due, are logged, and are survived."""

import errno
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from livespot.contracts.errors import AuditUnwritable, StoreBusy
from livespot.contracts.redaction import Redactor
from livespot.evidence.findings import judged
from livespot.store.migrate import migrate
from livespot.testing.clock import ManualClock
from livespot.testing.search.board import LOG_FILE, Board, read_log
from livespot.testing.search.kill_scenarios import scenario_named
from livespot.testing.search.plan import RunPlan, encoded, order_of, read_plan
from livespot.testing.search.running import Outcome, run_order, run_plan
from livespot.testing.search.tally import Tally
from livespot.testing.search.trouble_kinds import TROUBLE_KINDS, drawn_troubles, power_cuts
from livespot.testing.search.troubles import (
    TROUBLES,
    ActorName,
    ActorRaises,
    ActorReturns,
    ActorStalls,
    DiskBusy,
    DiskError,
    DiskFull,
    DiskSlow,
    Trouble,
    What,
)
from livespot.testing.search.troubling import TroubledDatabase, TroubledDisk

_HEALED_MS = 60_000


def _board(tmp_path: Path, *what: What) -> tuple[Board, ManualClock]:
    troubles: Sequence[Trouble] = [
        Trouble(id=f"{number}", what=it, after_ms=1000, for_ms=5000)
        for number, it in enumerate(what)
    ]
    clock = ManualClock()
    return Board(troubles, clock, _HEALED_MS, tmp_path / LOG_FILE), clock


def _database(tmp_path: Path, board: Board) -> TroubledDatabase:
    path = tmp_path / "audit.sqlite"
    migrate(path, backup_dir=tmp_path / "backups", now_ms=1)
    store = TroubledDatabase(
        path,
        run_id="run_20260101_000000_000000",
        redactor=Redactor(()),
        committed=lambda rows: None,
    )
    store.board = board
    return store


@pytest.mark.parametrize(
    ("what", "raised"),
    [(DiskFull(), AuditUnwritable), (DiskBusy(), StoreBusy)],
)
async def test_a_store_suffers_for_as_long_as_its_disk_does(
    tmp_path: Path, what: What, raised: type[Exception]
) -> None:
    board, clock = _board(tmp_path, what)
    store = _database(tmp_path, board)
    await store.transaction([])
    clock.advance(1000)
    with pytest.raises(raised):
        await store.transaction([])
    clock.advance(5000)
    await store.transaction([])
    await store.close()

    assert read_log(tmp_path / LOG_FILE) == {"0": 1}


async def test_the_chosen_commit_fails_once(tmp_path: Path) -> None:
    board, clock = _board(tmp_path, DiskError(op="commit", nth=2))
    store = _database(tmp_path, board)
    clock.advance(1000)
    await store.transaction([])
    with pytest.raises(AuditUnwritable):
        await store.transaction([])
    await store.transaction([])
    await store.close()


async def test_a_slow_disk_takes_its_time_over_each_commit(tmp_path: Path) -> None:
    board, clock = _board(tmp_path, DiskSlow(ms=700))
    began_ms = clock.now_ms()
    store = _database(tmp_path, board)
    clock.advance(1000)
    await store.transaction([])
    await store.close()

    assert clock.now_ms() - began_ms == 1700


def test_a_full_disk_takes_no_file_and_a_broken_one_misses_a_write(tmp_path: Path) -> None:
    board, clock = _board(tmp_path, DiskFull())
    disk = TroubledDisk(board=board)
    clock.advance(1000)
    with pytest.raises(OSError, match="No space") as full:
        disk.append(tmp_path / "file", b"x")
    board, clock = _board(tmp_path, DiskError(op="append"))
    clock.advance(1000)
    broken = TroubledDisk(board=board)
    with pytest.raises(OSError, match="Input/output") as failed:
        broken.write_atomic(tmp_path / "file", b"x")
    broken.write_atomic(tmp_path / "file", b"x")

    assert (full.value.errno, failed.value.errno) == (errno.ENOSPC, errno.EIO)
    assert broken.read(tmp_path / "file") == b"x"


def test_nothing_happens_after_the_healing(tmp_path: Path) -> None:
    board, clock = _board(tmp_path, DiskError(op="append"))
    clock.advance(_HEALED_MS)
    TroubledDisk(board=board).append(tmp_path / "file", b"x")

    assert read_log(tmp_path / LOG_FILE) == {}


@pytest.mark.slow
def test_an_actor_that_breaks_is_restarted_and_the_run_says_what_hit(
    quiet_plan: RunPlan, tmp_path: Path
) -> None:
    trouble = Trouble(id="0-risk", what=ActorRaises(actor="risk", nth=2), after_ms=5000)
    outcome = run_plan(replace(quiet_plan, troubles=(trouble,)), tmp_path / "run")

    assert outcome.violations == ()
    assert outcome.fired == {"actor.raise": 1}
    assert outcome.planned == {"actor.raise": 1}


def test_drawn_troubles_are_the_same_for_ever_and_of_every_kind(quiet_plan: RunPlan) -> None:
    drawn = [drawn_troubles(seed, entry_ms=60_000, safety_ms=90_000) for seed in range(400)]
    verbs = {trouble.verb for troubles in drawn for trouble in troubles}

    assert drawn == [drawn_troubles(seed, entry_ms=60_000, safety_ms=90_000) for seed in range(400)]
    assert verbs == {verb for verb in TROUBLES if verb.startswith(("disk.", "actor."))}
    assert {t.id.partition("-")[2] for troubles in drawn for t in troubles} == set(TROUBLE_KINDS)
    assert sum(not troubles for troubles in drawn) > 100
    assert power_cuts(3, 5) == power_cuts(3, 5)


def test_a_plan_with_troubles_survives_its_file(quiet_plan: RunPlan, tmp_path: Path) -> None:
    troubles = (Trouble(id="x", what=DiskError(op="append", nth=3), after_ms=7),)
    plan = replace(quiet_plan, troubles=troubles)
    (tmp_path / "plan.json").write_text(encoded(plan), encoding="utf-8")

    assert read_plan(tmp_path / "plan.json") == plan


def test_what_was_planned_and_never_hit_is_missing_from_the_tally() -> None:
    looked = judged("I10", "Protected", 3, [])
    idle = judged("I06", "Absence", 0, [])
    tally = Tally()
    tally.add(
        Outcome(
            seed=1,
            findings=(looked, idle),
            vacuous=False,
            digest="",
            planned={"disk.slow": 1, "actor.raise": 2},
            fired={"disk.slow": 4, "actor.raise": 0},
            kills=(),
            cpu_ms=1,
            virtual_ms=1,
        )
    )

    assert tally.missing() == ["actor.raise never hit", "I06 saw nothing"]


def _modes_after(what: What, tmp_path: Path, *, after_ms: int) -> list[tuple[str, int]]:
    """Modes and when, counted from the entry's minute, of a trade to which this happens."""
    scenario = scenario_named("oco-install")
    assert scenario is not None
    quiet = scenario.plan()
    entry_ms = scenario.window[0] - scenario.from_ms
    trouble = Trouble(
        id="x", what=what, after_ms=entry_ms - quiet.start_ms + after_ms, for_ms=10_000
    )
    plan = replace(quiet, troubles=(trouble,), safety_ms=quiet.safety_ms + 15_000)
    outcome, witness = run_order(plan, order_of(plan, tmp_path, scenario.market()))

    assert witness is not None
    assert outcome.violations == ()
    assert outcome.fired[trouble.verb] > 0
    return [(mode.mode, mode.at_ms - entry_ms) for mode in witness.facts.modes]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "after_ms"),
    [
        pytest.param(ActorStalls(actor="position", ms=20_000), 1, id="position-stalls"),
        pytest.param(DiskBusy(), 700, id="database-held"),
    ],
)
def test_what_keeps_a_stop_from_being_placed_pauses_before_a_bare_position_is_late(
    what: What, after_ms: int, tmp_path: Path
) -> None:
    modes = _modes_after(what, tmp_path, after_ms=after_ms)

    assert any(mode == "PAUSE" and 0 < at_ms < 7000 for mode, at_ms in modes)


@pytest.mark.slow
@pytest.mark.parametrize("actor", ["execution", "risk", "gate", "scanner", "signal", "reconciler"])
def test_an_actor_that_stalls_over_a_message_degrades_and_then_pauses(
    actor: ActorName, tmp_path: Path
) -> None:
    modes = _modes_after(ActorStalls(actor=actor, ms=20_000), tmp_path, after_ms=1)

    assert [mode for mode, at_ms in modes if 0 < at_ms < 20_000] == ["DEGRADE", "PAUSE"]


@pytest.mark.slow
@pytest.mark.parametrize("what", [ActorRaises(actor="governor"), ActorReturns(actor="governor")])
def test_a_governor_that_is_restarted_returns_to_normal(what: What, tmp_path: Path) -> None:
    modes = _modes_after(what, tmp_path, after_ms=1)

    assert [mode for mode, at_ms in modes if 0 < at_ms < 80_000] == ["DEGRADE", "NORMAL"]
