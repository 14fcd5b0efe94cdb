"""The gate `contracts`: stored and published data fit the code that runs."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from livespot.contracts.canonical import sha256_hex
from livespot.contracts.catalogue import CATALOGUE
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import SchemaMismatch
from livespot.contracts.schemas import published_schemas
from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import EventType, Stage
from livespot.evidence.gates.results import Looked, Subject, Verdict, Why, needs_data
from livespot.panel.dashboard import dashboard_schema
from livespot.store.migrate import status
from livespot.store.reader import Reader
from livespot.store.schema import require_current

GATE = "contracts"
_DASHBOARD = "dashboard.schema.json"
_REASONS = """
SELECT DISTINCT code.value FROM audit_events e, json_each(e.reasons) AS code
"""
_NAMES = "SELECT DISTINCT event_type, stage FROM audit_events"
_CONFIGS = "SELECT run_id, config_json, config_hash FROM runs ORDER BY rowid"


async def contracts(subject: Subject) -> Verdict:
    """Check published schemas, reason codes, migrations, stored enumeration values and settings."""
    if not subject.facts.runs:
        return needs_data(GATE, Why.NO_RUN, "no run is recorded", "livespot sim --for 3m")
    looked = Looked(gate=GATE)
    for name in _stale_schemas(looked, subject.schemas):
        looked.met(Why.SCHEMA_DIFFERS, f"{name} is not the schema of this code")
    looked.looked_at += len(ReasonCode)
    for code in sorted(set(ReasonCode) ^ set(CATALOGUE)):
        looked.met(Why.CATALOGUE_DIFFERS, f"{code} is not both a code and an entry")
    try:
        require_current(status(subject.database))
    except SchemaMismatch as error:
        looked.met(Why.MIGRATION_DIFFERS, str(error))
    await _words(looked, subject.reader)
    await _settings(looked, subject.reader)
    return looked.verdict(
        good="",
        bad="run this with the version of livespot that wrote the run (livespot status names it)",
    )


def _stale_schemas(looked: Looked, folder: Path) -> Iterator[str]:
    for name, text in {**published_schemas(), _DASHBOARD: dashboard_schema()}.items():
        looked.looked_at += 1
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            yield name


async def _words(looked: Looked, reader: Reader) -> None:
    """Every stored value of an enumeration is one that the code knows."""
    codes = {str(row[0]) for row in await reader.rows(_REASONS)}
    names = await reader.rows(_NAMES)
    looked.looked_at += len(codes) + len(names)
    strange = sorted(codes - {code.value for code in ReasonCode})
    strange += sorted({str(row[0]) for row in names} - {item.value for item in EventType})
    strange += sorted({str(row[1]) for row in names} - {item.value for item in Stage})
    for word in strange:
        looked.met(Why.CATALOGUE_DIFFERS, f"the audit holds {word!r}, which no catalogue knows")


async def _settings(looked: Looked, reader: Reader) -> None:
    """Stored settings have their stored hash, and the code knows every key of them."""
    for run_id, stored, digest in await reader.rows(_CONFIGS):
        looked.looked_at += 1
        if sha256_hex(str(stored).encode()) != digest:
            looked.met(Why.CONFIG_CHANGED, f"the settings of {run_id} are not those of its hash")
        try:
            msgspec.json.decode(stored, type=Settings)
        except (msgspec.MsgspecError, ValueError) as error:
            looked.met(Why.CONFIG_CHANGED, f"the settings of {run_id} cannot be read: {error}")
