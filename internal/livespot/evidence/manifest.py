"""The manifest of a run: program, platform, settings, inputs, and how it ended."""

import platform
import sqlite3
from importlib import metadata
from pathlib import Path

import msgspec

from livespot import __version__
from livespot.contracts.base import Message
from livespot.evidence.particulars import Particulars
from livespot.evidence.rows import Facts
from livespot.evidence.survival import end_of, failures, first_normal_ms

_SIMULATED = frozenset({"SIM", "REPLAY"})
# Only the manifest written at the start can know these.
_OF_BIRTH = (
    "git_commit",
    "dependencies",
    "data_set_id",
    "data_set_sha256",
    "seed",
    "inputs",
)
_NO_MANIFEST = "the manifest of its beginning is lost"
_NO_DATA_SET = "the run read a live market, not a data set"


class RunInputs(Message, frozen=True):
    """The market that a simulation or replay played, complete enough to play it again.

    `symbols` is empty when all of the data were played. `faults` is the text of the fault plan;
    `gate` is not empty when recorded answers replaced a model. A run in `virtual` time can be
    repeated byte for byte, one in wall time cannot.
    """

    data: str
    data_set_id: str
    data_set_sha256: str
    symbols: tuple[str, ...]
    seed: int
    start_ms: int
    span_ms: int
    speed: int
    virtual: bool
    faults: str = ""
    faults_name: str = ""
    gate: str = ""


class SelfTrade(Message, frozen=True):
    """What keeps our own orders from trading with each other. None is unknown."""

    stp_supported: bool
    stp_enabled: bool | None
    mode: str
    self_trade_policy: str
    detection_capability: str


class RunManifest(Message, frozen=True):
    """None is unknown, and `unknown` says why, by field; nothing unknown is written as 0.

    Times are on the run's own clock: market time in a simulation.
    """

    run_id: str
    mode: str
    started_at_ms: int
    ended_at_ms: int | None
    version: str
    git_commit: str | None
    python: str | None
    sqlite: str | None
    platform: str
    dependencies: dict[str, str] | None
    account_label: str
    config: msgspec.Raw
    config_hash: str
    prompt_hash: str
    previous_run: str
    data_set_id: str | None
    data_set_sha256: str | None
    seed: int | None
    inputs: RunInputs | None
    exit_code: int | None
    exit_reasons: tuple[str, ...]
    positions_quality: str
    impedance_fidelity: str
    self_trade_prevention: SelfTrade
    internal_collapse_detected: bool | None
    internal_collapse_reason: str | None
    internal_collapse_time_ms: int | None
    time_to_first_internal_collapse_seconds: int | None
    restart_time_seconds: int | None
    completed_by: str | None
    unknown: dict[str, str]


def opening(birth: "Birthmarks", inputs: RunInputs | None, checkout: Path | None) -> RunManifest:
    """Return what is known when a run begins; fields about its end are null."""
    commit = git_commit(checkout) if checkout is not None else None
    later = "the run has not ended"
    unknown = dict.fromkeys(
        (
            "ended_at_ms",
            "exit_code",
            "internal_collapse_detected",
            "internal_collapse_reason",
            "internal_collapse_time_ms",
            "time_to_first_internal_collapse_seconds",
            "restart_time_seconds",
            "completed_by",
        ),
        later,
    )
    if commit is None:
        unknown["git_commit"] = "the program does not run from a checkout; `version` names it"
    if inputs is None:
        unknown |= dict.fromkeys(("data_set_id", "data_set_sha256", "seed", "inputs"), _NO_DATA_SET)
    return RunManifest(
        run_id=birth.run_id,
        mode=birth.mode,
        started_at_ms=birth.started_at_ms,
        ended_at_ms=None,
        version=__version__,
        git_commit=commit,
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        platform=platform.platform(),
        dependencies=dependencies(),
        account_label=birth.account_label,
        config=msgspec.Raw(birth.config_json.encode()),
        config_hash=birth.config_hash,
        prompt_hash=birth.prompt_hash,
        previous_run=birth.previous_run,
        data_set_id=inputs.data_set_id if inputs else None,
        data_set_sha256=inputs.data_set_sha256 if inputs else None,
        seed=inputs.seed if inputs else None,
        inputs=inputs,
        exit_code=None,
        exit_reasons=(),
        positions_quality="unknown",
        impedance_fidelity="simulated" if birth.mode in _SIMULATED else "unknown",
        self_trade_prevention=_self_trade(),
        internal_collapse_detected=None,
        internal_collapse_reason=None,
        internal_collapse_time_ms=None,
        time_to_first_internal_collapse_seconds=None,
        restart_time_seconds=None,
        completed_by=None,
        unknown=unknown,
    )


