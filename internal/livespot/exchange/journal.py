"""What the exchange saw and did, one JSON line per fact; the truth that checkers read."""

from collections.abc import Iterator
from decimal import Decimal
from io import BufferedWriter
from pathlib import Path
from typing import TypeAlias

import msgspec

from livespot.contracts.errors import Invalid


class JournalInvalid(Invalid):
    """A line of a journal is not one of its rows."""


class _Row(msgspec.Struct, frozen=True, kw_only=True, tag_field="t"):
    pass


class RequestRow(_Row, frozen=True, kw_only=True, tag="req"):
    """A request and its fate. `params` never holds key or signature.

    `outcome` is the HTTP status, then the error code if there was one. `delivered` is false when
    the reply could not be handed to the connection.
    """

    rid: int
    conn: str
    t_arrive: int
    t_reply: int
    method: str
    path: str
    params: dict[str, str]
    outcome: str
    delivered: bool


class OrderRow(_Row, frozen=True, kw_only=True, tag="ord"):
    """The state of an order after a change; the last row of an order is its present state.

    `cid` is the id it was placed under, also after a cancel. `t_end` is 0 while it is open.
    """

    oid: int
    cid: str
    list_cid: str
    sym: str
    side: str
    type: str
    qty: Decimal
    exec: Decimal
    stop: Decimal
    price: Decimal
    status: str
    t_new: int
    t_end: int
    reason: str


class FillRow(_Row, frozen=True, kw_only=True, tag="fill"):
    """One execution of an account's order."""

    tid: int
    oid: int
    cid: str
    sym: str
    side: str
    qty: Decimal
    px: Decimal
    fee: Decimal
    fee_asset: str
    t_ms: int


class BalanceRow(_Row, frozen=True, kw_only=True, tag="bal"):
    """Absolute balance of one asset."""

    account: str
    asset: str
    free: Decimal
    locked: Decimal
    t_ms: int


class ModeRow(_Row, frozen=True, kw_only=True, tag="mode"):
    """A fault that began or ended."""

    t_ms: int
    fault: str


class LifeRow(_Row, frozen=True, kw_only=True, tag="life"):
    """Start or stop of the exchange."""

    t_ms: int
    event: str
    seed: int
    data_sha256: str


Row: TypeAlias = RequestRow | OrderRow | FillRow | BalanceRow | ModeRow | LifeRow

_ENCODER = msgspec.json.Encoder(order="deterministic", decimal_format="string")
_DECODER = msgspec.json.Decoder(Row)


class Journal:
    """Appends rows to a file and flushes each; without a file it drops them."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._file: BufferedWriter | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab")

    def write(self, row: Row) -> None:
        """Append one row."""
        if self._file is not None:
            self._file.write(_ENCODER.encode(row) + b"\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def read_journal(path: Path) -> Iterator[Row]:
    """All rows of a journal in the order they were written.

    A last line without its newline is a write that never finished and is left out.

    Raises:
        JournalInvalid: a finished line is not a row.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield _DECODER.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise JournalInvalid(f"{path} line {number}: {error}") from error
