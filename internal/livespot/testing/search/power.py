"""A machine whose power can fail: unsynced files and database pages are lost."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from livespot.contracts.redaction import Redactor
from livespot.runtime.disk import Disk, RealDisk
from livespot.runtime.replay_life import WitnessedDatabase
from livespot.store.inline import InlineDatabase


class DurableDatabase(WitnessedDatabase):
    """Knows what of it would outlast a power cut.

    Where each commit is synced that is all of it, and `image` stays None. Where not, it is what
    the last checkpoint left: SQLite promises no more.
    """

    def __init__(
        self, path: Path, *, run_id: str, redactor: Redactor, committed: Callable[[set[str]], None]
    ) -> None:
        super().__init__(path, run_id=run_id, redactor=redactor, committed=committed)
        self.path = path
        self.kept: bytes | None = None if self.syncs_commits else self.image()
        self._forsaken: list[sqlite3.Connection] = []
        self._is_over = False

    async def checkpoint(self) -> bool:
        done = await super().checkpoint()
        if not self.syncs_commits:
            self.kept = self.image()
        return done

    async def close(self) -> None:
        self._is_over = True
        await super().close()

    def forsake(self) -> None:
        """Leave the open files alone for ever, they are another process's; go on with the copies.

        The copies lie where `path` leads to by now. The old connection is never closed, since
        closing it would tidy up behind a process that still writes.
        """
        if not self._is_over:
            self._forsaken.append(self._reconnect(self.path))

    async def lose_unsynced(self) -> None:
        """What a power cut does to the files."""
        if self.kept is None:
            return
        await self.close()
        self.path.unlink()
        self.path.write_bytes(self.kept)
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)


@dataclass(slots=True)
class UnsyncedDisk:
    """The usual disk, remembering what only its cache holds.

    A power cut shortens each file to what was synced of it and brings back what was removed from
    a directory that was not synced since.
    """

    real: Disk = field(default_factory=RealDisk)
    _synced: dict[Path, int] = field(default_factory=dict)
    _removed: dict[Path, bytes] = field(default_factory=dict)

    def lose_unsynced(self) -> None:
        for path, size in self._synced.items():
            if path.exists():
                with path.open("r+b") as file:
                    file.truncate(size)
        for path, data in self._removed.items():
            path.write_bytes(data)
        self._synced.clear()
        self._removed.clear()

    def make_directory(self, path: Path) -> None:
        self.real.make_directory(path)

    def exists(self, path: Path) -> bool:
        return self.real.exists(path)

    def read(self, path: Path) -> bytes:
        return self.real.read(path)

    def chunks(self, path: Path) -> Iterator[bytes]:
        return self.real.chunks(path)

    def write_atomic(self, path: Path, data: bytes) -> None:
        self.real.write_atomic(path, data)
        self._synced.pop(path, None)
        self._sync_directory(path.parent)

    def append(self, path: Path, data: bytes, *, durable: bool = True) -> None:
        is_first = not durable and path not in self._synced
        before = self.real.size(path) if is_first else 0
        self.real.append(path, data, durable=durable)
        if durable:
            self._synced.pop(path, None)
        elif is_first:
            self._synced[path] = before

    def names(self, directory: Path) -> tuple[str, ...]:
        return self.real.names(directory)

    def remove(self, path: Path) -> None:
        if self.real.exists(path):
            self._removed[path] = self.real.read(path)[: self._synced.pop(path, None)]
        self.real.remove(path)

    def rename(self, path: Path, target: Path) -> None:
        self.real.rename(path, target)
        unsynced = self._synced.pop(path, None)
        self._synced.pop(target, None)
        if unsynced is not None:
            self._synced[target] = unsynced
        self._sync_directory(target.parent)

    def size(self, path: Path) -> int:
        return self.real.size(path)

    def modified_ms(self, path: Path) -> int:
        return self.real.modified_ms(path)

    def free_bytes(self, path: Path) -> int:
        return self.real.free_bytes(path)

    def lock(self, path: Path, note: str) -> AbstractContextManager[None]:
        return self.real.lock(path, note)

    def is_locked(self, path: Path) -> bool:
        return self.real.is_locked(path)

    def _sync_directory(self, directory: Path) -> None:
        for path in [path for path in self._removed if path.parent == directory]:
            del self._removed[path]


@dataclass(slots=True)
class Machine:
    """What a power cut hits: the disk and the database of the life that was running.

    While not `failing` nothing is lost with a life.
    """

    failing: bool = True
    disk: UnsyncedDisk = field(default_factory=UnsyncedDisk)
    opened: list[DurableDatabase] = field(default_factory=list)

    def open_store(
        self, path: Path, *, run_id: str, redactor: Redactor, committed: Callable[[set[str]], None]
    ) -> DurableDatabase:
        store = DurableDatabase(path, run_id=run_id, redactor=redactor, committed=committed)
        self.opened.append(store)
        return store

    async def cut_power(self, store: InlineDatabase | None) -> None:
        if not self.failing:
            return
        if isinstance(store, DurableDatabase):
            await store.lose_unsynced()
        self.disk.lose_unsynced()

    def forsake(self) -> None:
        """Leave every database that is open now to its process; go on with copies of them."""
        for store in self.opened:
            store.forsake()
