"""What every process opens a run with: prompt, manifest data, audit writer, panel audit."""

from collections.abc import Callable

from livespot.actors.audit import AuditWriter
from livespot.contracts.audit import AuditDraft, AuditEntry
from livespot.contracts.canonical import canonical_json
from livespot.contracts.errors import PreflightFailed
from livespot.contracts.ports import Clock
from livespot.contracts.redaction import Redactor
from livespot.contracts.settings import AuditSettings
from livespot.contracts.vocabulary import EventType, Stage
from livespot.evidence.manifest import Birthmarks
from livespot.gate.prompts import Prompt, load_prompt
from livespot.runtime.config import LoadedSettings
from livespot.runtime.disk import RealDisk
from livespot.runtime.paths import Paths, prompts_directory
from livespot.runtime.run_records import Birth
from livespot.store.connection import Database
from livespot.store.trail import JsonlTrail


def read_prompt() -> Prompt:
    """Read the installation's prompt files. Raises `PreflightFailed`."""
    folder = prompts_directory()
    try:
        return load_prompt(lambda name: RealDisk().read(folder / name))
    except OSError as error:
        raise PreflightFailed(f"the prompt files in {folder} cannot be read: {error}") from error


def birthmarks(
    birth: Birth, loaded: LoadedSettings, prompt: Prompt, account_label: str
) -> Birthmarks:
    """Return what the run's manifest states from the start."""
    return Birthmarks(
        run_id=birth.run_id,
        mode=birth.mode,
        started_at_ms=birth.at_ms,
        account_label=account_label,
        config_json=canonical_json(loaded.settings).decode(),
        config_hash=loaded.config_hash,
        prompt_hash=prompt.hash,
        previous_run=birth.last.run_id if birth.last is not None else "",
    )


async def open_audit(
    birth: Birth,
    paths: Paths,
    trail: JsonlTrail,
    *,
    clock: Clock,
    settings: AuditSettings,
    redactor: Redactor,
) -> AuditWriter:
    """Open a writer that continues the chain of the previous run; writes nothing yet."""
    return AuditWriter(
        run_id=birth.run_id,
        mode=birth.mode,
        store=await Database.open(paths.database, run_id=birth.run_id, redactor=redactor),
        trail=trail,
        clock=clock,
        settings=settings,
        redactor=redactor,
        prev_hash=birth.last.last_hash if birth.last is not None else "",
    )


def web_audit(writer: AuditWriter, clock: Clock) -> Callable[[str, str, int], bool]:
    """Return a function that records one panel request; it returns False when there is no room."""

    def audit_request(route: str, method: str, status_code: int) -> bool:
        return writer.offer_web(
            AuditEntry(
                draft=AuditDraft(
                    event_type=EventType.WEBUI_REQUEST,
                    stage=Stage.STATE_UPDATE,
                    ts_ms=clock.now_ms(),
                    data={"route": route, "method": method, "status": status_code},
                )
            )
        )

    return audit_request
