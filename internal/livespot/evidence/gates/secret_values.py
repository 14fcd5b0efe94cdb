"""The gate `secrets`: no live secret, in any encoding, in anything that a run leaves."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from livespot.contracts.redaction import forms_of
from livespot.contracts.secret import Secret
from livespot.evidence.gates.results import Looked, Subject, Verdict, Why, needs_data
from livespot.panel.database import opened
from livespot.panel.snapshot import Vantage, read_dashboard

GATE = "secrets"
_CHUNK = 1 << 20
# Files of another program, which names its demo account's key to everybody.
_OF_THE_EXCHANGE = frozenset({"exchange.log", "exchange.json", "exchange-journal.jsonl"})


async def secrets(subject: Subject) -> Verdict:
    """Search every file of the state directory, free pages included, and the panel's answers."""
    everywhere = _needles(subject.secrets)
    ours = tuple({*everywhere, *_needles(subject.demo_secrets)})
    if not ours:
        return needs_data(
            GATE,
            Why.NO_SECRETS,
            "no secret is set here, so there is nothing to search for",
            "set the three variables as they were during the run, then: livespot verify secrets",
        )
    looked = Looked(gate=GATE)
    for path in sorted(path for path in subject.var.rglob("*") if path.is_file()):
        looked.looked_at += 1
        for at in _found(path, everywhere if path.name in _OF_THE_EXCHANGE else ours):
            looked.met(Why.SECRET_LEAKED, f"{path.relative_to(subject.var)}, byte {at}")
    looked.looked_at += 1
    shown = await _panel(subject)
    if any(needle in shown for needle in ours):
        looked.met(Why.SECRET_LEAKED, "the panel's answer")
    return looked.verdict(
        good="",
        bad="replace the leaked key at the exchange first, then delete the file that holds it",
    )


def _needles(values: tuple[Secret, ...]) -> tuple[bytes, ...]:
    return tuple(sorted({form.encode() for value in values for form in forms_of(value.reveal())}))


def _found(path: Path, needles: tuple[bytes, ...]) -> Iterator[int]:
    """Yield the offset of the first needle found in a file, if any."""
    overlap = max(map(len, needles), default=1) - 1
    done, rest = 0, b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            window = rest + chunk
            hits = [at for needle in needles if (at := window.find(needle)) >= 0]
            if hits:
                yield done - len(rest) + min(hits)
                return
            done += len(chunk)
            rest = window[-overlap:] if overlap else b""


async def _panel(subject: Subject) -> bytes:
    now_ms = subject.facts.run().ended_at_ms or subject.facts.run().started_at_ms
    async with opened(subject.database) as database:
        board = await read_dashboard(database, Vantage(now_ms=now_ms))
    return msgspec.json.encode(board)
