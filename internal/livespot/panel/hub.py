"""One snapshot for all viewers: built once per interval, and handed out as encoded bytes."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
import msgspec
import structlog

from livespot.contracts.ports import Clock
from livespot.contracts.settings import PanelSettings
from livespot.contracts.vocabulary import SysMode
from livespot.panel.dashboard import AlertView, Dashboard
from livespot.panel.database import PanelDatabase, PanelUnreadable
from livespot.panel.snapshot import Vantage, read_dashboard
from livespot.panel.survival_queries import SurvivalCount

_log = structlog.get_logger(__name__)
_SHORTEST_WALL_MS = 250
_STALE_WALL_MS = 10_000
_ALERTS_KEPT = 64
_HEALTHY = (SysMode.NORMAL, SysMode.DEGRADE)


@dataclass(frozen=True, slots=True)
class Frame:
    """One snapshot as JSON, with its number."""

    number: int
    body: bytes
    event: bytes
    dashboard: Dashboard


class HealthBody(msgspec.Struct, frozen=True):
    """The body of `/healthz`."""

    sysmode: str
    since_ms: int
    now_ms: int
    healthy: bool
    reasons: tuple[str, ...]
    note: str = ""


@dataclass(slots=True, kw_only=True)
class Hub:
    """Keeps the newest frame and wakes viewers; viewers never cause work here.

    `clock` is market time, which the snapshot shows; `wall` limits how often one is built.
    `mode_now` returns the mode in force, which may be stricter than the last durable one.
    """

    clock: Clock
    wall: Clock
    settings: PanelSettings
    mode_now: Callable[[], SysMode] | None = None
    place: Callable[[Dashboard], Dashboard] = lambda dashboard: dashboard
    frame: Frame | None = None
    closing: bool = False
    builds: int = 0
    failures: int = 0
    _built_at: int = 0
    _survival: SurvivalCount = field(init=False)
    _alerts: deque[tuple[int, bytes]] = field(default_factory=lambda: deque(maxlen=_ALERTS_KEPT))
    _next: anyio.Event = field(default_factory=anyio.Event)

    def __post_init__(self) -> None:
        self._survival = SurvivalCount(self.wall)

    async def run(self, database: PanelDatabase) -> None:
        """Build snapshots for ever."""
        interval_ms = self.settings.stream_snapshot_interval_ms
        while True:
            begun = self.wall.monotonic_ms()
            await self.build(database)
            await self.clock.sleep(interval_ms / 1000)
            rest_ms = _SHORTEST_WALL_MS - (self.wall.monotonic_ms() - begun)
            if rest_ms > 0:
                await self.wall.sleep(rest_ms / 1000)

    async def build(self, database: PanelDatabase) -> None:
        """Read and publish one snapshot; when the database cannot be read, the old one stays."""
        now_ms = self.clock.now_ms()
        vantage = Vantage(
            now_ms=now_ms,
            refresh_ms=max(self.settings.stream_snapshot_interval_ms, _SHORTEST_WALL_MS),
            settings=self.settings,
            survival=await self._survival.lately(database, now_ms),
        )
        try:
            dashboard = self.place(await read_dashboard(database, vantage))
        except PanelUnreadable as error:
            self.failures += 1
            _log.warning("panel_snapshot_failed", error=str(error), failures=self.failures)
            return
        self._publish(dashboard)

    def _publish(self, dashboard: Dashboard) -> None:
        before = self.frame
        number = before.number + 1 if before else 1
        if before is not None:
            newest = max((alert.id for alert in before.dashboard.alerts.latest), default=0)
            self._note_alerts(number, dashboard, newest)
        body = msgspec.json.encode(dashboard)
        self.frame = Frame(number, body, server_event("snapshot", body, number), dashboard)
        self.builds += 1
        self._built_at = self.wall.monotonic_ms()
        self.wake()

    def _note_alerts(self, number: int, dashboard: Dashboard, newest: int) -> None:
        for alert in reversed(dashboard.alerts.latest):
            if alert.id > newest:
                self._alerts.append((number, server_event("alert", _encoded(alert), number)))

    def wake(self) -> None:
        event, self._next = self._next, anyio.Event()
        event.set()

    def close(self) -> None:
        """End every stream."""
        self.closing = True
        self.wake()

    async def changed(self, seen: int, ping_seconds: float) -> Frame | None:
        """Return a frame newer than `seen`, waiting at most once; None on a ping or at the end."""
        if (self.frame is None or self.frame.number <= seen) and not self.closing:
            with self.wall.move_on_after(ping_seconds):
                await self._next.wait()
        newer = self.frame is not None and self.frame.number > seen
        return self.frame if newer and not self.closing else None

    def alerts_after(self, seen: int) -> list[bytes]:
        return [event for number, event in self._alerts if number > seen]

    def healthz(self) -> tuple[int, bytes]:
        """Return status and body: 200 only while a fresh snapshot says NORMAL or DEGRADE."""
        if self.frame is None:
            return 503, msgspec.json.encode(_no_health("no snapshot has been built yet"))
        dashboard = self.frame.dashboard
        if dashboard.process.state == "NEVER_RAN":
            return 503, msgspec.json.encode(_no_health("no run is recorded"))
        mode = self.mode_now() if self.mode_now is not None else dashboard.header.sysmode
        age_ms = self.wall.monotonic_ms() - self._built_at
        fresh = age_ms <= max(_STALE_WALL_MS, 3 * self.settings.stream_snapshot_interval_ms)
        healthy = fresh and mode in _HEALTHY and dashboard.process.state == "RUNNING"
        body = HealthBody(
            sysmode=str(mode),
            since_ms=dashboard.header.since_ms,
            now_ms=dashboard.now_ms,
            healthy=healthy,
            reasons=tuple(reason.code for reason in dashboard.header.reasons),
            note="" if fresh else f"the newest snapshot is {age_ms} ms old",
        )
        return (200 if healthy else 503), msgspec.json.encode(body)


def server_event(name: str, body: bytes, number: int) -> bytes:
    """Encode one server-sent event; JSON bodies contain no line breaks."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, name.encode(), body)


def _encoded(alert: AlertView) -> bytes:
    return msgspec.json.encode(alert)


def _no_health(note: str) -> HealthBody:
    return HealthBody(sysmode="", since_ms=0, now_ms=0, healthy=False, reasons=(), note=note)
