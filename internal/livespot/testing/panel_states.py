"""The states that the panel's page is designed for, each as a database to show.

They derive from three minutes that the whole runtime lived through in virtual time: it decided,
bought, protected and reconciled, and the rows are its own. What the hours before would have left is
added: recorded minutes and closed trades. A state then adds only what its trouble would write.
"""

import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from itertools import chain
from pathlib import Path

import anyio
import msgspec

from livespot.contracts.audit import AuditDraft
from livespot.contracts.chain import Place, SealedEvent, seal
from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import Candle
from livespot.contracts.records import (
    AlertRow,
    CandleRow,
    HealthSample,
    IntentCreated,
    IntentMoved,
    ManualExposureRow,
    PositionRow,
    Record,
    SysModeRow,
)
from livespot.contracts.redaction import Redactor
from livespot.contracts.settings import PanelSettings
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import (
    EventType,
    IntentState,
    Interval,
    Mode,
    PositionPhase,
    Severity,
    Side,
    Stage,
    SysMode,
)
from livespot.evidence.panel_traces import DatabaseTraces
from livespot.exchange.settings import ExchangeSettings
from livespot.panel.server import PanelServer
from livespot.runtime.clock import ClockAnchor, ScaledClock, SystemClock
from livespot.runtime.config import load_settings
from livespot.runtime.paths import Paths
from livespot.runtime.placed import placed_fold
from livespot.runtime.replay_run import ReplayOrder, run_virtual
from livespot.store.connection import Database
from livespot.testing import ledger_rows as rows
from livespot.testing.market_values import recorded_minutes

_START_MS = int(datetime(2021, 4, 22, 0, 3, tzinfo=UTC).timestamp() * 1000)
_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_SYMBOLS = frozenset({"SOLUSDT", "MATICUSDT", "ETHUSDT", "BNBUSDT"})
HELD = "SOLUSDT"
_SAMPLE = "SELECT sample_json FROM health_samples ORDER BY id DESC LIMIT 1"
_BOUGHT = "SELECT decision_id FROM positions WHERE decision_id <> ''"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A database and the market time at which it is looked at."""

    database: Path
    now_ms: int

    @property
    def run_id(self) -> str:
        with closing(sqlite3.connect(self.database)) as connection:
            return str(connection.execute("SELECT run_id FROM runs").fetchone()[0])

    @property
    def decision_id(self) -> str:
        """The decision that was bought."""
        with closing(sqlite3.connect(self.database)) as connection:
            return str(connection.execute(_BOUGHT).fetchone()[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One active reason of a mode, as the governor stores it, `ago_ms` old."""

    code: ReasonCode
    level: str
    source: str
    ago_ms: int
    value: int
    threshold: int
    unit: str
    detail: str
    count: int = 1


def lived(directory: Path, *, minutes: int = 3) -> Scene:
    """NORMAL with one protected position: the database of a run in the middle of its life."""
    database = directory / "lived.sqlite"
    order = ReplayOrder(
        paths=Paths(var=directory / "var"),
        loaded=load_settings(None, path="defaults"),
        start_ms=_START_MS,
        span_ms=(minutes + 1) * _MINUTE_MS,
        seed=7,
        exchange=ExchangeSettings(symbols=_SYMBOLS),
        watch=lambda over_ms: not _kept(over_ms >= minutes * _MINUTE_MS, source, database),
    )
    source = Paths(var=directory / "var").database
    run_virtual(order)
    with closing(sqlite3.connect(database)) as connection:
        # It is looked at as the simulation it was, at the pace of a person.
        connection.execute("UPDATE runs SET mode = 'SIM', account_label = 'simulation'")
        connection.commit()
    scene = Scene(database=database, now_ms=_last_ms(database))
    anyio.run(write, scene, *chain(_hours_before(scene), _measured(scene)))
    return scene


def _hours_before(scene: Scene) -> Iterator[Record]:
    """Recorded minutes of two hours, and six trades that were closed in them."""
    for symbol in sorted(_SYMBOLS):
        for minute in recorded_minutes(symbol):
            if scene.now_ms - 120 * _MINUTE_MS <= minute.open_time_ms < _START_MS:
                yield CandleRow(symbol=symbol, interval=Interval.M1, candle=minute)
    results = ("2.1840", "-1.0310", "3.2251", "-2.4408", "-1.3102", "4.0719")
    for number, result in enumerate(results):
        closed_ms = _START_MS - (len(results) - number) * 17 * _MINUTE_MS
        opened = rows.position(f"pos_before_{number}").position
        yield PositionRow(
            position=msgspec.structs.replace(
                opened,
                symbol=HELD,
                decision_id="",
                phase=PositionPhase.FLAT,
                qty=Decimal(0),
                realised_quote=Decimal(result),
                opened_at_ms=closed_ms - 9 * _MINUTE_MS,
                closed_at_ms=closed_ms,
                updated_at_ms=closed_ms,
            )
        )


