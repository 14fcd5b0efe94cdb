"""A migrated installation beside a running embedded exchange, for a doctor to examine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio

from livespot.contracts.secret import Secret
from livespot.exchange.service import serve_exchange
from livespot.exchange.settings import DEMO_KEY, DEMO_SECRET, ExchangeSettings
from livespot.rules.drills import DRILLS, DrillRecord, DrillRow
from livespot.runtime.clock import ClockAnchor, ScaledClock, SystemClock
from livespot.runtime.config import load_settings
from livespot.runtime.disk import RealDisk
from livespot.runtime.doctor import signer_of
from livespot.runtime.doctor_plan import DoctorPlan
from livespot.runtime.drill_record import running_program, store
from livespot.runtime.environment import Secrets
from livespot.runtime.paths import Paths
from livespot.store.migrate import migrate
from livespot.venue.http_client import HttpxTransport
from livespot.venue.sockets import WebsocketsTransport

# 2021-04-20T11:47 UTC, well inside the packaged candles.
START_MS = 1_618_919_220_000
_QUIET_PORT = "127.0.0.1:9"


def secrets_of(key: str = DEMO_KEY, secret: str = DEMO_SECRET, gate_key: str = "") -> Secrets:
    """The demo account's unless told otherwise."""
    return Secrets(
        binance_api_key=Secret(key),
        binance_api_secret=Secret(secret),
        openai_api_key=Secret(gate_key),
    )


def config_text(place: str, *, more: str = "") -> str:
    """A configuration whose exchange and gate are at `host:port`; the panel takes any port."""
    return (
        f'[venue]\nrest_url = "http://{place}"\nws_url = "ws://{place}"\n'
        f'ws_api_url = "ws://{place}/ws-api/v3"\n'
        f'[ai_gate]\nbase_url = "http://{place}/model/v1"\n{more}\n[panel]\nport = 0\n'
    )


def installation(var: Path) -> Paths:
    """A state directory with a current database."""
    paths = Paths(var=var)
    migrate(paths.database, backup_dir=paths.backups, now_ms=START_MS)
    return paths


def pass_drills(paths: Paths, *, version: str = "", config_hash: str = "") -> None:
    """As `livespot drill all` leaves a state directory when nothing failed."""
    program = running_program()
    rows = tuple(
        DrillRow(
            name=name,
            injected="",
            hits=1,
            modes=(),
            duplicates=0,
            lost_fills=0,
            max_unprotected_ms=0,
            passed=True,
        )
        for name in DRILLS
    )
    record = DrillRecord(
        version=version or program.version,
        commit=program.commit,
        config_hash=config_hash,
        at_ms=START_MS,
        took_ms=1,
        replaced=(),
        rows=rows,
    )
    store(RealDisk(), paths, record)


@asynccontextmanager
async def doctor_plan(
    var: Path, *, place: str = _QUIET_PORT, secrets: Secrets | None = None, more: str = ""
) -> AsyncIterator[DoctorPlan]:
    """An installation whose exchange is said to be at `place`; by default nobody listens there."""
    clock = ScaledClock(ClockAnchor(wall_ms=SystemClock().now_ms(), market_ms=START_MS, speed=1))
    async with _planned(var, clock, place, secrets, more) as plan:
        yield plan


@asynccontextmanager
async def doctor_at_exchange(
    var: Path,
    *,
    exchange: ExchangeSettings | None = None,
    secrets: Secrets | None = None,
    more: str = "",
) -> AsyncIterator[DoctorPlan]:
    """The same with an exchange that answers."""
    chosen = exchange or ExchangeSettings()
    if not chosen.symbols:
        chosen = replace(chosen, symbols=frozenset({"SOLUSDT"}))
    clock = ScaledClock(ClockAnchor(wall_ms=SystemClock().now_ms(), market_ms=START_MS, speed=1))
    async with anyio.create_task_group() as tasks:
        address = await tasks.start(serve_exchange, chosen, clock)
        place = f"{address.host}:{address.port}"
        async with _planned(var, clock, place, secrets, more) as plan:
            yield plan
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def _planned(
    var: Path, clock: ScaledClock, place: str, secrets: Secrets | None, more: str
) -> AsyncIterator[DoctorPlan]:
    chosen = secrets if secrets is not None else secrets_of()
    async with HttpxTransport(clock) as http:
        yield DoctorPlan(
            paths=installation(var),
            loaded=load_settings(config_text(place, more=more), path="test.toml"),
            secrets=chosen,
            signer=signer_of(chosen),
            clock=clock,
            http=http,
            sockets=WebsocketsTransport(clock),
            disk=RealDisk(),
        )
