"""Answers as a model once gave them, so that a recorded run can be replayed without a model."""

from collections import deque
from collections.abc import Iterable

import msgspec

from livespot.contracts.canonical import sha256_hex
from livespot.contracts.codes import ReasonCode
from livespot.contracts.ports import Clock
from livespot.contracts.records import GateEventRow
from livespot.contracts.vocabulary import GateVerdict
from livespot.gate.client import Completion, GateFailed


class _Message(msgspec.Struct, frozen=True):
    content: str


class _Request(msgspec.Struct, frozen=True):
    messages: tuple[_Message, ...]


class _Payload(msgspec.Struct, frozen=True):
    decision_id: str


class RecordedGate:
    """A `GateModel` that repeats the outcome of each attempt after its recorded latency.

    Attempts are found by decision, since the payload also names the cycle, which belongs to one
    run. Several attempts about one decision are answered in their order.
    """

    def __init__(self, rows: Iterable[GateEventRow], clock: Clock) -> None:
        self._clock = clock
        self._rows: dict[str, deque[GateEventRow]] = {}
        for row in rows:
            self._rows.setdefault(row.decision_id, deque()).append(row)

    async def complete(self, request: bytes) -> Completion:
        """The recorded answer about this decision. Raises `GateFailed` if that attempt failed."""
        user = msgspec.json.decode(request, type=_Request).messages[-1].content
        payload = user.rpartition("\n")[2].encode()
        waiting = self._rows.get(msgspec.json.decode(payload, type=_Payload).decision_id)
        if not waiting:
            raise GateFailed(ReasonCode.AIGATE_HTTP_ERROR, "no answer was recorded")
        row = waiting.popleft()
        await self._clock.sleep(row.latency_ms / 1000)
        if row.verdict is GateVerdict.ERROR:
            code = ReasonCode(row.error_code)
            raise GateFailed(code, row.error_detail_redacted, raw_hash=row.raw_hash)
        return Completion(
            content=_content(row, sha256_hex(payload)), declined=False, raw_hash=row.raw_hash
        )


def _content(row: GateEventRow, input_hash: str) -> bytes:
    """The answer rebuilt from its typed parts; the raw text is never stored."""
    patch = msgspec.Raw(row.patch_redacted.encode()) if row.patch_redacted else None
    return msgspec.json.encode(
        {
            "verdict": row.verdict,
            "reasons": row.reasons,
            "input_hash": input_hash,
            "modified_decision": patch,
        }
    )
