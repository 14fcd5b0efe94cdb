"""A power cut takes exactly what nobody had synced."""

from pathlib import Path

import pytest

from livespot.contracts.audit import AuditDraft
from livespot.contracts.chain import Place, SealedEvent, seal
from livespot.contracts.redaction import Redactor
from livespot.contracts.vocabulary import EventType, Mode, Stage
from livespot.store import inline
from livespot.store.batches import PRAGMAS
from livespot.store.inline import InlineReader
from livespot.store.migrate import migrate
from livespot.testing.search.power import Machine, UnsyncedDisk

_RUN = "run_20260101_000000_000000"


def _event(seq: int, prev_hash: str = "") -> SealedEvent:
    draft = AuditDraft(
        event_type=EventType.STAGE_CHANGED, stage=Stage.BOOT, ts_ms=seq, cycle_id="", data={}
    )
    place = Place(run_id=_RUN, mode=Mode.REPLAY, seq=seq, ts_ms=seq, prev_hash=prev_hash)
    return seal(draft, b"{}", place)


async def _events(path: Path) -> int:
    rows = await InlineReader(path).rows("SELECT count(*) FROM audit_events")
    return int(rows[0][0])


async def _committed_then_cut(path: Path) -> None:
    machine = Machine()
    migrate(path, backup_dir=path.parent / "backups", now_ms=1)
    store = machine.open_store(
        path, run_id=_RUN, redactor=Redactor(()), committed=lambda rows: None
    )
    first = _event(1)
    await store.transaction([first])
    await store.checkpoint()
    await store.transaction([_event(2, first.hash)])
    await machine.cut_power(store)
    await store.close()


async def test_a_commit_that_was_synced_outlasts_a_power_cut(tmp_path: Path) -> None:
    await _committed_then_cut(tmp_path / "audit.sqlite")

    assert await _events(tmp_path / "audit.sqlite") == 2


async def test_a_store_that_does_not_sync_its_commits_loses_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    careless = tuple(
        (name, "NORMAL" if name == "synchronous" else value, expected)
        for name, value, expected in PRAGMAS
    )
    monkeypatch.setattr(inline, "PRAGMAS", careless)
    await _committed_then_cut(tmp_path / "audit.sqlite")

    assert await _events(tmp_path / "audit.sqlite") == 1


async def test_a_machine_that_does_not_fail_loses_nothing(tmp_path: Path) -> None:
    machine = Machine(failing=False)
    machine.disk.append(tmp_path / "trail", b"line\n", durable=False)
    await machine.cut_power(None)

    assert (tmp_path / "trail").read_bytes() == b"line\n"


def test_lines_that_were_not_synced_are_gone_after_a_power_cut(tmp_path: Path) -> None:
    disk, path = UnsyncedDisk(), tmp_path / "trail"
    disk.append(path, b"synced\n")
    disk.append(path, b"cached\n", durable=False)
    disk.append(path, b"cached too\n", durable=False)
    assert disk.read(path) == b"synced\ncached\ncached too\n"

    disk.lose_unsynced()

    assert disk.read(path) == b"synced\n"


def test_a_later_sync_keeps_what_was_written_before_it(tmp_path: Path) -> None:
    disk, path = UnsyncedDisk(), tmp_path / "trail"
    disk.append(path, b"cached\n", durable=False)
    disk.append(path, b"synced\n")
    disk.lose_unsynced()

    assert disk.read(path) == b"cached\nsynced\n"


def test_a_file_removed_comes_back_unless_its_directory_was_synced(tmp_path: Path) -> None:
    disk, gone, kept = UnsyncedDisk(), tmp_path / "a" / "gone", tmp_path / "b" / "kept"
    for path in (gone, kept):
        disk.make_directory(path.parent)
        disk.write_atomic(path, b"old")
        disk.remove(path)
    disk.write_atomic(gone.with_name("other"), b"new")
    disk.lose_unsynced()

    assert not disk.exists(gone)
    assert disk.read(kept) == b"old"


def test_a_renamed_file_loses_what_was_not_synced_of_it(tmp_path: Path) -> None:
    disk, path, target = UnsyncedDisk(), tmp_path / "path", tmp_path / "target"
    disk.append(path, b"synced\n")
    disk.append(path, b"cached\n", durable=False)
    disk.rename(path, target)
    disk.lose_unsynced()

    assert disk.read(target) == b"synced\n"
    assert disk.names(tmp_path) == ("target",)
