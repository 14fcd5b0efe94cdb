"""Errors, named by what the caller must do next.

LivespotError
├── Transient            nothing happened: a read may be tried again, an order never
│   ├── Unreachable          no answer came from the other side
│   ├── Throttled            429 or 418: no request before `retry_after_ms`
│   └── StoreBusy            the database is held by somebody else
├── OutcomeUnknown       maybe it happened: look it up by client order id
├── Refused              understood and declined: record the reason, do not retry
│   ├── NotSent              proven that no byte left this process
│   ├── FilterRefused        a symbol filter said no
│   ├── ClockRefused         -1021: the request's time was wrong or it came too late
│   ├── KeyRefused           the key is wrong, revoked or lacks the right
│   ├── NoSuchOrder          the exchange does not know the order (no proof of absence)
│   └── LocalRefusal         our own check stopped it before it was sent
├── Invalid              a message or setting breaks its contract: drop, audit, count
│   ├── ConfigInvalid        every problem of a configuration at once
│   ├── PayloadInvalid       the other side sent something that cannot be read
│   └── LedgerViolation      a row breaks a uniqueness or transition rule of the ledger
└── Fatal                an invariant broke: stop the process
    ├── PreflightFailed      a check before the start failed (exit 3)
    ├── LockMissing          live trading is not unlocked (exit 4)
    ├── SecondInstance       another process holds the instance lock (exit 5)
    ├── SchemaMismatch       the database is older or newer than the program (exit 3)
    └── AuditUnwritable      the audit cannot be written (exit 30)
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import ClassVar

from livespot.contracts.codes import ReasonCode


class ExitCode(IntEnum):
    """How the process ends."""

    CLEAN = 0
    DIFFERENT = 1
    USAGE = 2
    PREFLIGHT = 3
    LOCK_MISSING = 4
    SECOND_INSTANCE = 5
    PAUSED = 10
    WATCHDOG = 20
    AUDIT_UNWRITABLE = 30


class LivespotError(Exception):
    """Base of every error that this program raises on purpose.

    `reason_code` is its code in the catalogue, if it has one, for `livespot explain`.
    """

    reason_code: ClassVar[ReasonCode | None] = None


class Transient(LivespotError):
    """Nothing happened; a read may be tried again."""


class Unreachable(Transient):
    """No usable answer came from the other side of a connection."""


class Throttled(Transient):
    """The exchange demands silence. A mutation answered by this was definitely not executed.

    `orders_only`: the order-count limit (-1015); requests that place no order are still allowed.
    """

    def __init__(self, *, retry_after_ms: int, banned: bool, orders_only: bool = False) -> None:
        super().__init__(
            f"{'banned (418)' if banned else 'throttled (429)'}, no request for {retry_after_ms} ms"
        )
        self.retry_after_ms = retry_after_ms
        self.banned = banned
        self.orders_only = orders_only


class StoreBusy(Transient):
    """The database is locked by another connection."""


class OutcomeUnknown(LivespotError):
    """A mutation may or may not have happened; only the exchange can tell."""

    def __init__(self, client_order_id: str, cause: str) -> None:
        super().__init__(f"outcome of {client_order_id!r} is unknown: {cause}")
        self.client_order_id = client_order_id
        self.cause = cause


class Refused(LivespotError):
    """The exchange understood and declined.

    `code` and `message` are the exchange's; `http_status` is 0 when none was received.
    """

    def __init__(self, code: int, message: str, *, http_status: int = 400) -> None:
        super().__init__(f"refused with {code}: {message}")
        self.code = code
        self.message = message
        self.http_status = http_status


class NotSent(Refused):
    """Connecting failed, so no byte of the request left this process."""

    def __init__(self, cause: str) -> None:
        super().__init__(0, f"not sent: {cause}", http_status=0)


class FilterRefused(Refused):
    """A symbol filter refused; `filter_name` is the exchange's name of it."""

    def __init__(self, code: int, message: str, *, filter_name: str) -> None:
        super().__init__(code, message)
        self.filter_name = filter_name


class ClockRefused(Refused):
    """-1021; `ahead` when our time was ahead of the server's, else the request came too late."""

    def __init__(self, code: int, message: str, *, ahead: bool) -> None:
        super().__init__(code, message)
        self.ahead = ahead


class KeyRefused(Refused):
    """The API key is malformed, revoked or lacks the permission."""


class NoSuchOrder(Refused):
    """The exchange does not know the order. This alone does not prove that it never existed."""


class LocalRefusal(Refused):
    """Our own quantizer, gate or lock stopped the request before it was sent."""

    def __init__(self, message: str) -> None:
        super().__init__(0, message, http_status=0)


class Invalid(LivespotError):
    """A value at a boundary breaks its contract."""


class ConfigInvalid(Invalid):
    """All problems of a configuration, each naming key, value, rule and line."""

    reason_code = ReasonCode.STRAT_CONFIG_INVALID

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class PayloadInvalid(Invalid):
    """An answer or frame could not be read as what it should be."""


class LedgerViolation(Invalid):
    """The database refused a row: an id was used before, or a transition is illegal."""


class Fatal(LivespotError):
    """The process must stop; `exit_code` says how."""

    exit_code = ExitCode.WATCHDOG


class PreflightFailed(Fatal):
    exit_code = ExitCode.PREFLIGHT


class LockMissing(Fatal):
    exit_code = ExitCode.LOCK_MISSING
    reason_code = ReasonCode.LIVE_LOCK_MISSING


class SecondInstance(Fatal):
    exit_code = ExitCode.SECOND_INSTANCE
    reason_code = ReasonCode.SECOND_INSTANCE


class SchemaMismatch(Fatal):
    exit_code = ExitCode.PREFLIGHT


class AuditUnwritable(Fatal):
    exit_code = ExitCode.AUDIT_UNWRITABLE
    reason_code = ReasonCode.AUDIT_WRITE_FAILED


class DatabaseDamaged(AuditUnwritable):
    """Pages of the audit database have been changed by something other than SQLite."""

    reason_code = ReasonCode.DB_INTEGRITY_FAIL


class VolumeFull(AuditUnwritable):
    """The volume of the audit has no space left."""

    reason_code = ReasonCode.DISK_LOW_PAUSE
