"""The file seam: the one module that opens, syncs and locks files for the runtime."""

import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from livespot.contracts.errors import SecondInstance

_READ_CHUNK = 1 << 20


class Disk(Protocol):
    """The file operations that the runtime uses. All of them block and raise `OSError`."""

    def make_directory(self, path: Path) -> None:
        """Create a directory and its parents, accessible by the owner only."""
        ...

    def exists(self, path: Path) -> bool: ...

    def read(self, path: Path) -> bytes: ...

    def chunks(self, path: Path) -> Iterator[bytes]:
        """Yield the file in pieces; for files that may be large."""
        ...

    def write_atomic(self, path: Path, data: bytes) -> None:
        """Replace the file: a reader, or a crash, sees either the old or the new content, whole."""
        ...

    def append(self, path: Path, data: bytes, *, durable: bool = True) -> None:
        """Append to the file; if `durable`, return only once it is on disk."""
        ...

    def names(self, directory: Path) -> tuple[str, ...]:
        """Return the names in a directory, sorted; empty when there is no such directory."""
        ...

    def remove(self, path: Path) -> None:
        """Delete a file; a missing one is no error."""
        ...

    def rename(self, path: Path, target: Path) -> None: ...

    def size(self, path: Path) -> int:
        """Return the size in bytes; 0 when the file does not exist."""
        ...

    def modified_ms(self, path: Path) -> int:
        """Return the wall time of the last change, in epoch ms."""
        ...

    def free_bytes(self, path: Path) -> int:
        """Return what an unprivileged user can still write on the volume of an existing path."""
        ...

    def lock(self, path: Path, note: str) -> AbstractContextManager[None]:
        """Hold the exclusive instance lock; `note` names the holder. Raises `SecondInstance`."""
        ...

    def is_locked(self, path: Path) -> bool:
        """Whether a process holds the instance lock; nobody holds a missing file."""
        ...


class RealDisk:
    """The machine's file system. Files are made 0600, directories 0700."""

    def make_directory(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)

    def exists(self, path: Path) -> bool:
        return path.exists()

    def read(self, path: Path) -> bytes:
        return path.read_bytes()

    def chunks(self, path: Path) -> Iterator[bytes]:
        with path.open("rb") as file:
            while chunk := file.read(_READ_CHUNK):
                yield chunk

    def write_atomic(self, path: Path, data: bytes) -> None:
        partial = path.with_name(f".{path.name}.partial")
        descriptor = os.open(partial, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | _BINARY, 0o600)
        try:
            _write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        partial.replace(path)
        _sync_directory(path.parent)

    def append(self, path: Path, data: bytes, *, durable: bool = True) -> None:
        flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY | _BINARY
        descriptor = os.open(path, flags, 0o600)
        try:
            _write_all(descriptor, data)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def names(self, directory: Path) -> tuple[str, ...]:
        return tuple(sorted(os.listdir(directory))) if directory.is_dir() else ()

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def rename(self, path: Path, target: Path) -> None:
        path.replace(target)
        _sync_directory(target.parent)

    def size(self, path: Path) -> int:
        return path.stat().st_size if path.exists() else 0

    def modified_ms(self, path: Path) -> int:
        return path.stat().st_mtime_ns // 1_000_000

    def free_bytes(self, path: Path) -> int:
        return shutil.disk_usage(path).free

    @contextmanager
    def lock(self, path: Path, note: str) -> Iterator[None]:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | _BINARY, 0o600)
        try:
            if not _try_lock(descriptor):
                raise SecondInstance(
                    f"another livespot holds {path} ({_holder(descriptor) or 'unknown'}): "
                    "stop it with `livespot stop` before starting a second one"
                )
            os.ftruncate(descriptor, 0)
            _write_all(descriptor, note.encode())
            yield
        finally:
            # Closing releases the lock. The file stays: were it deleted, two processes could each
            # lock one.
            os.close(descriptor)

    def is_locked(self, path: Path) -> bool:
        try:
            descriptor = os.open(path, os.O_RDWR | _BINARY)
        except FileNotFoundError:
            return False
        try:
            return not _try_lock(descriptor)
        finally:
            os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _holder(descriptor: int) -> str:
    try:
        return os.read(descriptor, 200).decode("utf-8", "replace")
    except OSError as e:
        # Windows does not let others read a locked region; the refusal then names no holder.
        return f"its note cannot be read, {errno.errorcode.get(e.errno or 0, 'error')}"


if sys.platform == "win32":  # The branch a type checker sees depends on its platform.
    import msvcrt

    _BINARY = os.O_BINARY

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _sync_directory(directory: Path) -> None:
        """A directory cannot be opened for syncing there."""
else:
    import fcntl

    _BINARY = 0

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            if e.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            return False
        return True

    def _sync_directory(directory: Path) -> None:
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