def _measured(scene: Scene) -> Iterator[Record]:
    """Samples of a process on a machine; virtual time has neither memory nor a disk to measure."""
    with closing(sqlite3.connect(scene.database)) as connection:
        newest = connection.execute(_SAMPLE).fetchone()[0]
    for number in range(60):
        wave = (number * 37) % 11
        figures = msgspec.json.decode(newest) | {
            "disk_free_bytes": 83_098_382_080 - number * 6_000_000,
            "db_bytes": 6_000_000 + number * 140_000,
            "wal_bytes": 400_000 + wave * 180_000,
            "rss_bytes": 84_000_000 + number * 40_000 + wave * 90_000,
            "cpu_percent_x100": 700 + wave * 110,
            "stream_age_ms": 30 + wave * 9,
            "rest_age_ms": 400 + wave * 300,
        }
        yield HealthSample(
            at_ms=scene.now_ms - (59 - number) * 5000,
            sample_json=msgspec.json.encode(figures).decode(),
        )


def _kept(due: bool, source: Path, database: Path) -> bool:  # noqa: FBT001
    """Copy the database as it is now, while its run lives."""
    if due:
        _copy(source, database)
    return due


def _copy(source: Path, database: Path) -> None:
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(database)) as new:
        old.backup(new)


def _last_ms(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute("SELECT max(ts_ms) FROM audit_events").fetchone()[0])


def copied(scene: Scene, directory: Path) -> Scene:
    """The same scene in a file of its own, so that a test may write into it."""
    database = directory / "scene.sqlite"
    _copy(scene.database, database)
    return Scene(database=database, now_ms=scene.now_ms)


def first_boot(directory: Path) -> Scene:
    """A migrated database in which nothing has ever run."""
    return Scene(database=rows.fresh(directory), now_ms=_START_MS)


async def degraded(scene: Scene) -> Scene:
    """DEGRADE with three reasons, and one order whose outcome nobody knows yet."""
    troubles = (
        Trouble(
            code=ReasonCode.REST_STALE_DEGRADE,
            level="DEGRADE",
            source="rest",
            ago_ms=42_000,
            value=41_870,
            threshold=10_000,
            unit="ms",
            detail="no REST answer for 41.9 s",
            count=3,
        ),
        Trouble(
            code=ReasonCode.DISK_LOW_DEGRADE,
            level="DEGRADE",
            source="disk",
            ago_ms=31_000,
            value=1_870,
            threshold=2_048,
            unit="MiB",
            detail="1870 MiB are free on the volume of the audit database",
        ),
        Trouble(
            code=ReasonCode.DB_WRITER_BACKPRESSURE,
            level="DEGRADE",
            source="writer",
            ago_ms=12_000,
            value=2_310,
            threshold=1_000,
            unit="ms",
            detail="the oldest waiting row is 2310 ms old",
        ),
    )
    await write(
        scene,
        _mode(scene, SysMode.DEGRADE, SysMode.NORMAL, troubles),
        _alert(scene, Severity.WARN, troubles[0].code, troubles[0].detail, 42_000),
        _alert(scene, Severity.WARN, troubles[1].code, troubles[1].detail, 31_000),
        _alert(scene, Severity.WARN, troubles[2].code, troubles[2].detail, 12_000),
        *_unanswered(scene),
    )
    return scene


