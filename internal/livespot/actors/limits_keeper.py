"""Watches what the exchange allows, keeps its silences over a restart, and tells the governor.

Reads: the request budget, the state of the key. Writes: RATE_LIMIT events, from which the next run
restores a ban; `HealthSignal`s RATE_LIMIT and KEY. Owns: nothing but what it last told.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import anyio
import msgspec
from anyio.abc import TaskStatus

from livespot.actors.mail import GovernorInbox
from livespot.contracts.audit import AuditDraft, AuditEntry, AuditPort
from livespot.contracts.base import Message
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import KeyRefused
from livespot.contracts.ports import Clock
from livespot.contracts.system import HealthSignal
from livespot.contracts.venue import BanState, ServerClock
from livespot.contracts.vocabulary import EventType, SignalKind, SignalLevel, Stage
from livespot.runtime.bell import Bell
from livespot.runtime.mailboxes import Mailbox

_TICK_SECONDS = 0.25
# Where all is well, what may change announces itself; only the weight is looked at.
_CALM_TICK_SECONDS = 0.5
_WEIGHT_DEGRADE_PCT = 80
_NO_KEY = (
    "the exchange rejects the API key with {code}: nothing can be sent or cancelled, positions are "
    "guarded only by the stops that stand at the exchange"
)


class KeptSilence(Message, frozen=True):
    """What outlives a process: the silences in the exchange's time, and how to tell that time."""

    bans: BanState = BanState()
    offset_ms: int = 0
    used_weight: int = 0


class Budget(Protocol):
    """The request budget of one exchange."""

    @property
    def used_weight(self) -> int: ...

    @property
    def weight_limit(self) -> int: ...

    @property
    def bans(self) -> BanState: ...

    def when_silenced(self, told: Callable[[], None]) -> None:
        """Have `told` called each time a silence begins or is prolonged."""
        ...


class KeyHealth(Protocol):
    """What is known of the API key."""

    @property
    def rejection(self) -> KeyRefused | None:
        """The refusal that still stands."""
        ...

    def when_changed(self, told: Callable[[], None]) -> None:
        """Have `told` called each time a refusal begins to stand or is lifted."""
        ...


@dataclass(frozen=True, slots=True)
class _Course:
    """One of the silences: its source's name, the level it asks for, and why."""

    source: str
    level: SignalLevel
    reason: ReasonCode
    until_ms: Callable[[BanState], int]


_COURSES = (
    _Course("ban", SignalLevel.PAUSE, ReasonCode.RATE_LIMIT_418, lambda bans: bans.banned_until_ms),
    _Course(
        "throttle",
        SignalLevel.DEGRADE,
        ReasonCode.RATE_LIMIT_429,
        lambda bans: bans.throttled_until_ms,
    ),
    _Course(
        "order count",
        SignalLevel.DEGRADE,
        ReasonCode.RISK_UNFILLED_ORDER_COUNT_RISK,
        lambda bans: bans.orders_until_ms,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsKeeper:
    clock: Clock
    server_clock: ServerClock
    audit: AuditPort
    governor: Mailbox[GovernorInbox]
    budget: Budget
    key: KeyHealth
    beat: Callable[[], None]

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Watch until cancelled."""
        news = Bell()
        self.budget.when_silenced(news.ring)
        self.key.when_changed(news.ring)
        # A restored silence stands in the database already; one begun before this life may not.
        kept: BanState | None = None
        told: dict[str, SignalLevel] = {}
        was_clear = False
        task_status.started()
        while True:
            self.beat()
            bans = self.budget.bans
            written = bans is not kept and bans != kept and (kept is not None or bans != BanState())
            if written:
                await self._keep(bans)
            kept = bans
            clear = self._is_clear(bans)
            # Where all was well and still is, there is nothing to tell.
            signals = [] if clear and was_clear else [*self._signals(bans), self._key()]
            was_clear = clear
            for signal in signals:
                if told.get(signal.source) is not signal.level:
                    told[signal.source] = signal.level
                    await self.governor.send(signal)
            # Whatever began while something was written or told has rung unheard.
            waited = written or bool(signals)
            if not waited or (self.budget.bans is bans and self._is_clear(bans) is clear):
                await news.wait_within(self.clock, _CALM_TICK_SECONDS if clear else _TICK_SECONDS)

    async def _keep(self, bans: BanState) -> None:
        """Durable before anything else: a process killed now must not ask again too early."""
        now = self.server_clock.steady_now_ms()
        reasons = [course.reason for course in _COURSES if course.until_ms(bans) > now]
        silence = KeptSilence(
            bans=bans,
            offset_ms=self.server_clock.offset_ms,
            used_weight=self.budget.used_weight,
        )
        draft = AuditDraft(
            event_type=EventType.RATE_LIMIT,
            stage=Stage.STATE_UPDATE,
            ts_ms=self.clock.now_ms(),
            reasons=(*reasons, ReasonCode.RETRY_AFTER_APPLIED) if reasons else (),
            data=msgspec.to_builtins(silence),
        )
        await self.audit.commit(AuditEntry(draft=draft))

    def _is_clear(self, bans: BanState) -> bool:
        """Whether every signal would be CLEAR."""
        now = self.server_clock.steady_now_ms()
        silent = any(course.until_ms(bans) > now for course in _COURSES)
        return not (silent or self._percent >= _WEIGHT_DEGRADE_PCT or self.key.rejection)

    @property
    def _percent(self) -> int:
        """How much of the weight a minute allows is used."""
        return 100 * self.budget.used_weight // max(1, self.budget.weight_limit)

    def _signals(self, bans: BanState) -> list[HealthSignal]:
        now = self.server_clock.steady_now_ms()
        signals = [self._silence(course, course.until_ms(bans) - now) for course in _COURSES]
        percent = self._percent
        busy = percent >= _WEIGHT_DEGRADE_PCT
        signals.append(
            HealthSignal(
                kind=SignalKind.RATE_LIMIT,
                level=SignalLevel.DEGRADE if busy else SignalLevel.CLEAR,
                reason=ReasonCode.RATE_LIMIT_429,
                source="request weight",
                value=percent,
                threshold=_WEIGHT_DEGRADE_PCT,
                unit="%",
                detail="the exchange's count for this address, whoever shares it",
                at_ms=self.clock.now_ms(),
            )
        )
        return signals

    def _key(self) -> HealthSignal:
        """Ends by itself once a signed request is taken again; PAUSE stays until a resume."""
        rejection = self.key.rejection
        return HealthSignal(
            kind=SignalKind.KEY,
            level=SignalLevel.CLEAR if rejection is None else SignalLevel.PAUSE,
            reason=ReasonCode.API_KEY_REJECTED,
            source="api key",
            detail="" if rejection is None else _NO_KEY.format(code=rejection.code),
            at_ms=self.clock.now_ms(),
        )

    def _silence(self, course: _Course, left_ms: int) -> HealthSignal:
        silent = left_ms > 0
        return HealthSignal(
            kind=SignalKind.RATE_LIMIT,
            level=course.level if silent else SignalLevel.CLEAR,
            reason=course.reason if silent else ReasonCode.RETRY_AFTER_APPLIED,
            source=course.source,
            value=max(0, left_ms),
            threshold=1,
            unit="ms",
            detail="the exchange asked for silence" if silent else "",
            at_ms=self.clock.now_ms(),
        )
