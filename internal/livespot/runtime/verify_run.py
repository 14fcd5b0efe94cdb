"""Judges one recorded run by the verify gates, and keeps a receipt of each verdict."""

import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from livespot.contracts.errors import AuditUnwritable, PayloadInvalid
from livespot.contracts.secret import Secret
from livespot.evidence.facts import read_facts
from livespot.evidence.gates.contracts import contracts
from livespot.evidence.gates.determinism import determinism
from livespot.evidence.gates.events import events
from livespot.evidence.gates.execution import execution
from livespot.evidence.gates.persistence import persistence
from livespot.evidence.gates.results import Looked, Subject, Verdict, Why
from livespot.evidence.gates.secret_values import secrets
from livespot.evidence.receipts import keep, receipt_of
from livespot.evidence.run_choice import chosen_run
from livespot.evidence.trail_walk import walk
from livespot.runtime.clock import SystemClock
from livespot.runtime.disk import RealDisk
from livespot.runtime.paths import Paths, prompts_directory
from livespot.runtime.rehearsal import Rehearsals
from livespot.runtime.simulation import demo_secrets
from livespot.runtime.simulation_journal import read_rows
from livespot.store.queries import LedgerQueries
from livespot.store.reader import ReadOnlyDatabase

Gate = Callable[[Subject], Awaitable[Verdict]]

GATES: dict[str, Gate] = {
    "contracts": contracts,
    "determinism": determinism,
    "persistence": persistence,
    "execution": execution,
    "events": events,
    "secrets": secrets,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One gate's verdict, and where its receipt is."""

    verdict: Verdict
    receipt: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOrder:
    """Which run to judge, by which gates, and which secrets to search for."""

    paths: Paths
    run: str
    gates: tuple[str, ...]
    secrets: tuple[Secret, ...]
    config_path: Path | None = None


async def verify(order: VerifyOrder, tell: Callable[[Judged], None]) -> tuple[Judged, ...]:
    """Judge the run gate by gate; each verdict is passed to `tell` at once.

    Raises `PreflightFailed` when there is no such run, `StoreBusy` and `OSError` when its records
    cannot be read just now.
    """
    paths = order.paths
    reader = ReadOnlyDatabase(paths.database)
    run_id = await chosen_run(reader, order.run)
    last = await LedgerQueries(reader).last_run()
    judged: list[Judged] = []
    with tempfile.TemporaryDirectory(prefix="livespot-verify-") as scratch:
        subject = await _subject(order, reader, run_id, Path(scratch))
        for name in order.gates:
            if isinstance(subject, str):
                verdict = _damaged(name, subject)
            else:
                verdict = await GATES[name](subject)
            receipt = receipt_of(
                run_id,
                verdict,
                at_ms=SystemClock().now_ms(),
                last_hash=last.last_hash if last is not None else "",
            )
            judged.append(
                Judged(verdict=verdict, receipt=keep(RealDisk(), paths.receipts, receipt))
            )
            tell(judged[-1])
    return tuple(judged)


async def _subject(
    order: VerifyOrder, reader: ReadOnlyDatabase, run_id: str, scratch: Path
) -> Subject | str:
    """Return the run with its records; where the database is damaged, a text that says where."""
    paths = order.paths
    try:
        facts = await read_facts(reader, paths.logs, run_id)
    except (AuditUnwritable, PayloadInvalid, msgspec.MsgspecError, UnicodeError) as error:
        trail = await walk(reader, paths.logs)
        return "; ".join((*trail.problems, *trail.places)) or f"the database: {error}"
    journal = paths.exchange_journal
    return Subject(
        run_id=run_id,
        ended=not RealDisk().is_locked(paths.lock),
        var=paths.var,
        database=paths.database,
        reader=reader,
        facts=facts,
        journal=read_rows(journal) if journal.is_file() else None,
        secrets=order.secrets,
        demo_secrets=demo_secrets().all() if journal.is_file() else (),
        schemas=prompts_directory() / "schemas",
        rehearse=Rehearsals(scratch, order.config_path),
        scratch=scratch,
    )


def _damaged(name: str, place: str) -> Verdict:
    looked = Looked(gate=name, looked_at=1)
    looked.met(Why.DATABASE_DAMAGED, place)
    return looked.verdict(
        good="", bad="keep the files as they are, then put the newest backup back: docs/runbook.md"
    )