async def unprotected(scene: Scene) -> Scene:
    """PAUSE because a position has had no live stop for too long."""
    since = 38_000
    with closing(sqlite3.connect(scene.database)) as connection:
        connection.execute(
            "UPDATE positions SET phase = 'UNPROTECTED', protected_qty = '0.00', "
            "protection_list_id = -1, unprotected_since_ms = ? WHERE symbol = ? "
            "AND closed_at_ms = 0",
            (scene.now_ms - since, HELD),
        )
        connection.execute("UPDATE orders SET status = 'CANCELED' WHERE side = 'SELL'")
        connection.commit()
    bare = f"{HELD} has had no live stop for 30 s; three ways of protecting it failed"
    await write(
        scene,
        _mode(
            scene,
            SysMode.PAUSE,
            SysMode.NORMAL,
            (
                Trouble(
                    code=ReasonCode.PAUSE_NEEDS_MANUAL_PROTECTION,
                    level="PAUSE",
                    source=HELD,
                    ago_ms=8_000,
                    value=30_000,
                    threshold=30_000,
                    unit="ms",
                    detail=bare,
                ),
            ),
        ),
        _alert(
            scene,
            Severity.WARN,
            ReasonCode.PROTECTION_INSTALL_FAILED,
            "the list of stop and target was refused: -2010",
            37_000,
        ),
        _alert(scene, Severity.CRIT, ReasonCode.PAUSE_NEEDS_MANUAL_PROTECTION, bare, 8_000),
    )
    return scene


async def with_own(scene: Scene) -> Scene:
    """The operator holds something by hand, in a symbol of the run and in another."""
    for number, symbol in enumerate(("MATICUSDT", "XRPUSDT")):
        exposure = ManualExposureRow(
            exposure_id=f"exp_{number}",
            symbol=symbol,
            side=Side.BUY,
            qty=Decimal("250.50"),
            note="bought on the telephone",
            opened_at_ms=scene.now_ms - 3 * _HOUR_MS,
        )
        await write(scene, exposure)
    return scene


def watched(directory: Path) -> Scene:
    """A run without an account: it has decided, nothing was sent, and its mode says so."""
    scene = lived(directory, minutes=1)
    with closing(sqlite3.connect(scene.database)) as connection:
        connection.execute("UPDATE runs SET mode = 'SHADOW', account_label = ''")
        connection.commit()
    return scene


async def trailed(scene: Scene) -> Scene:
    """Five minutes on: a part was sold, and the exchange trails the stop of the rest."""
    later = Scene(database=scene.database, now_ms=scene.now_ms + 5 * _MINUTE_MS)
    first_ms = scene.now_ms // _MINUTE_MS * _MINUTE_MS
    closes = ("32.70", "32.95", "33.30", "33.10", "33.40")
    sold = rows.fill(990_001)
    for number, close in enumerate(closes):
        price = Decimal(close)
        minute = Candle(
            open_time_ms=first_ms + number * _MINUTE_MS,
            open=price,
            high=price + Decimal("0.08"),
            low=price - Decimal("0.10"),
            close=price,
            volume=Decimal(900),
        )
        await write(later, CandleRow(symbol=HELD, interval=Interval.M1, candle=minute))
    fill = msgspec.structs.replace(
        sold.fill,
        symbol=HELD,
        side=Side.SELL,
        price=Decimal("33.20"),
        exchange_time_ms=first_ms + 4 * _MINUTE_MS,
    )
    await write(later, msgspec.structs.replace(sold, fill=fill, decision_id=scene.decision_id))
    await write(later, _stop(later, "31.9849", trailing=0, at_ms=scene.now_ms))
    at_ms = first_ms + 2 * _MINUTE_MS
    await write(later, _stop(later, "32.2000", trailing=60, at_ms=at_ms))
    return later


def _stop(scene: Scene, price: str, *, trailing: int, at_ms: int) -> SealedEvent:
    """The next event of the run's chain: a stop asked for, with a profit that may trail."""
    with closing(sqlite3.connect(scene.database)) as connection:
        seq, prev = connection.execute(
            "SELECT seq, hash FROM audit_events ORDER BY seq DESC LIMIT 1"
        ).fetchone()
    draft = AuditDraft(
        event_type=EventType.PROTECTION_CHANGED,
        stage=Stage.POSITION_MANAGE,
        ts_ms=at_ms,
        symbol=HELD,
    )
    wanted = {"sl_price": price, "tp_price": "33.0000", "trailing_delta": trailing}
    data = {"phase": "TRAILING", "wanted": [wanted]}
    place = Place(run_id=scene.run_id, mode=Mode.SIM, seq=seq + 1, ts_ms=at_ms, prev_hash=prev)
    return seal(draft, msgspec.json.encode(data), place)


