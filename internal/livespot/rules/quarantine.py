"""When a symbol has failed so often that it is set aside for a while.

All times are the exchange's: a machine clock that is set neither ends nor prolongs a quarantine.
"""

import msgspec

from livespot.contracts.base import Message
from livespot.contracts.canonical import canonical_json
from livespot.contracts.records import SymbolHealth
from livespot.contracts.settings import QuarantineSettings

REJECT_WINDOW_MS = 3_600_000
DROP_WINDOW_MS = 600_000
CAUSE_REJECTS = "FILTER_REJECTS"
CAUSE_REFUSALS = "ENTRY_REFUSALS"
CAUSE_DROPS = "STREAM_DROPS"
CAUSE_TIMEOUTS = "SUBMIT_TIMEOUTS"
CAUSE_FILTERS = "FILTERS_INCONSISTENT"
CAUSE_STATUS = "NOT_TRADING"
CAUSE_PRICES = "PRICES_INSANE"
# The last instant of the year 9999: later than any run, still an exact integer in JSON.
NEVER_MS = 253_402_300_799_999


class _Counts(Message, frozen=True):
    """The content of `counters_json` in a stored row."""

    rejects_ms: tuple[int, ...]
    drops_ms: tuple[int, ...]
    timeouts_in_row: int


class SymbolFaults(Message, frozen=True):
    """The faults of one symbol. Without automatic release `until_ms` is `NEVER_MS`."""

    symbol: str
    rejects_ms: tuple[int, ...] = ()
    drops_ms: tuple[int, ...] = ()
    timeouts_in_row: int = 0
    until_ms: int = 0
    cause: str = ""


def is_quarantined(faults: SymbolFaults, now_ms: int) -> bool:
    """Whether the symbol takes no entries now."""
    return faults.until_ms > now_ms


def filter_rejected(
    faults: SymbolFaults, now_ms: int, settings: QuarantineSettings
) -> SymbolFaults:
    """The exchange refused a mutation by a filter that we should have respected."""
    return _rejected(faults, CAUSE_REJECTS, now_ms, settings)


def entry_refused(faults: SymbolFaults, now_ms: int, settings: QuarantineSettings) -> SymbolFaults:
    """The exchange refused an entry for another reason, and would refuse the same one again."""
    return _rejected(faults, CAUSE_REFUSALS, now_ms, settings)


def _rejected(
    faults: SymbolFaults, cause: str, now_ms: int, settings: QuarantineSettings
) -> SymbolFaults:
    recent = _within((*faults.rejects_ms, now_ms), now_ms, REJECT_WINDOW_MS)
    faults = _with(faults, rejects_ms=recent)
    if len(recent) >= settings.max_rejects_per_hour:
        return quarantined(faults, cause, now_ms, settings)
    return faults


def stream_dropped(faults: SymbolFaults, now_ms: int, settings: QuarantineSettings) -> SymbolFaults:
    """A connection that carried the symbol was lost."""
    recent = _within((*faults.drops_ms, now_ms), now_ms, DROP_WINDOW_MS)
    faults = _with(faults, drops_ms=recent)
    if len(recent) >= settings.max_ws_disconnects_per_10min:
        return quarantined(faults, CAUSE_DROPS, now_ms, settings)
    return faults


def submit_timed_out(
    faults: SymbolFaults, now_ms: int, settings: QuarantineSettings
) -> SymbolFaults:
    """The outcome of a mutation is unknown."""
    faults = _with(faults, timeouts_in_row=faults.timeouts_in_row + 1)
    if faults.timeouts_in_row >= settings.max_timeouts_consecutive:
        return quarantined(faults, CAUSE_TIMEOUTS, now_ms, settings)
    return faults


def submit_answered(faults: SymbolFaults) -> SymbolFaults:
    """A definite answer ends a series of time-outs."""
    return _with(faults, timeouts_in_row=0) if faults.timeouts_in_row else faults


def quarantined(
    faults: SymbolFaults, cause: str, now_ms: int, settings: QuarantineSettings
) -> SymbolFaults:
    """Set aside with a cause and an end; the counters start from zero."""
    until = now_ms + settings.ttl_seconds * 1000 if settings.auto_release else NEVER_MS
    return SymbolFaults(symbol=faults.symbol, until_ms=until, cause=cause)


def released(faults: SymbolFaults) -> SymbolFaults:
    """Eligible again with clean counters: by time, or by the operator with a reason."""
    return SymbolFaults(symbol=faults.symbol)


def release_refused(faults: SymbolFaults, reason: str, now_ms: int) -> str:
    """Why the operator's release is refused; empty when it is allowed."""
    if not reason.strip():
        return "a release needs a reason"
    if not is_quarantined(faults, now_ms):
        return f"{faults.symbol} is not quarantined"
    return ""


def expired(faults: SymbolFaults, now_ms: int) -> bool:
    """Whether a quarantine is over but still on record."""
    return 0 < faults.until_ms <= now_ms


def row(faults: SymbolFaults, now_ms: int) -> SymbolHealth:
    """The row to store, written at `now_ms` of the machine's clock."""
    return SymbolHealth(
        symbol=faults.symbol,
        quarantined_until_ms=faults.until_ms,
        cause=faults.cause,
        counters_json=canonical_json(
            _Counts(
                rejects_ms=faults.rejects_ms,
                drops_ms=faults.drops_ms,
                timeouts_in_row=faults.timeouts_in_row,
            )
        ).decode(),
        updated_at_ms=now_ms,
    )


def from_row(stored: SymbolHealth) -> SymbolFaults:
    """The faults stored by a previous run. Raises `msgspec.ValidationError` if unreadable."""
    counts = msgspec.json.decode(stored.counters_json, type=_Counts)
    return SymbolFaults(
        symbol=stored.symbol,
        rejects_ms=counts.rejects_ms,
        drops_ms=counts.drops_ms,
        timeouts_in_row=counts.timeouts_in_row,
        until_ms=stored.quarantined_until_ms,
        cause=stored.cause,
    )


def _with(
    faults: SymbolFaults,
    *,
    rejects_ms: tuple[int, ...] | None = None,
    drops_ms: tuple[int, ...] | None = None,
    timeouts_in_row: int | None = None,
) -> SymbolFaults:
    return SymbolFaults(
        symbol=faults.symbol,
        rejects_ms=faults.rejects_ms if rejects_ms is None else rejects_ms,
        drops_ms=faults.drops_ms if drops_ms is None else drops_ms,
        timeouts_in_row=faults.timeouts_in_row if timeouts_in_row is None else timeouts_in_row,
        until_ms=faults.until_ms,
        cause=faults.cause,
    )


def _within(times: tuple[int, ...], now_ms: int, window_ms: int) -> tuple[int, ...]:
    return tuple(at for at in times if now_ms - at < window_ms)
