"""Measures the runtime itself and turns bad readings into signals.

Reads: heartbeats, stream and REST ages, the writer's lanes, mailboxes, disk and process figures.
Writes: `HealthSignal`s to the governor (only when their level changes); a sample every few seconds.
Owns: nothing but the levels it last reported. While the governor is stuck it closes the send gate
and announces that itself.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Protocol

import anyio
from anyio.abc import TaskStatus

from livespot.actors.mail import GovernorInbox
from livespot.actors.rest_probe import RestProbe
from livespot.contracts.audit import AuditDraft, AuditEntry, AuditPort
from livespot.contracts.canonical import canonical_json
from livespot.contracts.codes import ReasonCode
from livespot.contracts.ports import Clock
from livespot.contracts.records import HealthSample
from livespot.contracts.settings import Settings
from livespot.contracts.system import Alert, HealthSignal
from livespot.contracts.venue import MarketReader, OrderCounts, ServerClock
from livespot.contracts.vocabulary import EventType, Severity, SignalKind, SignalLevel, Stage
from livespot.rules.ages import Limits, Sustained, graded, graded_low, time_left
from livespot.runtime.mailboxes import Mailbox, MailboxStats
from livespot.runtime.unprotected import Unprotected

_TICK_MS = 250
# The longest tick while all is clear; what time alone can change is then known in advance.
_CALM_TICK_MS = 500
_DEPTH_SUSTAINED_MS = 2000
_SILENT_PERCENT = 30
_REST = "rest"
_FILES_DEGRADE_PERCENT = 70
_FILES_PAUSE_PERCENT = 90
_NEVER = sys.maxsize
WATCHDOG = "watchdog"
# The actors without which a position gets no stop.
_PROTECTING = ("execution", "position")
# The same few limits are built at every tick.
_limits = lru_cache(maxsize=64)(Limits)


class StreamAge(Protocol):
    """How long ago the market feed consumed a frame; None before the first subscription answer."""

    def age_ms(self, now_ms: int) -> int | None: ...

    @property
    def silent_percent(self) -> int:
        """The share of streamed symbols, in percent, without a book for ten seconds."""
        ...


class RestAge(Protocol):
    """The age of the last confirming REST read, and how often such a read is due now, in ms."""

    def age_ms(self, now_ms: int) -> int | None: ...

    @property
    def interval_ms(self) -> int: ...


class WriterStats(Protocol):
    """The audit writer's lanes, in events, milliseconds and counts."""

    @property
    def depth(self) -> int: ...

    @property
    def capacity(self) -> int: ...

    @property
    def oldest_age_ms(self) -> int: ...

    @property
    def lag_ms(self) -> int: ...

    @property
    def commits(self) -> int: ...

    @property
    def failed_writes(self) -> int: ...

    @property
    def failed(self) -> bool: ...

    @property
    def trail_behind(self) -> bool: ...


class Measured(Protocol):
    """Anything with mailbox statistics."""

    def stats(self) -> MailboxStats: ...


class HostFigures(Protocol):
    """The process and its disk, as the operating system counts them."""

    def free_bytes(self) -> int: ...

    def open_files_percent(self) -> int:
        """The share of the process's file descriptor limit that is in use, in percent."""
        ...

    def rss_bytes(self) -> int: ...

    def cpu_percent_x100(self) -> int: ...

    def database_bytes(self) -> tuple[int, int]:
        """Size of the database file and of its write-ahead log."""
        ...


