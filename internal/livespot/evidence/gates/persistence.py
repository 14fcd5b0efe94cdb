"""The gate `persistence`: writing twice changes nothing, and a killed writer loses nothing."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from livespot.evidence.gates.results import Looked, Subject, Verdict, Why, needs_data
from livespot.store.backup import backup_database, integrity_problems
from livespot.store.chain import verify_chain
from livespot.store.kill_probe import RUN
from livespot.store.reader import ReadOnlyDatabase

GATE = "persistence"
_LEDGER = (
    "audit_events",
    "order_intents",
    "intent_client_ids",
    "intent_transitions",
    "fills",
    "decisions",
    "snapshots",
)
_ACKNOWLEDGED = 25


async def persistence(subject: Subject) -> Verdict:
    """On a copy, write every event and intent again, then kill a writer and count its events."""
    looked = Looked(gate=GATE)
    if not subject.facts.trail.events:
        return needs_data(GATE, Why.NO_EVENTS, "no event is recorded", "livespot sim --for 3m")
    copy = subject.scratch / "persistence.sqlite"
    backup_database(subject.database, copy)
    for table in _LEDGER:
        _apply_again(looked, copy, table)
    await _kill(looked, copy)
    return looked.verdict(good="", bad="livespot doctor --offline, then restore the newest backup")


def _apply_again(looked: Looked, copy: Path, table: str) -> None:
    """Write every row of a table a second time; the table must not change."""
    with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        before = connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
        names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        # A newly generated key would make the same event a new row.
        keep = [n for n, name in enumerate(names) if name != "id"]
        columns = ", ".join(names[n] for n in keep)
        marks = ", ".join("?" * len(keep))
        sql = f"INSERT INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608  names of the schema
        accepted = 0
        for row in before:
            looked.looked_at += 1
            try:
                connection.execute(sql, [row[n] for n in keep])
            except sqlite3.DatabaseError:
                continue
            accepted += 1
        if accepted:
            looked.met(Why.APPLIED_TWICE, f"{table} took {accepted} of its rows a second time")


async def _kill(looked: Looked, copy: Path) -> None:
    said = _killed_writer(copy)
    problems = integrity_problems(copy)
    for problem in problems:
        looked.met(Why.DATABASE_DAMAGED, f"after a kill: {problem}")
    report = await verify_chain(ReadOnlyDatabase(copy))
    if report.broken is not None:
        looked.met(Why.DATABASE_DAMAGED, f"after a kill: {report.broken.problem}")
    with closing(sqlite3.connect(copy)) as connection:
        rows = connection.execute("SELECT seq, hash FROM audit_events WHERE run_id = ?", (RUN,))
        kept = {f"{seq} {digest}" for seq, digest in rows}
    looked.looked_at += len(said)
    lost = [line for line in said if line not in kept]
    if lost or len(said) < _ACKNOWLEDGED:
        looked.met(Why.LOST_BY_KILL, f"{len(lost)} of {len(said)} acknowledged events are gone")
    else:
        looked.notes.append(f"{len(said)} acknowledged events survived a kill")


def _killed_writer(copy: Path) -> list[str]:
    """Return what a writer acknowledged before it was killed at work."""
    # -P: a file in the working directory must not stand in for a module of ours.
    command = [sys.executable, "-P", "-m", "livespot.store.kill_probe", str(copy)]
    said = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None  # noqa: S101  it is a pipe
        for line in process.stdout:
            said.append(line.rstrip("\n"))
            if len(said) == _ACKNOWLEDGED:
                process.kill()
                break
        said += [line.rstrip("\n") for line in process.stdout if line.endswith("\n")]
        process.kill()
    return said
