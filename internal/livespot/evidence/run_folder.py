"""The folder of a run: begun with its manifest, completed once at its end, then never changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec.structs import replace

from livespot.contracts.canonical import sha256_hex
from livespot.contracts.errors import PayloadInvalid
from livespot.evidence.facts import read_facts
from livespot.evidence.fingerprint import fingerprint
from livespot.evidence.incidents import bundle, document, incidents
from livespot.evidence.journal import JournalRows
from livespot.evidence.manifest import (
    Birthmarks,
    RunInputs,
    RunManifest,
    closing,
    opening,
    rebuilt,
)
from livespot.evidence.particulars import read_particulars
from livespot.evidence.plain_summary import plain
from livespot.evidence.run_report import Report, markdown, page
from livespot.evidence.shadow_estimates import read_estimates
from livespot.evidence.summary import summary_of
from livespot.evidence.survival import of_run, over_runs
from livespot.runtime.disk import Disk
from livespot.store.reader import Reader

MANIFEST = "run_manifest.json"
SUMS = "SHA256SUMS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """Where a run's database and trail are, and where its folder belongs."""

    reader: Reader
    database: Path
    logs: Path
    runs: Path
    checkout: Path


def begin(
    disk: Disk, runs: Path, checkout: Path, marks: Birthmarks, inputs: RunInputs | None
) -> Path:
    """Write the manifest of a run that begins; returns its folder. Raises `OSError`."""
    folder = runs / marks.run_id
    disk.make_directory(folder)
    disk.write_atomic(folder / MANIFEST, document(opening(marks, inputs, checkout)))
    return folder


def is_complete(disk: Disk, runs: Path, run_id: str) -> bool:
    """Whether a run's evidence is complete; after that nothing of it is rewritten."""
    return disk.exists(runs / run_id / SUMS)


def manifest_of(disk: Disk, runs: Path, run_id: str) -> RunManifest | None:
    """Read the stored manifest; None without one. Raises `PayloadInvalid` for a damaged one."""
    path = runs / run_id / MANIFEST
    if not disk.exists(path):
        return None
    try:
        return msgspec.json.decode(disk.read(path), type=RunManifest)
    except msgspec.MsgspecError as error:
        raise PayloadInvalid(f"{path} is no manifest: {error}") from error


async def complete(
    disk: Disk,
    where: Whereabouts,
    run_id: str,
    journal: JournalRows | None,
    completed_by: str = "the run itself",
) -> bool:
    """Write what an ended run's folder lacks, its sums last; False when it was complete already.

    Raises `PayloadInvalid` when the run is not recorded or has not ended, `StoreBusy`,
    `AuditUnwritable` and `OSError`.
    """
    if is_complete(disk, where.runs, run_id):
        return False
    report = await read_report(disk, where, run_id, journal, completed_by)
    if not report.facts.run().ended_at_ms:
        raise PayloadInvalid(f"{run_id} has not ended, so its evidence cannot be completed")
    folder = where.runs / run_id
    disk.make_directory(folder)
    written = _files(report)
    for incident in await incidents(where.reader, run_id):
        disk.make_directory(folder / incident.folder)
        inside = await bundle(where.reader, run_id, incident)
        written |= {f"{incident.folder}/{name}": content for name, content in inside.items()}
    for name, content in written.items():
        disk.write_atomic(folder / name, content)
    disk.write_atomic(folder / SUMS, _sums(written))
    return True


async def write_incidents(disk: Disk, where: Whereabouts, run_id: str) -> tuple[str, ...]:
    """Write the bundles that a running run lacks; returns their names."""
    made = []
    for incident in await incidents(where.reader, run_id):
        folder = where.runs / run_id / incident.folder
        files = await bundle(where.reader, run_id, incident)
        # A kill or a full disk may have cut an earlier attempt short.
        if all(disk.exists(folder / name) for name in files):
            continue
        disk.make_directory(folder)
        for name, content in files.items():
            disk.write_atomic(folder / name, content)
        made.append(incident.folder)
    return tuple(made)


async def read_report(
    disk: Disk,
    where: Whereabouts,
    run_id: str,
    journal: JournalRows | None,
    completed_by: str = "",
) -> Report:
    """Read everything that the report needs from the database; works for a running run, too."""
    facts = await read_facts(where.reader, where.logs, run_id)
    particulars = await read_particulars(where.reader, run_id)
    manifest = manifest_of(disk, where.runs, run_id)
    if manifest is None:
        manifest = rebuilt(facts, particulars)
    if facts.run().ended_at_ms:
        manifest = closing(manifest, facts, completed_by)
    return Report(
        manifest=manifest,
        # Only names below the state directory: where that lies concerns nobody else.
        summary=summary_of(
            facts,
            None if journal is None else replace(journal, source=Path(journal.source).name),
            database=_below(where, where.database),
            trail=_below(where, where.logs),
        ),
        fingerprint=fingerprint(facts, particulars),
        survival=of_run(facts),
        facts=facts,
        particulars=particulars,
        shadow=await read_estimates(where.reader, run_id),
    )


def _files(report: Report) -> dict[str, bytes]:
    survival = {"of_this_run": report.survival, "over_runs": over_runs(report.facts)}
    passes = report.particulars.passes
    return {
        MANIFEST: document(report.manifest),
        "execution_fingerprint.json": document(report.fingerprint),
        "summary.json": document(
            {
                "summary": plain(report.summary),
                "survival": survival,
                "shadow": report.shadow,
                "unknown": {} if report.shadow else {"shadow": "no entry was left to a fill model"},
            }
        ),
        "recon_report.json": document(
            {
                "passes": len(passes),
                "worst_drift_x10000": max((p.drift_score_x10000 for p in passes), default=None),
                "unknown": {} if passes else {"worst_drift_x10000": "nothing was reconciled"},
                "with_differences": [p for p in passes if p.diffs],
                "last": passes[-1] if passes else None,
            }
        ),
        "report.md": markdown(report).encode(),
        "report.html": page(report).encode(),
    }


def _below(where: Whereabouts, path: Path) -> str:
    return path.relative_to(where.runs.parent).as_posix()


def _sums(written: Mapping[str, bytes]) -> bytes:
    """Return the sums in the form that `sha256sum --check` reads."""
    lines = (f"{sha256_hex(content)}  {name}\n" for name, content in sorted(written.items()))
    return "".join(lines).encode()


def changed_since(disk: Disk, runs: Path, run_id: str) -> tuple[str, ...]:
    """Return the names of files in a completed folder that have changed since."""
    folder = runs / run_id
    changed = []
    for line in disk.read(folder / SUMS).decode().splitlines():
        digest, name = line.split("  ", 1)
        path = folder / name
        if not disk.exists(path) or sha256_hex(disk.read(path)) != digest:
            changed.append(name)
    return tuple(changed)