@dataclass(slots=True)
class _Watch:
    """The levels reported last, and what is carried from one measurement to the next."""

    probe: RestProbe
    reported: dict[tuple[SignalKind, str], SignalLevel] = field(default_factory=dict)
    deep: Sustained = field(default_factory=Sustained)
    next_sample_ms: int = 0
    clear: bool = False
    known_names: set[str] = field(default_factory=set)

    def has_unreported(self, overdue: Mapping[str, int], rest_ms: int | None) -> bool:
        """Whether there is a source that has never been reported."""
        known = self.reported
        if rest_ms is not None and (SignalKind.REST_STALE, _REST) not in known:
            return True
        if overdue.keys() <= self.known_names:
            return False
        self.known_names = {name for kind, name in known if kind is SignalKind.LOOP_STUCK}
        return not overdue.keys() <= self.known_names


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    settings: Settings
    clock: Clock
    audit: AuditPort
    governor: Mailbox[GovernorInbox]
    mailboxes: Sequence[Measured]
    overdue_ms: Callable[[], dict[str, int]]
    loop_worst_ms: Callable[[], int]
    writer_stats: Callable[[], WriterStats]
    stream_age: StreamAge
    rest_age: RestAge
    probe: MarketReader
    server_clock: ServerClock
    counts: OrderCounts
    host: HostFigures
    beat: Callable[[], None]
    close_entries: Callable[[], None]
    announce: Callable[[Alert], None]
    unprotected: Unprotected = field(default_factory=Unprotected)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Measure until cancelled."""
        async with anyio.create_task_group() as tasks:
            probe = RestProbe(clock=self.clock, reads=self.probe, tasks=tasks)
            task_status.started()
            await self._watch(_Watch(probe=probe))

    async def _watch(self, watch: _Watch) -> None:
        while True:
            self.beat()
            stalled_ms = self.loop_worst_ms()
            calm_ms = self._calm_ms(watch, stalled_ms) if watch.clear else 0
            left_ms = watch.next_sample_ms - self.clock.monotonic_ms()
            if not calm_ms or left_ms <= 0:
                await self._measure(watch, stalled_ms)
            calm_ms = min(calm_ms, max(left_ms, 0)) or _TICK_MS
            await self.clock.sleep(min(calm_ms, _CALM_TICK_MS) / 1000)

    async def _measure(self, watch: _Watch, stalled_ms: int) -> None:
        """Measure everything and report the levels that have changed."""
        reported = watch.reported
        signals = [
            *self._stuck(reported, stalled_ms),
            *self._rest(),
            self._stream(watch.probe),
            self._silence(),
        ]
        writer, watch.deep = self._writer(watch.deep)
        signals.extend(writer)
        now = self.clock.monotonic_ms()
        if now >= watch.next_sample_ms:
            watch.next_sample_ms = now + self.settings.health.disk_health_sample_interval_ms
            signals.extend(await self._sample())
        for signal in signals:
            key = (signal.kind, signal.source)
            # The first level is always reported: after a restart the governor may still hold a
            # demand of the previous life.
            if reported.get(key) is not signal.level:
                reported[key] = signal.level
                await self.governor.send(signal)
        watch.clear = all(level is SignalLevel.CLEAR for level in reported.values())

    def _calm_ms(self, watch: _Watch, stalled_ms: int) -> int:
        """How long, at most, time alone cannot raise any signal; only called while all are CLEAR.

        0 where a measurement would report something, or is needed to go on counting.
        """
        health, audit = self.settings.health, self.settings.audit
        now = self.clock.monotonic_ms()
        stats = self.writer_stats()
        overdue = self.overdue_ms()
        full = 100 * stats.depth // max(1, stats.capacity) >= audit.writer_queue_hi_watermark_pct
        full = full or watch.deep.since_ms is not None
        failing = stats.failed or stats.trail_behind
        silent = self.stream_age.silent_percent > _SILENT_PERCENT
        rest = self.rest_age.age_ms(now)
        if full or silent or failing or watch.has_unreported(overdue, rest):
            return 0
        slowest = max((age for name, age in overdue.items() if name != "loop"), default=0)
        slack = 3 * self.rest_age.interval_ms
        return time_left(
            (max(slowest, stalled_ms), health.loop_stuck_ms_degrade),
            (self.stream_age.age_ms(now) or 0, health.ws_stale_ms_degrade),
            (rest or 0, max(health.rest_stale_ms_degrade, slack)),
            (stats.oldest_age_ms, audit.writer_max_lag_ms),
        )

    def _stuck(
        self, reported: Mapping[tuple[SignalKind, str], SignalLevel], stalled_ms: int
    ) -> list[HealthSignal]:
        """Signals for actors whose heart is late, that recovered, or that were never reported."""
        health = self.settings.health
        limits = _limits(
            kind=SignalKind.LOOP_STUCK,
            degrade_at=health.loop_stuck_ms_degrade,
            pause_at=health.loop_stuck_ms_pause,
            degrade_code=ReasonCode.LOOP_STUCK_DEGRADE,
            pause_code=ReasonCode.LOOP_STUCK_PAUSE,
            unit="ms",
        )
        overdue = {**self.overdue_ms(), "loop": stalled_ms}
        self._ungoverned(overdue.get("governor", 0), limits, reported)
        # A position may be bare: do not wait for as long as for a mere delay.
        urgent = replace(limits, pause_at=limits.degrade_at) if self.unprotected else limits
        by_name = dict.fromkeys(_PROTECTING, urgent)
        # This code runs, so the loop does; without its watchdog only DEGRADE is due.
        by_name[WATCHDOG] = replace(limits, pause_at=_NEVER)
        now = self.clock.now_ms()
        return [
            graded(by_name.get(name, limits), age, source=name, at_ms=now)
            for name, age in overdue.items()
            if age >= limits.degrade_at
            or reported.get((SignalKind.LOOP_STUCK, name)) is not SignalLevel.CLEAR
        ]

    def _ungoverned(
        self, age: int, limits: Limits, reported: Mapping[tuple[SignalKind, str], SignalLevel]
    ) -> None:
        """While the governor is stuck: close the gate for entries and alert the operator directly.

        The audit and the mode follow once the governor answers again.
        """
        if age < limits.degrade_at:
            return
        self.close_entries()
        stuck = graded(limits, age, source="governor", at_ms=self.clock.now_ms())
        if reported.get((stuck.kind, stuck.source)) is not stuck.level:
            self.announce(
                Alert(
                    severity=Severity.CRIT,
                    code=stuck.reason,
                    reasons=(),
                    text=f"the governor has not answered for {age} ms; entries are closed, "
                    "the mode follows when it does",
                    at_ms=stuck.at_ms,
                )
            )

    def _rest(self) -> list[HealthSignal]:
        health = self.settings.health
        age = self.rest_age.age_ms(self.clock.monotonic_ms())
        if age is None:
            return []
        slack = 3 * self.rest_age.interval_ms
        limits = _limits(
            kind=SignalKind.REST_STALE,
            degrade_at=max(health.rest_stale_ms_degrade, slack),
            pause_at=max(health.rest_stale_ms_pause, slack),
            degrade_code=ReasonCode.REST_STALE_DEGRADE,
            pause_code=ReasonCode.REST_STALE_PAUSE,
            unit="ms",
        )
        return [graded(limits, age, source=_REST, at_ms=self.clock.now_ms())]

    def _silence(self) -> HealthSignal:
        """One silent symbol loses its own eligibility; many at once are a fault of the stream."""
        silent = self.stream_age.silent_percent
        degraded = silent > _SILENT_PERCENT
        return HealthSignal(
            kind=SignalKind.WS_STALE,
            level=SignalLevel.DEGRADE if degraded else SignalLevel.CLEAR,
            reason=ReasonCode.WS_STALE_DEGRADE,
            source="silent symbols",
            value=silent,
            threshold=_SILENT_PERCENT,
            unit="%",
            at_ms=self.clock.now_ms(),
        )

    def _stream(self, probe: RestProbe) -> HealthSignal:
        health = self.settings.health
        age = self.stream_age.age_ms(self.clock.monotonic_ms()) or 0
        pause_at = health.ws_stale_ms_pause
        # A dead stream is a PAUSE only when REST does not answer either.
        if age < pause_at:
            probe.forget()
        elif probe.answers():
            age = pause_at - 1
        limits = _limits(
            kind=SignalKind.WS_STALE,
            degrade_at=health.ws_stale_ms_degrade,
            pause_at=pause_at,
            degrade_code=ReasonCode.WS_STALE_DEGRADE,
            pause_code=ReasonCode.WS_STALE_PAUSE,
            unit="ms",
        )
        return graded(limits, age, source="market stream", at_ms=self.clock.now_ms())

    def _writer(self, deep: Sustained) -> tuple[list[HealthSignal], Sustained]:
        audit = self.settings.audit
        stats = self.writer_stats()
        now = self.clock.monotonic_ms()
        percent = 100 * stats.depth // max(1, stats.capacity)
        deep = deep.seen(holds=percent >= audit.writer_queue_hi_watermark_pct, now_ms=now)
        lag = _limits(
            kind=SignalKind.DB_WRITER,
            degrade_at=audit.writer_max_lag_ms,
            pause_at=3 * audit.writer_max_lag_ms,
            degrade_code=ReasonCode.DB_WRITER_BACKPRESSURE,
            pause_code=ReasonCode.DB_WRITER_QUEUE_FULL,
            unit="ms",
        )
        depth = _limits(
            kind=SignalKind.DB_WRITER,
            degrade_at=audit.writer_queue_hi_watermark_pct,
            pause_at=audit.writer_queue_full_pct,
            degrade_code=ReasonCode.DB_WRITER_QUEUE_HIGH,
            pause_code=ReasonCode.DB_WRITER_QUEUE_FULL,
            unit="%",
        )
        at_ms = self.clock.now_ms()
        sustained = percent if deep.for_ms(now) >= _DEPTH_SUSTAINED_MS else 0
        signals = [
            graded(lag, stats.oldest_age_ms, source="writer lag", at_ms=at_ms),
            graded(depth, sustained, source="writer depth", at_ms=at_ms),
        ]
        # A failed database ends the process; a trail that is behind can catch up, and then a resume
        # is allowed.
        broken = stats.failed or stats.trail_behind
        signals.append(
            HealthSignal(
                kind=SignalKind.DB_WRITER,
                level=SignalLevel.PAUSE if broken else SignalLevel.CLEAR,
                reason=ReasonCode.AUDIT_WRITE_FAILED,
                source="writer failed",
                value=stats.failed_writes,
                threshold=1,
                unit="writes",
                at_ms=at_ms,
            )
        )
        return signals, deep

    async def _sample(self) -> list[HealthSignal]:
        health = self.settings.health
        now = self.clock.now_ms()
        free = self.host.free_bytes()
        limits = _limits(
            kind=SignalKind.DISK_LOW,
            degrade_at=health.disk_free_degrade_bytes,
            pause_at=health.disk_free_pause_bytes,
            degrade_code=ReasonCode.DISK_LOW_DEGRADE,
            pause_code=ReasonCode.DISK_LOW_PAUSE,
            unit="bytes",
        )
        sample = self._figures(free)
        await self.audit.record(
            AuditEntry(
                draft=AuditDraft(
                    event_type=EventType.DISK_HEALTH_SAMPLE,
                    stage=Stage.STATE_UPDATE,
                    ts_ms=now,
                    data={"free_bytes": free},
                ),
                records=(HealthSample(at_ms=now, sample_json=canonical_json(sample).decode()),),
            )
        )
        return [graded_low(limits, free, source="audit volume", at_ms=now), self._open_files(now)]

    def _open_files(self, now_ms: int) -> HealthSignal:
        """A process without free descriptors stands still, so it is reported before that."""
        limits = _limits(
            kind=SignalKind.LOOP_STUCK,
            degrade_at=_FILES_DEGRADE_PERCENT,
            pause_at=_FILES_PAUSE_PERCENT,
            degrade_code=ReasonCode.LOOP_STUCK_DEGRADE,
            pause_code=ReasonCode.LOOP_STUCK_PAUSE,
            unit="%",
        )
        return graded(
            limits,
            self.host.open_files_percent(),
            source="open files",
            at_ms=now_ms,
            detail="of the files and sockets that this process may open are open",
        )

    def _figures(self, free_bytes: int) -> dict[str, object]:
        mono = self.clock.monotonic_ms()
        writer = self.writer_stats()
        database, wal = self.host.database_bytes()
        return {
            "disk_free_bytes": free_bytes,
            "db_bytes": database,
            "wal_bytes": wal,
            "rss_bytes": self.host.rss_bytes(),
            "cpu_percent_x100": self.host.cpu_percent_x100(),
            "writer_depth": writer.depth,
            "writer_lag_ms": writer.lag_ms,
            "writer_oldest_ms": writer.oldest_age_ms,
            "writer_commits": writer.commits,
            "writer_failed": writer.failed_writes,
            "stream_age_ms": self.stream_age.age_ms(mono),
            "rest_age_ms": self.rest_age.age_ms(mono),
            "clock_offset_ms": self.server_clock.offset_ms,
            "used_weight": self.counts.used_weight,
            "weight_limit": self.counts.weight_limit,
            "unfilled_orders_pct": self.counts.unfilled_orders_pct,
            "mailboxes": [box.stats() for box in self.mailboxes],
        }
