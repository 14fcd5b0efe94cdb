"""The files of crash drills: one for each time they ran, never written twice."""

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
    """The pass that counts, or in `problem` why none does. `name` says where it is and its hash."""

    problem: str = ""
    name: str = ""
    at_ms: int = 0
    config_hash: str = ""


def running_program() -> Program:
    """The program that runs now."""
    root = project_root()
    # Installed elsewhere the working directory says nothing about this program.
    ours = Path(__file__).resolve().is_relative_to(root / "internal")
    return Program(version=__version__, commit=(git_commit(root) or "") if ours else "")


def store(disk: Disk, paths: Paths, record: DrillRecord) -> Path:
    """Keep a record under its time. Raises `OSError`."""
    disk.make_directory(paths.drills)
    path = paths.drills / f"{stamp(record.at_ms)}{_SUFFIX}"
    encoded = msgspec.json.format(msgspec.json.encode(record, order="sorted"), indent=2)
    disk.write_atomic(path, encoded + b"\n")
    return path


def proof(disk: Disk, paths: Paths) -> Proof:
    """Whether the drills were passed here by the program that runs now."""
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
