"""Reads the facts that decide about a live start, from files and database, without the network."""

import shlex
from pathlib import Path

from livespot.contracts.errors import LivespotError
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import Mode
from livespot.rules.live_locks import LiveFacts
from livespot.runtime.disk import RealDisk
from livespot.runtime.drill_record import proof
from livespot.runtime.environment import Secrets
from livespot.runtime.paths import Paths
from livespot.store.migrate import status
from livespot.store.queries import LedgerQueries
from livespot.store.reader import ReadOnlyDatabase
from livespot.store.schema import require_current


async def read_live_facts(
    paths: Paths, settings: Settings, secrets: Secrets, *, flag: bool, now_ms: int
) -> LiveFacts:
    """Read all facts, even when one of them already refuses the start."""
    problem, unfinished = await _database(paths.database)
    return LiveFacts(
        flag=flag,
        lock_text=_lock_text(paths.live_ok),
        account_label=settings.live.account_label,
        missing_secrets=missing_secrets(settings, secrets),
        stop_file=paths.stop_file.exists(),
        database_problem=problem,
        unfinished_run=unfinished,
        now_ms=now_ms,
        lock_path=str(paths.live_ok),
        drill_problem=drill_problem(paths),
    )


def drill_problem(paths: Paths) -> str:
    """Return why no pass of the crash drills counts here, and the next step; empty if one does."""
    problem = proof(RealDisk(), paths).problem
    return (
        f"{problem}; run: livespot drill all --var {shlex.quote(str(paths.var))}" if problem else ""
    )


def lock_only_facts(paths: Paths, settings: Settings, *, now_ms: int) -> LiveFacts:
    """Return facts of which only account and lock file are real; all others are assumed good."""
    return LiveFacts(
        flag=True,
        lock_text=_lock_text(paths.live_ok),
        account_label=settings.live.account_label,
        missing_secrets=(),
        stop_file=False,
        database_problem="",
        unfinished_run=False,
        now_ms=now_ms,
        lock_path=str(paths.live_ok),
    )


def missing_secrets(settings: Settings, secrets: Secrets) -> tuple[str, ...]:
    """Return the names of unset variables that this configuration needs."""
    return tuple(
        name for name in secrets.missing() if name != "OPENAI_API_KEY" or needs_gate_key(settings)
    )


def needs_gate_key(settings: Settings) -> bool:
    """Whether the gate needs a key: not when it is off or answers on this machine."""
    gate = settings.ai_gate
    return gate.ai_dec > 0 and not gate.base_url.startswith("http://127.0.0.1")


def _lock_text(path: Path) -> str | None:
    """Return the lock file's text; None when it is missing or unreadable."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        return "unreadable"


async def _database(path: Path) -> tuple[str, bool]:
    """Return why the database cannot be used, and whether a live run left anything unfinished."""
    try:
        found = status(path)
        if found.version == 0:
            return f"there is no database yet; run: livespot migrate --db {path}", False
        require_current(found)
        return "", await _has_unfinished_run(LedgerQueries(ReadOnlyDatabase(path)))
    except LivespotError as error:
        return str(error), False


async def _has_unfinished_run(ledger: LedgerQueries) -> bool:
    last = await ledger.last_run()
    if last is None:
        return False
    was_live = last.mode is Mode.LIVE
    # An orderly end may still leave a position behind its protections.
    unsettled = await ledger.open_positions() or await ledger.unsettled_intents()
    return was_live and (not last.ended or bool(unsettled))
