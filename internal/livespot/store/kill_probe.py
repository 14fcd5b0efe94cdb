"""Writes events until it is killed; `verify persistence` then counts those it acknowledged."""

import sys
from pathlib import Path

import anyio

from livespot.contracts.audit import AuditDraft
from livespot.contracts.canonical import canonical_json
from livespot.contracts.chain import Place, SealedEvent, seal
from livespot.contracts.redaction import Redactor
from livespot.contracts.vocabulary import EventType, Mode, Stage
from livespot.store.inline import InlineDatabase
from livespot.store.queries import LedgerQueries
from livespot.store.reader import ReadOnlyDatabase

RUN = "run_20000101_000000_000000"


async def write_on(path: Path) -> None:
    """Continue the chain event by event, printing each one's number and hash once it is durable."""
    last = await LedgerQueries(ReadOnlyDatabase(path)).last_run()
    before = last.last_hash if last is not None else ""
    database = InlineDatabase(path, run_id=RUN, redactor=Redactor())
    number = 0
    while True:
        number += 1
        event = _event(number, before)
        await database.transaction([event])
        before = event.hash
        print(f"{number} {event.hash}", flush=True)  # noqa: T201  the parent reads it


def _event(number: int, before: str) -> SealedEvent:
    draft = AuditDraft(
        event_type=EventType.RUN_STARTED if number == 1 else EventType.STAGE_CHANGED,
        stage=Stage.BOOT,
        ts_ms=number,
    )
    place = Place(run_id=RUN, mode=Mode.REPLAY, seq=number, ts_ms=number, prev_hash=before)
    return seal(draft, canonical_json({}), place)


if __name__ == "__main__":
    anyio.run(write_on, Path(sys.argv[1]))
