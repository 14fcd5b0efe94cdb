"""The alerts about modes and the reasons that hold them: their wording, and which are news."""

from collections.abc import Iterable, Sequence

from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import AuditUnwritable
from livespot.contracts.system import ActiveReason, Alert
from livespot.contracts.vocabulary import Severity, SignalKind, SignalLevel, SysMode
from livespot.rules import sysmode
from livespot.rules.words import measured

_WINDOW_MS = 60_000
_FAILED = ReasonCode.AUDIT_WRITE_FAILED
# During a start these are normal for a moment: connections open, a first read is made.
_STARTING = frozenset({SignalKind.USER_STREAM, SignalKind.WS_STALE, SignalKind.REST_STALE})
_STARTING_MS = 2000
# The number of episodes beyond which old ones are dropped; there is one for each source.
_MANY = 64
_SEVERITIES = {
    SysMode.NORMAL: Severity.INFO,
    SysMode.DEGRADE: Severity.WARN,
    SysMode.PAUSE: Severity.CRIT,
    SysMode.EXIT: Severity.WARN,
}


class AlertLog:
    """Counts repeats, so that one condition alerts once per minute, not once per tick."""

    def __init__(self) -> None:
        self._seen: dict[tuple[ReasonCode, str], tuple[int, int]] = {}

    def is_news(self, alert: Alert, now_ms: int) -> bool:
        """Whether it should be announced: it has not been raised within its window yet."""
        return self._window(alert, now_ms)[1] == 0

    def note(self, alert: Alert, now_ms: int) -> None:
        """Count it as announced, or as a repetition."""
        first_ms, count = self._window(alert, now_ms)
        self._seen[alert.code, alert.symbol] = (first_ms, count + 1)

    def _window(self, alert: Alert, now_ms: int) -> tuple[int, int]:
        first_ms, count = self._seen.get((alert.code, alert.symbol), (now_ms, 0))
        return (first_ms, count) if now_ms - first_ms <= _WINDOW_MS else (now_ms, 0)


class Episodes:
    """Which reasons have been announced; each is announced once in its episode.

    The episode of a source lasts as long as its complaint and a minute longer: a complaint that
    returns within the minute is the same one. A code that is new in the episode is news.
    """

    def __init__(self) -> None:
        self._said: dict[tuple[SignalKind, str], tuple[int, frozenset[ReasonCode]]] = {}

    def news(self, active: Iterable[ActiveReason], now_ms: int) -> list[ActiveReason]:
        """The reasons that have not been announced in their episode."""
        return [reason for reason in active if reason.code not in self._codes(reason, now_ms)]

    def note(self, active: Iterable[ActiveReason], now_ms: int) -> None:
        """All of these have been announced and hold at this moment."""
        for reason in active:
            codes = self._codes(reason, now_ms)
            if reason.code not in codes:
                codes = codes | {reason.code}
            self._said[reason.kind, reason.source] = (now_ms, codes)
        if len(self._said) > _MANY:
            self._forget(now_ms)

    def _codes(self, reason: ActiveReason, now_ms: int) -> frozenset[ReasonCode]:
        last_ms, codes = self._said.get((reason.kind, reason.source), (now_ms, frozenset()))
        return codes if now_ms - last_ms <= _WINDOW_MS else frozenset()

    def _forget(self, now_ms: int) -> None:
        said = self._said.items()
        self._said = {key: it for key, it in said if now_ms - it[0] <= _WINDOW_MS}


def severity_of(previous: SysMode, mode: SysMode, active: Sequence[ActiveReason]) -> Severity:
    """By mode; only INFO for the start in DEGRADE and for an end that was asked for."""
    if mode is previous is SysMode.DEGRADE:
        return Severity.INFO
    asked = all(r.kind is SignalKind.OPERATOR for r in active if r.level is SignalLevel.EXIT)
    if mode is SysMode.EXIT and previous is SysMode.NORMAL and asked:
        return Severity.INFO
    return _SEVERITIES[mode]


def mode_alert(
    previous: SysMode, mode: SysMode, active: Sequence[ActiveReason], at_ms: int
) -> Alert:
    """A change of mode with its causes, the most important of `active` first."""
    return Alert(
        severity=severity_of(previous, mode, active),
        code=sysmode.ENTER_CODES[mode],
        reasons=tuple(dict.fromkeys(reason.code for reason in active)),
        text=_mode_text(previous, mode, active),
        at_ms=at_ms,
    )


def is_starting(reason: ActiveReason, now_ms: int) -> bool:
    """Whether this reason is a part of every start and likely to end in a moment."""
    return reason.kind in _STARTING and now_ms - reason.since_ms < _STARTING_MS


def reason_alert(reason: ActiveReason, mode: SysMode, at_ms: int) -> Alert:
    """A reason that arose while the mode was already as strict."""
    return Alert(
        severity=_SEVERITIES[sysmode.demanded((reason,))],
        code=reason.code,
        reasons=(),
        text=f"in {mode} there is now also {_described(reason)}",
        at_ms=at_ms,
    )


def unrecorded_alert(
    mode: SysMode, previous: SysMode, active: Sequence[ActiveReason], at_ms: int
) -> Alert:
    """Entries are closed for a reason that cannot be audited yet."""
    alert = mode_alert(previous, mode, active, at_ms)
    return Alert(
        severity=alert.severity,
        code=alert.code,
        reasons=alert.reasons,
        text=f"{alert.text}; the send gate holds it, the record follows when the audit answers",
        at_ms=at_ms,
    )


def unwritable_alert(error: AuditUnwritable, at_ms: int) -> Alert:
    """Nothing can be audited any more, so nothing that needs an audit is done."""
    code = error.reason_code or _FAILED
    return Alert(
        severity=Severity.CRIT,
        code=code,
        reasons=() if code is _FAILED else (_FAILED,),
        text=f"the audit cannot be written, so nothing more is sent and the process ends; stops at "
        f"the exchange stand: {error}",
        at_ms=at_ms,
    )


def unreached_alert(name: str, at_ms: int) -> Alert:
    """An actor did not take a change of mode."""
    return Alert(
        severity=Severity.CRIT,
        code=ReasonCode.ACTOR_FAILED,
        reasons=(),
        text=f"{name} did not take the mode change in time; the send gate holds it anyway",
        at_ms=at_ms,
    )


def _mode_text(previous: SysMode, mode: SysMode, active: Sequence[ActiveReason]) -> str:
    move = f"{previous} -> {mode}" if previous is not mode else f"starting in {mode}"
    if not active:
        return f"{move}: nothing is wrong any more" if mode is SysMode.NORMAL else move
    more = f" and {len(active) - 1} more" if len(active) > 1 else ""
    return f"{move} because of {_described(active[0])}{more}"


def _described(reason: ActiveReason) -> str:
    unit = reason.unit
    figure = f" ({measured(reason.value, unit)}, limit {measured(reason.threshold, unit)})"
    detail = f": {reason.detail}" if reason.detail else ""
    return f"{reason.code}{figure if unit else ''}{detail}"
