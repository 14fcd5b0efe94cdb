"""Every backup that has a name has an event with its hash, wherever a run ended before."""

import errno
import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.runtime.test_upkeep import asked_of_a_thread, rounds

from livespot.runtime.paths import Paths
from livespot.runtime.upkeep import Seen
from livespot.store.upkeep_process import Answer, BackupMade, BackupOrder, Order, Trouble
from livespot.testing import finished_run

pytestmark = pytest.mark.slow


class _Killed(Exception):
    """Stands for the end of the process at this very point."""


async def _killed_behind_its_name(order: Order) -> Answer:
    """The copy gets its name, and nobody is left to hear of it."""
    answer = await asked_of_a_thread(order)
    if isinstance(answer, BackupMade):
        raise _Killed(answer.name)
    return answer


@pytest.fixture
async def paths(tmp_path: Path) -> Paths:
    await finished_run.told(tmp_path)
    return Paths(var=tmp_path)


def said_of(paths: Paths) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(paths.database)) as connection:
        found = connection.execute(
            "SELECT data FROM audit_events WHERE data ->> 'upkeep' = 'backup' ORDER BY id"
        ).fetchall()
    return [msgspec.json.decode(data) for (data,) in found]


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def test_a_backup_whose_run_ended_before_its_event_is_told_of_by_the_next(
    paths: Paths,
) -> None:
    with pytest.RaisesGroup(_Killed):
        await rounds(paths, 1, ask=_killed_behind_its_name)
    (backup,) = paths.backups.glob("audit-????-??-??.sqlite")
    assert said_of(paths) == []

    first, second = await rounds(paths, 1), await rounds(paths, 1)

    (said,) = said_of(paths)
    assert (said["name"], said["sha256"], said["late"]) == (backup.name, digest_of(backup), True)
    assert [alert.text for alert in first] == [
        f"the backup {backup.name} had no event of its hash and has one now"
    ]
    assert second == []


async def test_a_backup_whose_process_was_ended_over_it_is_told_of_in_the_same_run(
    paths: Paths,
) -> None:
    """A name alone is no backup on record, not for the run that ordered it either."""
    seen = Seen()

    async def ended(order: Order) -> Answer:
        answer = await asked_of_a_thread(order)
        return Trouble(text="it took too long") if isinstance(order, BackupOrder) else answer

    await rounds(paths, 1, ask=ended, seen=seen)
    assert said_of(paths) == []
    await rounds(paths, 1, seen=seen)

    (backup,) = paths.backups.glob("audit-????-??-??.sqlite")
    assert [(said["name"], said["sha256"]) for said in said_of(paths)] == [
        (backup.name, digest_of(backup))
    ]


async def test_a_damaged_backup_without_an_event_gets_none_and_is_told_of(paths: Paths) -> None:
    paths.backups.mkdir(exist_ok=True)
    (paths.backups / "audit-2020-01-09.sqlite").write_bytes(b"not a database" * 100)

    (alert,) = await rounds(paths, 1)

    assert alert.text.startswith(
        "a backup that no event names is damaged, audit-2020-01-09.sqlite: "
    )
    assert "2020-01-09" not in "".join(said["name"] for said in said_of(paths))


async def test_a_backup_that_was_told_of_is_not_told_of_again(paths: Paths) -> None:
    await rounds(paths, 1)

    assert await rounds(paths, 2) == []

    (said,) = said_of(paths)
    assert "late" not in said


async def test_a_disk_that_does_not_say_what_is_free_ends_no_run(paths: Paths) -> None:
    def unreadable() -> int:
        raise OSError(errno.EIO, "Input/output error")

    (alert,) = await rounds(paths, 1, free_bytes=unreadable)

    assert alert.text.startswith("the upkeep of the records stopped: ")
    assert not paths.backups.exists()
