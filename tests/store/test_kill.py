"""A process killed while it writes: what it had been told is durable is there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from livespot.runtime.disk import RealDisk
from livespot.store.backup import integrity_problems
from livespot.store.chain import verify_chain
from livespot.store.reader import ReadOnlyDatabase
from livespot.store.trail import JsonlTrail
from livespot.testing.ledger_rows import fresh

WRITER = """
import pathlib, sys
import anyio
from livespot.actors.audit import AuditWriter
from livespot.contracts.redaction import Redactor
from livespot.contracts.settings import AuditSettings
from livespot.contracts.vocabulary import Mode
from livespot.runtime.clock import SystemClock
from livespot.runtime.disk import RealDisk
from livespot.store.connection import Database
from livespot.store.reader import ReadOnlyDatabase
from livespot.store.trail import JsonlTrail
from livespot.testing.ledger_rows import RUN, created, entry

async def main():
    path, logs = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    store = await Database.open(path, run_id=RUN, redactor=Redactor())
    trail = JsonlTrail(RealDisk(), logs, ReadOnlyDatabase(path))
    writer = AuditWriter(run_id=RUN, mode=Mode.SIM, store=store, trail=trail,
                         clock=SystemClock(), settings=AuditSettings(), redactor=Redactor())
    async with anyio.create_task_group() as group:
        await group.start(writer.run)
        number = 0
        while True:
            number += 1
            await writer.record(entry(number))
            await writer.commit(entry(number, created(str(number))))
            print(number, flush=True)

anyio.run(main)
"""


@pytest.mark.slow
@pytest.mark.parametrize("acknowledged", [1, 37])
async def test_a_killed_process_loses_nothing_it_was_promised(
    tmp_path: Path, acknowledged: int
) -> None:
    path = fresh(tmp_path)
    logs = tmp_path / "logs"
    RealDisk().make_directory(logs)

    seen = kill_after(acknowledged, path, logs)

    reader = ReadOnlyDatabase(path)
    report = await verify_chain(reader)
    intents = await reader.rows("SELECT order_intent_id FROM order_intents")
    assert {f"oi_{number}" for number in range(1, seen + 1)} <= {row[0] for row in intents}
    assert report.broken is None
    assert integrity_problems(path) == ()
    trail = JsonlTrail(RealDisk(), logs, reader)
    await trail.repair()
    assert not (await trail.repair()).needed
    assert lines_in(logs) == report.events


def kill_after(acknowledged: int, path: Path, logs: Path) -> int:
    """Let the writer acknowledge so many commits, then kill it; the last number it said."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(logs)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for _ in range(acknowledged):
            process.stdout.readline()
        process.kill()
        said = [line for line in process.stdout.read().splitlines() if line.strip().isdigit()]
    return int(said[-1]) if said else acknowledged


def lines_in(logs: Path) -> int:
    texts = [file.read_text() for file in logs.glob("audit-*.jsonl")]
    return sum(len([json.loads(line) for line in text.splitlines()]) for text in texts)
