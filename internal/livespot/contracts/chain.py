"""The hash chain over audit events: how an event is sealed, written as a line, and checked."""

from collections.abc import Mapping
from typing import Any

import msgspec

from livespot.contracts.audit import AuditDraft
from livespot.contracts.base import Message
from livespot.contracts.canonical import sha256_hex
from livespot.contracts.records import ChainAnchor
from livespot.contracts.vocabulary import Mode

# The envelope holds only text, integers and lists of text, and `data` is canonical already, so
# sorting the keys is enough for the canonical form.
_ENCODER = msgspec.json.Encoder(order="sorted")


class Place(Message, frozen=True, gc=False):
    """The place of an event: its run, its sequence number, and the hash of the event before it."""

    run_id: str
    mode: Mode
    seq: int
    ts_ms: int
    prev_hash: str


class SealedEvent(Message, frozen=True):
    """An event in its place. `line` is its canonical JSON with the hash, as in the trail."""

    draft: AuditDraft
    place: Place
    data_json: str
    hash: str
    line: bytes


class ChainBreak(Message, frozen=True):
    """The first event that does not follow from the one before it."""

    run_id: str
    seq: int
    problem: str


class Link(Message, frozen=True):
    """One stored event as read back: every column but the hashes, then the hashes.

    `row` is its number in the table, 0 if it does not come from a table.
    """

    envelope: dict[str, Any]
    prev_hash: str
    hash: str
    row: int = 0

    @property
    def run_id(self) -> str:
        return str(self.envelope["run_id"])

    @property
    def seq(self) -> int:
        return int(self.envelope["seq"])

    @property
    def line(self) -> bytes:
        return _line(self.envelope, self.hash)


def seal(draft: AuditDraft, data_json: bytes, place: Place) -> SealedEvent:
    """Give an event its place and its hash. `data_json` is redacted canonical JSON."""
    envelope = {
        "cycle_id": draft.cycle_id,
        "data": msgspec.Raw(data_json),
        "decision_id": draft.decision_id,
        "event_type": draft.event_type,
        "exchange_time_ms": draft.exchange_time_ms,
        "local_received_ms": draft.local_received_ms,
        "mode": place.mode,
        "order_intent_id": draft.order_intent_id,
        "prev_hash": place.prev_hash,
        "reasons": draft.reasons,
        "run_id": place.run_id,
        "seq": place.seq,
        "snapshot_id": draft.snapshot_id,
        "stage": draft.stage,
        "symbol": draft.symbol,
        "ts_ms": place.ts_ms,
    }
    digest = sha256_hex(_ENCODER.encode(envelope))
    return SealedEvent(
        draft=draft,
        place=place,
        data_json=data_json.decode(),
        hash=digest,
        line=_line(envelope, digest),
    )


def bridged(before: Link | None, link: Link, anchors: Mapping[str, ChainAnchor]) -> Link | None:
    """The event before `link`: `before`, or the last event of the pruned segments between them.

    `anchors` are keyed by the hash that their first event named. Of a pruned event only place, time
    and hash are known.
    """
    place = "" if before is None else before.hash
    over: ChainAnchor | None = None
    while place != link.prev_hash and (found := anchors.get(place)) is not None:
        if not _follows(found, before if over is None else _end(over)):
            break
        over, place = found, found.last_hash
    return before if over is None else _end(over)


def _follows(anchor: ChainAnchor, before: Link | None) -> bool:
    """Whether a segment begins directly after an event, by row and by sequence."""
    if before is None:
        return anchor.first_row == 1
    seq = before.seq + 1 if before.run_id == anchor.run_id else 1
    return (anchor.first_row, anchor.first_seq) == (before.row + 1, seq)


def _end(anchor: ChainAnchor) -> Link:
    envelope = {"run_id": anchor.run_id, "seq": anchor.last_seq, "ts_ms": anchor.until_ms}
    return Link(envelope=envelope, prev_hash="", hash=anchor.last_hash, row=anchor.last_row)


def problem_with(link: Link, before: Link | None, first_prev_hash: str) -> ChainBreak | None:
    """What is wrong with an event, given the one before it; None when it follows.

    `first_prev_hash` is what the very first event must name: empty at the start of all history.
    """
    expected = first_prev_hash if before is None else before.hash
    if link.prev_hash != expected:
        problem = "names another event as the one before it: an event was removed or reordered"
    elif sha256_hex(_ENCODER.encode(link.envelope)) != link.hash:
        problem = "its content does not match its hash: it was edited"
    elif link.seq != _expected_seq(link, before):
        problem = "the sequence of its run has a gap"
    else:
        return None
    return ChainBreak(run_id=link.run_id, seq=link.seq, problem=problem)


def _expected_seq(link: Link, before: Link | None) -> int:
    if before is None:
        return link.seq
    return before.seq + 1 if before.run_id == link.run_id else 1


def _line(envelope: dict[str, Any], digest: str) -> bytes:
    return _ENCODER.encode({**envelope, "hash": digest})
