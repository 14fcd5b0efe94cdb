"""Checks of the state directory: rights, space, instance, port, database and trail."""

import os
import socket
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import aiosqlite
import anyio

from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import LivespotError, SchemaMismatch
from livespot.rules.doctor import Check, Outcome, disk_outcome, sqlite_outcome
from livespot.rules.retention import daily_backups
from livespot.runtime.doctor_checks_local import as_probe
from livespot.runtime.doctor_plan import DoctorPlan, Probe, quoted
from livespot.store.migrate import status
from livespot.store.queries import LedgerQueries
from livespot.store.reader import ReadOnlyDatabase
from livespot.store.trail import JsonlTrail

_TRIAL = ".doctor-trial"
_DAY_MS = 86_400_000
_INTEGRITY_SECONDS = 5
# Virtual machine instructions between two calls of SQLite's progress handler.
_STEPS = 20_000


def store_probes(plan: DoctorPlan) -> Iterator[Probe]:
    """Yield the probes in the order of their rows."""
    if plan.check_instance:
        yield as_probe(plan, "instance", "Second instance", check_instance)
    yield as_probe(plan, "directories", "Directories", check_directories)
    yield as_probe(plan, "disk", "Disk space", check_disk)
    if plan.check_port:
        yield as_probe(plan, "panel_port", "Panel port", check_port)
    yield as_probe(plan, "sqlite", "SQLite library", check_sqlite)
    yield as_probe(plan, "schema", "Database schema", check_schema)

    async def integrity() -> Check:
        return await check_integrity(plan)

    async def intents() -> Check:
        return await check_intents(plan)

    yield Probe(
        id="integrity",
        title="Database integrity",
        look=integrity,
        remedy=plan.migrate_command,
        seconds=_INTEGRITY_SECONDS + 3,
    )
    yield as_probe(plan, "jsonl", "Audit trail", check_trail)
    yield Probe(id="intents", title="Unresolved intents", look=intents, remedy=plan.migrate_command)


def check_instance(plan: DoctorPlan) -> Check:
    held = plan.disk.is_locked(plan.paths.lock)
    return Check(
        id="instance",
        title="Second instance",
        outcome=Outcome.FAIL if held else Outcome.PASS,
        measured="a livespot is running here" if held else "none",
        limit="none",
        next_command=plan.command("livespot status") if held else "",
        detail=f"it holds {plan.paths.lock}, so a second one is refused; all is well with it if "
        "its status says so"
        if held
        else "",
    )


def check_directories(plan: DoctorPlan) -> Check:
    """Every directory can be written, and nobody else can write commands."""
    paths = plan.paths
    problems = [
        problem
        for directory in (
            paths.var,
            paths.database.parent,
            paths.logs,
            paths.control,
            paths.backups,
        )
        if (problem := _directory_problem(plan, directory))
    ]
    open_to_others = paths.control.is_dir() and _others_may(paths.control)
    if open_to_others:
        problems.append(f"{paths.control} is open to other users, who could command the runtime")
    remedy = f"mkdir -p {quoted(paths.var)} && chmod -R u+rwX,go-rwx {quoted(paths.var)}"
    return Check(
        id="directories",
        title="Directories",
        outcome=Outcome.FAIL if problems else Outcome.PASS,
        measured=str(paths.var),
        limit="writable, private",
        next_command=remedy if problems else "",
        detail="; ".join(problems),
    )


def check_disk(plan: DoctorPlan) -> Check:
    health = plan.settings.health
    free = plan.disk.free_bytes(_existing(plan.paths.var))
    outcome = disk_outcome(
        free,
        degrade_below=health.disk_free_degrade_bytes,
        pause_below=health.disk_free_pause_bytes,
    )
    return Check(
        id="disk",
        title="Disk space",
        outcome=outcome,
        measured=f"{free >> 20} MiB free",
        limit=f">= {health.disk_free_degrade_bytes >> 20} MiB",
        next_command=f"du -sh {quoted(plan.paths.var)}" if outcome is not Outcome.PASS else "",
        detail="" if outcome is Outcome.PASS else "the runtime would not be NORMAL with so little",
    )