class Birthmarks(Message, frozen=True):
    """What a run knows about itself when it begins; its database row holds it, too."""

    run_id: str
    mode: str
    started_at_ms: int
    account_label: str
    config_json: str
    config_hash: str
    prompt_hash: str
    previous_run: str


def rebuilt(facts: Facts, particulars: Particulars) -> RunManifest:
    """Return a manifest from the database, for a run whose own manifest is lost."""
    run = facts.run()
    marks = Birthmarks(
        run_id=run.run_id,
        mode=run.mode,
        started_at_ms=run.started_at_ms,
        account_label=particulars.account_label,
        config_json=run.config_json,
        config_hash=particulars.config_hash,
        prompt_hash=particulars.prompt_hash,
        previous_run=run.previous_run_id,
    )
    told: dict[str, str] = {}
    for event in facts.events:
        if (event.run_id, event.event_type) == (run.run_id, "RUN_STARTED"):
            told = event.data if isinstance(event.data, dict) else {}
    manifest = opening(marks, None, None)
    return msgspec.structs.replace(
        manifest,
        version=particulars.version,
        platform=particulars.platform,
        python=told.get("python"),
        sqlite=told.get("sqlite"),
        dependencies=None,
        unknown=manifest.unknown
        | dict.fromkeys(_OF_BIRTH, _NO_MANIFEST)
        | {name: _NO_MANIFEST for name in ("python", "sqlite") if name not in told},
    )


def closing(manifest: RunManifest, facts: Facts, completed_by: str) -> RunManifest:
    """Return the manifest with the end of the run; `completed_by` says who wrote it."""
    run = facts.run()
    killed = not run.clean
    found = failures(facts, run)
    normal_ms = first_normal_ms(facts, run)
    ends: dict[str, tuple[int | str | None, str]] = {
        "ended_at_ms": (
            None if killed else run.ended_at_ms,
            f"the run was killed; its last event is of {end_of(run)}",
        ),
        "exit_code": (None if killed else run.exit_code, "a killed process leaves no exit code"),
        "internal_collapse_reason": (found[0].reason if found else None, "nothing failed inside"),
        "internal_collapse_time_ms": (found[0].at_ms if found else None, "nothing failed inside"),
        "time_to_first_internal_collapse_seconds": (
            (found[0].at_ms - run.started_at_ms) // 1000 if found else None,
            "nothing failed inside",
        ),
        "restart_time_seconds": (
            None if normal_ms is None else -(-normal_ms // 1000),
            "NORMAL was never reached",
        ),
    }
    kept = {name: why for name, why in manifest.unknown.items() if name not in ends}
    kept.pop("completed_by", None)
    kept.pop("internal_collapse_detected", None)
    return msgspec.structs.replace(
        manifest,
        exit_reasons=run.end_reasons,
        positions_quality=_quality(facts),
        internal_collapse_detected=bool(found),
        completed_by=completed_by,
        unknown=kept | {name: why for name, (value, why) in ends.items() if value is None},
        **{name: value for name, (value, _) in ends.items()},
    )


def _quality(facts: Facts) -> str:
    """Positions are computed from fills; only reconciling shows that the exchange agrees."""
    passes = [report for report in facts.reconciles if report.run_id == facts.run_id]
    return "reconstructed_from_fills" if passes else "unknown"


def _self_trade() -> SelfTrade:
    return SelfTrade(
        stp_supported=True,
        stp_enabled=None,
        mode="exchange default: no order names a mode of its own, and the default is not read",
        self_trade_policy="at most one position a symbol; its exits begin with its fills",
        detection_capability="order status EXPIRED_IN_MATCH",
    )


def dependencies() -> dict[str, str]:
    """Return the versions of all installed distributions."""
    found = ((d.metadata["Name"], d.version) for d in metadata.distributions())
    return dict(sorted((name, version) for name, version in found if name))


def git_commit(checkout: Path) -> str | None:
    """Return a checkout's commit, read without git; None without a checkout that can be read."""
    try:
        return _commit_of(checkout / ".git")
    except OSError:
        # A repository that this user may not read must not keep a run from starting.
        return None


def _commit_of(repository: Path) -> str | None:
    head = repository / "HEAD"
    if not head.is_file():
        return None
    text = head.read_text(encoding="utf-8").strip()
    if not text.startswith("ref: "):
        return text
    name = text.removeprefix("ref: ")
    loose = repository / name
    if loose.is_file():
        return loose.read_text(encoding="utf-8").strip()
    packed = repository / "packed-refs"
    lines = packed.read_text(encoding="utf-8").splitlines() if packed.is_file() else []
    return next((line.split()[0] for line in lines if line.endswith(f" {name}")), None)
