"""A restore notes what took the place of what, and whether anything can be missing."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from livespot.contracts.audit import AuditDraft
from livespot.contracts.canonical import canonical_json
from livespot.contracts.chain import Place, seal
from livespot.contracts.redaction import Redactor
from livespot.contracts.vocabulary import EventType, Mode, Stage
from livespot.runtime.paths import Paths
from livespot.store.archive import Unpacked, pack, unpack, unpack_database
from livespot.store.backup import backup_database
from livespot.store.connection import Database
from livespot.store.reader import ReadOnlyDatabase
from livespot.store.restoration import Restoration, pending
from livespot.testing import finished_run

_LATER = "run_later"


@dataclass
class _Place:
    """A state directory that has run, and where its backups go."""

    var: Path
    outside: Path

    def packed(self, name: str, *, moved: bool = False) -> Path:
        target = self.outside / name
        pack(self.var, target, version="1", at_ms=5, moved=moved)
        return target

    def restored(self, backup: Path, var: Path | None = None) -> Restoration:
        return self._put(unpack, backup, var or self.var)

    def restored_copy(self, copy: Path) -> Restoration:
        return self._put(unpack_database, copy, self.var)

    def _put(self, how: Callable[..., Unpacked], backup: Path, var: Path) -> Restoration:
        number = len(list(var.glob("replaced-*")))
        restoration = how(backup, var, aside=f"replaced-{number}", at_ms=7).restoration
        assert pending(var) == restoration
        return restoration

    def tell(self) -> None:
        """What a start does once it has told of a restore."""
        Paths(var=self.var).restored.unlink()

    async def run_on(self) -> None:
        """One more event, of a later run."""
        path = Paths(var=self.var).database
        (last,) = await ReadOnlyDatabase(path).rows(
            "SELECT hash, ts_ms, run_id, seq FROM audit_events ORDER BY id DESC LIMIT 1"
        )
        seq = last[3] + 1 if last[2] == _LATER else 1
        draft = AuditDraft(
            event_type=EventType.STAGE_CHANGED, stage=Stage.BOOT, ts_ms=last[1] + 1, data={}
        )
        place = Place(run_id=_LATER, mode=Mode.SIM, seq=seq, ts_ms=draft.ts_ms, prev_hash=last[0])
        database = await Database.open(path, run_id=_LATER, redactor=Redactor())
        try:
            await database.transaction([seal(draft, canonical_json(draft.data), place)])
        finally:
            await database.close()


@pytest.fixture
async def place(tmp_path: Path) -> _Place:
    var = tmp_path / "var"
    await finished_run.told(var)
    return _Place(var=var, outside=tmp_path)


async def test_an_older_backup_is_known_to_lack_what_ran_since(place: _Place) -> None:
    old = place.packed("old")
    await place.run_on()

    restoration = place.restored(old)

    assert not restoration.whole
    assert restoration.restored is not None
    assert restoration.replaced is not None
    assert restoration.replaced.run_id == _LATER
    assert restoration.replaced.event == restoration.restored.event + 1
    assert (restoration.source, restoration.packed_at_ms, restoration.at_ms) == (str(old), 5, 7)


async def test_a_copy_of_the_database_alone_is_weighed_likewise(place: _Place) -> None:
    copy = place.outside / "audit-2026-03-04.sqlite"
    backup_database(Paths(var=place.var).database, copy)

    same = place.restored_copy(copy)
    place.tell()
    await place.run_on()
    older = place.restored_copy(copy)

    assert same.whole
    assert not older.whole
    assert older.restored == same.restored


async def test_a_backup_after_which_nothing_ran_is_whole(place: _Place) -> None:
    restoration = place.restored(place.packed("backup"))

    assert restoration.whole
    assert restoration.restored == restoration.replaced


@pytest.mark.parametrize("moved", [True, False])
async def test_only_a_backup_made_to_move_is_whole_where_nothing_was(
    place: _Place, *, moved: bool
) -> None:
    """Of any other the old place may have gone on."""
    there = place.outside / "there"
    there.mkdir()

    restoration = place.restored(place.packed("usb", moved=moved), there)

    assert restoration.whole is moved
    assert restoration.replaced is None


async def test_a_run_that_moves_back_takes_its_whole_history_along(place: _Place) -> None:
    here, there = place.var, place.outside / "there"
    shutil.copytree(here, there)
    place.var = there
    await place.run_on()
    back = place.packed("back", moved=True)

    assert place.restored(back, here).whole
    await place.run_on()
    assert not place.restored(back).whole


async def test_what_replaces_a_damaged_database_may_lack_something(place: _Place) -> None:
    backup = place.packed("backup", moved=True)
    Paths(var=place.var).database.write_bytes(b"?" * 8192)

    assert not place.restored(backup).whole


async def test_a_loss_stays_noted_until_a_start_has_told_of_it(place: _Place) -> None:
    old = place.packed("old")
    await place.run_on()

    assert not place.restored(old).whole
    assert not place.restored(old).whole
    place.tell()
    assert place.restored(old).whole


async def test_a_loss_that_was_not_told_of_yet_moves_along(place: _Place) -> None:
    old = place.packed("old")
    await place.run_on()
    place.restored(old)
    there = place.outside / "there"
    there.mkdir()

    restoration = place.restored(place.packed("usb", moved=True), there)

    assert not restoration.whole


async def test_a_note_that_cannot_be_read_promises_nothing(place: _Place) -> None:
    assert pending(place.var) is None

    Paths(var=place.var).restored.write_bytes(b"{")

    found = pending(place.var)
    assert found is not None
    assert not found.whole