def check_port(plan: DoctorPlan) -> Check:
    panel = plan.settings.panel
    place = f"{panel.host}:{panel.port}"
    family = socket.AF_INET6 if ":" in panel.host else socket.AF_INET
    try:
        with socket.create_server((panel.host, panel.port), family=family):
            cause = ""
    except OSError as error:
        cause = os.strerror(error.errno or 0)
    ours = bool(cause) and plan.disk.is_locked(plan.paths.lock)
    remedy = (
        "most likely the panel of the livespot that runs here"
        if ours
        else "end what listens there, or set panel.port to another"
    )
    return Check(
        id="panel_port",
        title="Panel port",
        outcome=(Outcome.WARN if ours else Outcome.FAIL) if cause else Outcome.PASS,
        measured=f"{place}: {cause}" if cause else f"{place} is free",
        limit="free",
        next_command=f"ss -ltnp 'sport = :{panel.port}'" if cause else "",
        detail=remedy if cause else "",
    )


def check_sqlite(plan: DoctorPlan) -> Check:
    del plan
    outcome = sqlite_outcome(sqlite3.sqlite_version_info)
    return Check(
        id="sqlite",
        title="SQLite library",
        outcome=outcome,
        measured=sqlite3.sqlite_version,
        limit=">= 3.51.3",
        detail=""
        if outcome is Outcome.PASS
        else "older libraries can lose a commit when two connections reset the write-ahead log; "
        "install a Python built with a newer one",
    )


def check_schema(plan: DoctorPlan) -> Check:
    """The database exists and has exactly this program's schema."""
    path = plan.paths.database
    if not plan.disk.exists(path):
        return _schema(Outcome.FAIL, "no database", plan.migrate_command, str(path))
    try:
        found = status(path)
    except SchemaMismatch as error:
        restore = "livespot migrate --status --db " + quoted(path)
        return _schema(Outcome.FAIL, "does not fit this program", restore, str(error))
    if not found.current:
        measured = f"schema {found.version} of {found.newest}"
        detail = f"{len(found.pending)} migrations are pending"
        return _schema(Outcome.FAIL, measured, plan.migrate_command, detail)
    return _schema(Outcome.PASS, f"schema {found.version}", "", "")


async def check_integrity(plan: DoctorPlan) -> Check:
    """WAL is on and SQLite finds the pages whole; gives up when that takes long."""
    path, backups = plan.paths.database, _put_back(plan)
    if not plan.disk.exists(path):
        return _integrity(Outcome.FAIL, "no database", plan.migrate_command)
    try:
        journal, verdict = await _ask_sqlite(plan, path)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
            detail = f"not finished within {_INTEGRITY_SECONDS} s: it is large"
            return _integrity(Outcome.WARN, "not finished", detail=detail)
        return _integrity(Outcome.FAIL, "unreadable", backups, str(error))
    if verdict != "ok":
        detail = (
            f"{ReasonCode.DB_INTEGRITY_FAIL}: SQLite says: {verdict}; put the newest good backup "
            "in its place"
        )
        return _integrity(Outcome.FAIL, "damaged", backups, detail)
    if journal != "wal":
        return _integrity(
            Outcome.FAIL,
            f"journal mode {journal}",
            f"sqlite3 {quoted(path)} 'PRAGMA journal_mode = WAL'",
        )
    return _integrity(Outcome.PASS, f"ok, {plan.disk.size(path) >> 10} KiB, WAL")


def _put_back(plan: DoctorPlan) -> str:
    """The command that puts the newest daily copy in place; without one, a look at the rest."""
    daily = daily_backups(plan.disk.names(plan.paths.backups))
    if not daily:
        return f"ls -lt {quoted(plan.paths.backups)}"
    newest = plan.paths.backups / max(daily)
    return f"livespot restore {quoted(newest)} --var {quoted(plan.paths.var)}"


