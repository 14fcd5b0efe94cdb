"""Reads for the run tab: what ran, in which versions, under which configuration."""

import msgspec

from livespot.panel.codes import codes_of
from livespot.panel.database import PanelDatabase
from livespot.panel.limits import Limits, shown_config
from livespot.panel.system_queries import RunFacts
from livespot.panel.tabs import ManifestView, RunTab

_MANIFEST = """
SELECT config_hash, prompt_hash, platform, previous_run_id, end_reasons FROM runs WHERE run_id = ?
"""
_STARTED = """
SELECT data FROM audit_events
WHERE run_id = ? AND event_type = 'RUN_STARTED' AND json_type(data) = 'object'
ORDER BY id DESC LIMIT 1
"""
_SCHEMA = "SELECT max(number) FROM schema_migrations"
_NO_START = "the run's first event is not in the database"
_IN_MANIFEST = (
    "a replay records it in its manifest only, so that its events are the same everywhere"
)


class _Started(msgspec.Struct, frozen=True):
    python: str = ""
    sqlite: str = ""


async def run_tab(database: PanelDatabase, run: RunFacts, limits: Limits) -> RunTab:
    """Return the newest run's own record, with the configuration as of its beginning."""
    config_hash, prompt_hash, platform, previous, ends = (
        await database.first(_MANIFEST, (run.run_id,))
    ) or ("", "", "", "", "[]")
    row = await database.first(_STARTED, (run.run_id,))
    started = _Started() if row is None else msgspec.json.decode(row[0], type=_Started)
    schema = await database.first(_SCHEMA)
    unknown = {} if run.ended_ms else {"exit_code": "the run has not ended"}
    if not started.python:
        why = _NO_START if row is None else _IN_MANIFEST
        unknown |= {"python": why, "sqlite": why}
    manifest = ManifestView(
        run_id=run.run_id,
        mode=run.mode,
        version=run.version,
        python=started.python,
        sqlite=started.sqlite,
        platform=platform,
        account_label=run.account_label,
        strategy_id=limits.strategy.id,
        strategy_version=limits.strategy.version,
        strategy_file_sha256=limits.strategy.file_sha256,
        config_hash=config_hash,
        prompt_hash=prompt_hash,
        schema_version=None if schema is None else schema[0],
        previous_run_id=previous,
        started_ms=run.started_ms,
        ended_ms=run.ended_ms,
        exit_code=run.exit_code if run.ended_ms else None,
        end_reasons=codes_of(ends),
        unknown=unknown,
    )
    guessed = "the section is of another version; limits shown beside it are the defaults"
    return RunTab(
        manifest=manifest,
        config=shown_config(run.config_json),
        unknown=dict.fromkeys(limits.defaulted, guessed),
    )
