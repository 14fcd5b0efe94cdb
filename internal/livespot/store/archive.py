"""A state directory packed for another host: a consistent database, files beside it, and hashes."""

import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from livespot.contracts.base import Message
from livespot.contracts.errors import PreflightFailed
from livespot.runtime.disk import RealDisk
from livespot.store.backup import backup_database, integrity_problems
from livespot.store.migrate import status
from livespot.store.restoration import NOTE, Restoration, encoded, pending, weighed
from livespot.store.schema import require_current

MANIFEST = "backup-manifest.json"
DATABASE = Path("data") / "audit.sqlite"
# Beside the database: what a run's settings, trail and evidence are.
_KEPT = ("livespot.toml", "runs", "receipts", "drills")
_TRAIL = "logs/audit-*.jsonl*"
_NAME_ONE = (
    "Next: name a directory that livespot backup wrote, or one of the copies audit-DAY.sqlite in "
    "backups/ of a state directory"
)


class BackupManifest(Message, frozen=True):
    """What a backup holds, by path below it; `at_ms` is wall time.

    `moved` says that it was made to move: its place refused to start afterwards.
    """

    version: str
    at_ms: int
    files: dict[str, str]
    moved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A finished backup."""

    path: Path
    files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """A finished restore; `aside` are the names that moved to `var/<restoration.aside>`."""

    restoration: Restoration
    aside: tuple[str, ...]


def pack(var: Path, target: Path, *, version: str, at_ms: int, moved: bool = False) -> Packed:
    """Write a backup of a state directory that may be in use. Blocking.

    `moved` says that nothing starts in `var` afterwards; then it must not be in use. Raises
    `StoreBusy`, `AuditUnwritable`, `PreflightFailed` when the target exists, and `OSError`.
    """
    if target.exists():
        raise PreflightFailed(
            f"{target} exists already, so nothing was written.\nNext: name another place by --to"
        )
    backup_database(var / DATABASE, target / DATABASE)
    _copy_beside(var, target)
    files = {path.relative_to(target).as_posix(): _sha256(path) for path in _files(target)}
    manifest = BackupManifest(version=version, at_ms=at_ms, files=files, moved=moved)
    encoded = msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=2)
    (target / MANIFEST).write_bytes(encoded + b"\n")
    return Packed(path=target, files=len(files))


def proven(backup: Path) -> BackupManifest:
    """The manifest of a backup that is whole. Blocking.

    Raises `PreflightFailed` when it is none, when its database is damaged or any file of it is not
    as it was written, `SchemaMismatch` when its database is older or newer than this program.
    """
    path = backup / MANIFEST
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=BackupManifest)
    except FileNotFoundError as error:
        raise PreflightFailed(
            f"{backup} is no backup, it holds no {MANIFEST}; nothing was changed.\n{_NAME_ONE}"
        ) from error
    except (OSError, msgspec.MsgspecError) as error:
        raise PreflightFailed(
            f"{backup} is no backup, so nothing was changed: {error}.\n{_NAME_ONE}"
        ) from error
    present = {found.relative_to(backup).as_posix() for found in _files(backup)} - {MANIFEST}
    odd = sorted(present ^ manifest.files.keys())
    odd += [n for n in sorted(present & manifest.files.keys()) if _differs(backup, manifest, n)]
    if odd:
        raise PreflightFailed(
            f"{backup} is not as it was written ({', '.join(odd[:3])}), so nothing was restored.\n"
            "Next: restore an older backup"
        )
    _require_whole(backup / DATABASE)
    require_current(status(backup / DATABASE))
    return manifest


def unpack(backup: Path, var: Path, *, aside: str, at_ms: int) -> Unpacked:
    """Put a proven backup in place of what is there, which moves to `var/<aside>`. Blocking.

    Everything is copied beside its place first, so that only a note for the next start and renames
    are left. Raises what `proven` raises, and `OSError`.
    """
    manifest = proven(backup)
    staging = _new_staging(var)
    for name in manifest.files:
        place = staging / name
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copyfile(backup / name, place)
        if _sha256(place) != manifest.files[name]:
            raise PreflightFailed(f"the copy of {name} is not whole, so nothing was replaced")
    # The packed place was itself restored and not started since: what that lost is still untold.
    untold = pending(staging)
    (staging / NOTE).unlink(missing_ok=True)
    restoration = weighed(
        staging / DATABASE,
        var / DATABASE,
        Restoration(at_ms=at_ms, source=str(backup), aside=aside, packed_at_ms=manifest.at_ms),
        moved=manifest.moved and (untold is None or untold.whole),
    )
    names = tuple(name for name in (*_KEPT, "data", "logs") if (var / name).exists())
    return _swapped(staging, var, restoration, names)


def unpack_database(copy: Path, var: Path, *, aside: str, at_ms: int) -> Unpacked:
    """Put one copy of the database, such as a run makes each day, in place of the present one.

    The trail and the evidence stay: where the trail knows more than the copy, the next start says
    so. The copy may be of an older schema. What was there moves to `var/<aside>`. Blocking.
    Raises `PreflightFailed` when it is no whole copy of an audit database, `SchemaMismatch` when it
    is newer than this program, and `OSError`.
    """
    _require_whole(copy)
    if status(copy).version == 0:
        raise PreflightFailed(f"{copy} is no audit database, so nothing was changed.\n{_NAME_ONE}")
    staging = _new_staging(var)
    place = staging / DATABASE
    place.parent.mkdir(parents=True, mode=0o700)
    shutil.copyfile(copy, place)
    if _sha256(place) != _sha256(copy):
        raise PreflightFailed(f"the copy of {copy} is not whole, so nothing was replaced")
    restoration = weighed(
        place, var / DATABASE, Restoration(at_ms=at_ms, source=str(copy), aside=aside), moved=False
    )
    return _swapped(staging, var, restoration, ("data",) if (var / "data").exists() else ())


def _require_whole(database: Path) -> None:
    try:
        problems = integrity_problems(database)
    except sqlite3.Error as error:
        problems = (str(error),)
    if problems:
        raise PreflightFailed(
            f"{database} is damaged, so nothing was changed: {problems[0]}\n"
            "Next: restore an older backup"
        )


def _new_staging(var: Path) -> Path:
    staging = var / ".restoring"
    if staging.exists():
        shutil.rmtree(staging)
    return staging


def _swapped(
    staging: Path, var: Path, restoration: Restoration, names: tuple[str, ...]
) -> Unpacked:
    """Let what is in `staging` take the place of `names`, which are moved aside.

    The note stands before: whatever is restored, a start that finds it knows that it was.
    """
    _keep_log(staging / DATABASE)
    aside = restoration.aside
    RealDisk().write_atomic(var / NOTE, encoded(restoration))
    incoming = sorted(path.name for path in staging.iterdir())
    if names:
        (var / aside).mkdir(mode=0o700)
    for name in names:
        (var / name).replace(var / aside / name)
    for name in incoming:
        (staging / name).replace(var / name)
    staging.rmdir()
    return Unpacked(restoration=restoration, aside=names)


def _keep_log(database: Path) -> None:
    """A backup is one file without a write-ahead log; a run wants the log back, and doctor asks."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def _copy_beside(var: Path, target: Path) -> None:
    """Copy what stands beside the database, until nothing is listed that was not looked at."""
    seen: set[Path] = set()
    while found := [source for source in _beside(var) if source not in seen]:
        for source in found:
            seen.add(source)
            place = target / source.relative_to(var)
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                shutil.copyfile(source, place)
            except FileNotFoundError:
                # The run packed or removed this day meanwhile; its packed file is listed next.
                continue


def _beside(var: Path) -> Iterator[Path]:
    for name in _KEPT:
        path = var / name
        yield from _files(path) if path.is_dir() else [path] if path.is_file() else []
    yield from sorted(var.glob(_TRAIL))
    if (var / NOTE).is_file():
        yield var / NOTE


def _files(directory: Path) -> Iterator[Path]:
    return (path for path in sorted(directory.rglob("*")) if path.is_file())


def _differs(backup: Path, manifest: BackupManifest, name: str) -> bool:
    return _sha256(backup / name) != manifest.files[name]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