def check_trail(plan: DoctorPlan) -> Check:
    """A line can be added to the trail, and today's file, if there is one, can be opened."""
    paths, disk = plan.paths, plan.disk
    trail = JsonlTrail(disk, paths.logs, ReadOnlyDatabase(paths.database))
    today = trail.path_of(plan.clock.now_ms() // _DAY_MS)
    problem = _directory_problem(plan, paths.logs)
    if not problem and disk.exists(today):
        try:
            disk.append(today, b"")
        except OSError as error:
            problem = f"{today}: {error.strerror}"
    return Check(
        id="jsonl",
        title="Audit trail",
        outcome=Outcome.FAIL if problem else Outcome.PASS,
        measured=str(paths.logs),
        limit="writable",
        next_command=f"chmod -R u+rwX {quoted(paths.logs)}" if problem else "",
        detail=problem,
    )


async def check_intents(plan: DoctorPlan) -> Check:
    """Orders whose outcome is unknown; the next boot asks the exchange about each."""
    if not plan.disk.exists(plan.paths.database):
        return _intents(Outcome.FAIL, "no database", plan.migrate_command)
    try:
        pending = await LedgerQueries(ReadOnlyDatabase(plan.paths.database)).unsettled_intents()
    except LivespotError as error:
        return _intents(Outcome.FAIL, "unreadable", plan.migrate_command, str(error))
    if not pending:
        return _intents(Outcome.PASS, "none")
    names = ", ".join(sorted({intent.symbol for intent in pending}))
    detail = f"of {names}; the next start asks the exchange about each before anything else"
    return _intents(Outcome.WARN, str(len(pending)), plan.command("livespot status"), detail)


def _directory_problem(plan: DoctorPlan, directory: Path) -> str:
    """Return why nothing can be written there; for a missing one its parent is what counts."""
    if not directory.is_dir():
        parent = _existing(directory)
        usable = parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)
        return "" if usable else f"{directory} cannot be made below {parent}"
    trial = directory / _TRIAL
    try:
        plan.disk.append(trial, b"a line\n")
        plan.disk.remove(trial)
    except OSError as error:
        return f"{directory} cannot be written: {error.strerror}"
    return ""


def _existing(path: Path) -> Path:
    """Return the path, or its nearest ancestor that exists."""
    here = path.resolve()
    while not here.exists():
        here = here.parent
    return here


def _others_may(directory: Path) -> bool:
    # Windows has no such bits; there the directory's owner protects it.
    return os.name == "posix" and bool(directory.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


async def _ask_sqlite(plan: DoctorPlan, path: Path) -> tuple[str, str]:
    """Return the journal mode and the first line of the quick check. Raises `sqlite3.Error`."""
    due_ms = plan.clock.monotonic_ms() + _INTEGRITY_SECONDS * 1000 * plan.speed
    connection = await aiosqlite.connect(_read_only(path), uri=True, isolation_level=None)
    try:
        await connection.set_progress_handler(
            lambda: int(plan.clock.monotonic_ms() > due_ms), _STEPS
        )
        journal = await connection.execute_fetchall("PRAGMA journal_mode")
        verdict = await connection.execute_fetchall("PRAGMA quick_check(1)")
        return str(next(iter(journal))[0]), str(next(iter(verdict))[0])
    finally:
        with anyio.CancelScope(shield=True):
            await connection.close()


def _read_only(path: Path) -> str:
    return f"{path.resolve().as_uri()}?mode=ro"


def _schema(outcome: Outcome, measured: str, command: str, detail: str) -> Check:
    return Check(
        id="schema",
        title="Database schema",
        outcome=outcome,
        measured=measured,
        limit="this program's",
        next_command=command,
        detail=detail,
    )


def _integrity(outcome: Outcome, measured: str, command: str = "", detail: str = "") -> Check:
    return Check(
        id="integrity",
        title="Database integrity",
        outcome=outcome,
        measured=measured,
        limit="ok, WAL",
        next_command=command,
        detail=detail,
    )


def _intents(outcome: Outcome, measured: str, command: str = "", detail: str = "") -> Check:
    return Check(
        id="intents",
        title="Unresolved intents",
        outcome=outcome,
        measured=measured,
        limit="none",
        next_command=command,
        detail=detail,
    )
