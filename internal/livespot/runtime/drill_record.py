"""Stores the results of crash drills, one file per run of them, and finds the one that counts."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from livespot import __version__
from livespot.contracts.errors import PreflightFailed
from livespot.evidence.manifest import git_commit
from livespot.evidence.moments import stamp
from livespot.rules.drills import DrillRecord, Program, counting_pass
from livespot.runtime.disk import Disk
from livespot.runtime.paths import Paths, project_root

COMMAND = "livespot drill all"
_SUFFIX = ".json"
_SHORT_HASH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A pass that counts (`name`: its file and hash), or in `problem` why there is none."""

    problem: str = ""
    name: str = ""
    at_ms: int = 0
    config_hash: str = ""


def running_program() -> Program:
    """Identify the program that runs now."""
    root = project_root()
    # Of an installed program the working directory says nothing.
    ours = Path(__file__).resolve().is_relative_to(root / "internal")
    return Program(version=__version__, commit=(git_commit(root) or "") if ours else "")


def store(disk: Disk, paths: Paths, record: DrillRecord) -> Path:
    """Write a record, named by its time; returns its path. Raises `OSError`."""
    disk.make_directory(paths.drills)
    path = paths.drills / f"{stamp(record.at_ms)}{_SUFFIX}"
    encoded = msgspec.json.format(msgspec.json.encode(record, order="sorted"), indent=2)
    disk.write_atomic(path, encoded + b"\n")
    return path


def proof(disk: Disk, paths: Paths) -> Proof:
    """Return whether the program that runs now has passed the drills in this state directory."""
    try:
        found = counting_pass(_newest_first(disk, paths), running_program())
    except (OSError, PreflightFailed) as error:
        return Proof(problem=f"the drills' results cannot be read: {error}")
    if isinstance(found, str):
        return Proof(problem=found)
    path = paths.drills / f"{stamp(found.at_ms)}{_SUFFIX}"
    digest = hashlib.sha256(disk.read(path)).hexdigest()
    return Proof(
        name=f"crash drills passed (drills/{path.name}, sha256 {digest[:_SHORT_HASH]})",
        at_ms=found.at_ms,
        config_hash=found.config_hash,
    )


def _newest_first(disk: Disk, paths: Paths) -> Iterator[DrillRecord]:
    for name in reversed(disk.names(paths.drills)):
        if not name.endswith(_SUFFIX) or name.startswith("."):
            continue
        try:
            record = msgspec.json.decode(disk.read(paths.drills / name), type=DrillRecord)
        except msgspec.DecodeError as error:
            raise PreflightFailed(f"{name}: {error}") from error
        if name != f"{stamp(record.at_ms)}{_SUFFIX}":
            raise PreflightFailed(f"{name} is not the name of what is in it")
        yield record
