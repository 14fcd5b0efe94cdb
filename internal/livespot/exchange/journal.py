"""What the exchange saw and did, one JSON line per fact; the truth that checkers read."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from io import BufferedWriter
from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec.structs import replace

from livespot.contracts.errors import Invalid


class JournalInvalid(Invalid):
    """A line of a journal is not one of its rows."""


class _Row(msgspec.Struct, frozen=True, kw_only=True, tag_field="t"):
    pass


class RequestRow(_Row, frozen=True, kw_only=True, tag="req"):
    """A request and its fate. `params` never holds key or signature.

    `conn` numbers connections in the order of their first request. `t_first_byte` is when its
    head had been read, `t_arrive` when the exchange began to work on it: a fault may lie between.
    `outcome` is the HTTP status, then the error code if there was one; a request that never
    arrived has the name of what happened to it instead. `delivered` is false when the reply, or
    this reply, was not handed to the connection. `fault` names the faults that hit it. A reply on
    the WebSocket API counts as handed over when it is queued; where it left later or never, a
    ReplyRow follows.
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
    t_first_byte: int = 0
    fault: str = ""


class ReplyRow(_Row, frozen=True, kw_only=True, tag="reply"):
    """What became of a queued reply on the WebSocket API: it left at `t_ms`, or was lost then."""

    rid: int
    t_ms: int
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


class ListRow(_Row, frozen=True, kw_only=True, tag="list"):
    """The state of an order list after a change; `oids` are its orders."""

    list_id: int
    list_cid: str
    sym: str
    contingency: str
    status: str
    oids: list[int]
    t_ms: int


class EventRow(_Row, frozen=True, kw_only=True, tag="event"):
    """A user event and to how many subscriptions it went.

    `kind` is its type, for an execution report with the execution type behind a dot. `oid` is 0
    for events about no order. `fate` is sent, dropped, delayed or duplicated; `t_ms` is when the
    engine made it.
    """

    account: str
    kind: str
    sym: str
    oid: int
    fate: str
    sent: int
    fault: str
    t_ms: int


class ModeRow(_Row, frozen=True, kw_only=True, tag="mode"):
    """What a fault did. `t_ms` is the planned time where there is one.

    `event` is begin (armed), fire (it hit something or took effect; what, is in `hit`) or end.
    Hits on market stream frames are only counted: `fired` is the number of hits so far.
    """

    t_ms: int
    fault: str
    verb: str = ""
    event: str = "begin"
    hit: str = ""
    fired: int = 0


class LifeRow(_Row, frozen=True, kw_only=True, tag="life"):
    """Start or stop of the exchange, at the planned time where one was given."""

    t_ms: int
    event: str
    seed: int
    data_sha256: str


Row: TypeAlias = (
    RequestRow | ReplyRow | OrderRow | ListRow | FillRow | BalanceRow | EventRow | ModeRow | LifeRow
)

_ENCODER = msgspec.json.Encoder(order="deterministic", decimal_format="string")
_DECODER = msgspec.json.Decoder(Row)


class Journal:
    """Appends rows to a file; without a file it drops them.

    Each row is handed to the operating system at once, so that killing the process loses none.
    Only a crash of the machine can, and then the exchange's world is gone too.
    """

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


def with_their_replies(rows: Iterable[Row]) -> tuple[Row, ...]:
    """The same rows; each request says when its reply left, and whether, as its ReplyRow does."""
    known = tuple(rows)
    fates = {row.rid: row for row in known if isinstance(row, ReplyRow)}
    return tuple(
        replace(row, t_reply=fate.t_ms, delivered=row.delivered and fate.delivered)
        if isinstance(row, RequestRow) and (fate := fates.get(row.rid)) is not None
        else row
        for row in known
    )