async def hostile(scene: Scene, text: str) -> Scene:
    """The same text wherever words of others could reach the page."""
    trouble = Trouble(
        code=ReasonCode.REST_STALE_DEGRADE,
        level="DEGRADE",
        source=text,
        ago_ms=5000,
        value=1,
        threshold=1,
        unit=text,
        detail=text,
    )
    created, moved = _unanswered(scene)
    strange = msgspec.structs.replace(created.intent, symbol=text)
    await write(
        scene,
        _mode(scene, SysMode.DEGRADE, SysMode.NORMAL, (trouble,)),
        _alert(scene, Severity.CRIT, ReasonCode.ENTER_PAUSE, text, 1000, symbol=text),
        msgspec.structs.replace(created, intent=strange),
        msgspec.structs.replace(moved, last_error_code=text),
    )
    with closing(sqlite3.connect(scene.database)) as connection:
        connection.execute("UPDATE cycle_selections SET symbol = ? WHERE rank = 2", (text,))
        connection.execute("UPDATE decisions SET symbol = ? WHERE symbol = 'ETHUSDT'", (text,))
        connection.execute(
            "UPDATE ai_gate_events SET verdict = 'ERROR', model = ?, error_code = ?, "
            "error_detail_redacted = ?, patch_redacted = ?",
            (text,) * 4,
        )
        connection.commit()
    return scene


async def write(scene: Scene, *records: Record | SealedEvent) -> None:
    """Put rows into a scene's database, in one transaction."""
    database = await Database.open(scene.database, run_id=scene.run_id, redactor=Redactor())
    try:
        await database.transaction(list(records))
    finally:
        await database.close()


def _mode(
    scene: Scene, mode: SysMode, previous: SysMode, troubles: Sequence[Trouble]
) -> SysModeRow:
    active = [
        {
            "code": trouble.code,
            "kind": trouble.code,
            "level": trouble.level,
            "source": trouble.source,
            "since_ms": scene.now_ms - trouble.ago_ms,
            "value": trouble.value,
            "threshold": trouble.threshold,
            "unit": trouble.unit,
            "detail": trouble.detail,
            "count": trouble.count,
        }
        for trouble in troubles
    ]
    return SysModeRow(
        run_id=scene.run_id,
        mode=mode,
        previous=previous,
        reasons=tuple(trouble.code for trouble in troubles),
        active_json=msgspec.json.encode(active).decode(),
        at_ms=scene.now_ms - max(trouble.ago_ms for trouble in troubles),
    )


def _alert(
    scene: Scene, severity: Severity, code: ReasonCode, text: str, ago_ms: int, symbol: str = ""
) -> AlertRow:
    return AlertRow(
        alert=Alert(
            severity=severity,
            code=code,
            reasons=(),
            text=text,
            symbol=symbol,
            at_ms=scene.now_ms - ago_ms,
        )
    )


def _unanswered(scene: Scene) -> tuple[IntentCreated, IntentMoved]:
    """A second entry that was sent and never answered."""
    at_ms = scene.now_ms - 44_000
    created = rows.created("unanswered")
    intent = msgspec.structs.replace(
        created.intent, symbol="MATICUSDT", created_at_ms=at_ms, updated_at_ms=at_ms
    )
    moved = msgspec.structs.replace(
        rows.moved(IntentState.CREATED, IntentState.SENT_UNKNOWN, "unanswered"),
        sent_at_ms=at_ms,
        at_ms=at_ms + 3,
        last_error_code="TIMEOUT",
    )
    return msgspec.structs.replace(created, intent=intent), moved


@asynccontextmanager
async def served(
    scene: Scene, *, port: int = 0, interval_ms: int = 1000, token: str = ""
) -> AsyncIterator[str]:
    """A panel before the scene, whose market clock runs on from there; gives the page's address."""
    addresses: list[str] = []
    wall = SystemClock()
    anchor = ClockAnchor(wall_ms=wall.now_ms(), market_ms=scene.now_ms, speed=1)
    server = PanelServer(
        database=scene.database,
        settings=PanelSettings(port=port, stream_snapshot_interval_ms=interval_ms),
        clock=ScaledClock(anchor),
        wall=wall,
        audit_request=lambda *_: True,
        listening=addresses.append,
        traces=DatabaseTraces(),
        place=partial(placed_fold, paths=Paths(var=scene.database.parents[1])),
        token=token,
    )
    async with anyio.create_task_group() as tasks:
        await tasks.start(server.run)
        yield addresses[0]
        tasks.cancel_scope.cancel()
