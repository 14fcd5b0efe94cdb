"""Stores what a gate answered beside the runs: one file per answer, never rewritten."""

from pathlib import Path

import msgspec

from livespot import __version__
from livespot.contracts.base import Message
from livespot.contracts.errors import PayloadInvalid
from livespot.evidence.gates.results import Verdict
from livespot.evidence.moments import stamp
from livespot.runtime.disk import Disk


class Receipt(Message, frozen=True):
    """Which run was judged, when, by which version, and where its chain of events ended then."""

    run_id: str
    at_ms: int
    version: str
    last_hash: str
    verdict: Verdict


def keep(disk: Disk, folder: Path, receipt: Receipt) -> Path:
    """Store a receipt below `folder/<run_id>/`; returns its path. Raises `OSError`."""
    directory = folder / receipt.run_id
    disk.make_directory(directory)
    path = directory / f"{receipt.verdict.gate}-{stamp(receipt.at_ms)}.json"
    encoded = msgspec.json.format(msgspec.json.encode(receipt, order="sorted"), indent=2)
    disk.write_atomic(path, encoded + b"\n")
    return path


def newest(disk: Disk, folder: Path, run_id: str) -> tuple[Receipt, ...]:
    """Return the last receipt of each gate for one run. Raises `PayloadInvalid` for a bad file."""
    directory = folder / run_id
    # File names end with the time, so the last file of a gate is its newest.
    last = {name.split("-")[0]: name for name in disk.names(directory) if name.endswith(".json")}
    return tuple(_read(disk, directory / name) for name in last.values())


def _read(disk: Disk, path: Path) -> Receipt:
    try:
        return msgspec.json.decode(b"".join(disk.chunks(path)), type=Receipt)
    except msgspec.MsgspecError as error:
        raise PayloadInvalid(
            f"{path} is no receipt any more: {error}.\nNext: move it away, then livespot verify all"
        ) from error


def receipt_of(run_id: str, verdict: Verdict, *, at_ms: int, last_hash: str) -> Receipt:
    """Make a receipt by the running program; `at_ms` is wall time."""
    return Receipt(
        run_id=run_id, at_ms=at_ms, version=__version__, last_hash=last_hash, verdict=verdict
    )
