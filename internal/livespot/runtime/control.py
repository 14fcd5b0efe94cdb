"""Operator commands as files: the commands write them, the governor takes them."""

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import msgspec

from livespot.contracts.base import Message
from livespot.contracts.system import OperatorCommand
from livespot.contracts.vocabulary import OperatorAction, Side

_MAX_BYTES = 4096


class CommandFile(Message, frozen=True, omit_defaults=True):
    """The content of one control file; the fields after `reason` are those of `OperatorCommand`."""

    action: OperatorAction
    reason: str
    symbol: str = ""
    side: Side | None = None
    qty: Decimal = Decimal(0)
    exposure_id: str = ""


def leave_command(directory: Path, command: CommandFile, nonce: str) -> Path:
    """Write a command file so that it is never read half-written; returns its path."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=directory, prefix=".", suffix=".part")
    with os.fdopen(handle, "wb") as out:
        out.write(msgspec.json.encode(command))
        out.flush()
        os.fsync(out.fileno())
    target = directory / f"{nonce}.json"
    Path(temporary).replace(target)
    return target


def waiting_commands(directory: Path) -> tuple[CommandFile, ...]:
    """Return the commands not taken yet, in the order in which they will be; removes nothing."""
    if not directory.is_dir():
        return ()
    return tuple(_read(path) for path in sorted(directory.glob("*.json")) if path.is_file())


def leave_stop_file(path: Path, reason: str) -> None:
    """Create the STOP file with the reason in it; an existing one keeps its text."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(f"{reason}\n")
        out.flush()
        os.fsync(out.fileno())


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlDirectory:
    """The directory as the runtime reads it.

    `since_ms` is when this process took its lock (wall time).
    """

    directory: Path
    stop_file: Path
    since_ms: int = 0

    def read_commands(self, now_ms: int) -> Sequence[OperatorCommand]:
        """Return every waiting command, ordered by file name; the files stay."""
        if not self.directory.is_dir():
            return ()
        return [
            self._command(path, now_ms)
            for path in sorted(self.directory.glob("*.json"))
            if path.is_file()
        ]

    def remove(self, nonce: str) -> bool:
        """Delete a command's file; False when the system refuses."""
        try:
            (self.directory / f"{nonce}.json").unlink(missing_ok=True)
        except OSError:
            return False
        return True

    @property
    def may_change(self) -> bool:
        return True

    def stop_file_present(self) -> bool:
        return self.stop_file.exists()

    def _command(self, path: Path, now_ms: int) -> OperatorCommand:
        wanted = _read(path)
        return OperatorCommand(
            action=wanted.action,
            reason=wanted.reason,
            nonce=path.stem,
            at_ms=now_ms,
            symbol=wanted.symbol,
            side=wanted.side,
            qty=wanted.qty,
            exposure_id=wanted.exposure_id,
            left_over=_written_ms(path) < self.since_ms,
        )


def _read(path: Path) -> CommandFile:
    try:
        with path.open("rb") as source:
            raw = source.read(_MAX_BYTES)
        return msgspec.json.decode(raw, type=CommandFile)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        # Even an unreadable file shows that the operator wanted something: pause.
        return CommandFile(action=OperatorAction.PAUSE, reason="unreadable control file")


def _written_ms(path: Path) -> int:
    """Return the file's wall time in ms.

    A file that has vanished counts as new: it cannot be a leftover of an earlier process.
    """
    try:
        return path.stat().st_mtime_ns // 1_000_000
    except FileNotFoundError:
        return sys.maxsize
