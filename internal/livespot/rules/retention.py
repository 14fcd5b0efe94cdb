"""How long trail, events, scans, samples, snapshots and backups are kept."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from livespot.contracts.vocabulary import EventType

DAY_MS = 86_400_000
SAMPLE_DAYS = 30
SNAPSHOT_DAYS = 90
# A day is compressed only after another whole day, so that yesterday is still plain text.
PACK_DAYS = 1
# No later event depends on these kinds; the database refuses to delete any other.
ROUTINE = frozenset(
    {
        EventType.UNIVERSE_ELIGIBILITY,
        EventType.RANK_TOPN,
        EventType.DEEP_SCAN,
        EventType.TOPK_SELECTION,
        EventType.SNAPSHOT_BUILT,
        EventType.DECISION_PROPOSED,
        EventType.AIGATE_CALL,
        EventType.RISK_VERDICT,
        EventType.RECONCILE_REST,
        EventType.TIME_SYNC,
        EventType.RATE_LIMIT,
        EventType.FILTERS_REFRESHED,
        EventType.DISK_HEALTH_SAMPLE,
        EventType.DB_WRITER_BACKPRESSURE,
        EventType.WEBUI_REQUEST,
    }
)
_BACKUP, _BACKUP_END = "audit-", ".sqlite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutoffs:
    """Epoch ms, each at the start of a UTC day; whatever is older may be deleted."""

    pack_ms: int
    trail_ms: int
    samples_ms: int
    snapshots_ms: int


def cutoffs(now_ms: int, *, jsonl_keep_days: int) -> Cutoffs:
    """The cutoffs of today; the events of a day are deleted with its file of the trail."""
    today_ms = now_ms // DAY_MS * DAY_MS
    return Cutoffs(
        pack_ms=today_ms - PACK_DAYS * DAY_MS,
        trail_ms=today_ms - jsonl_keep_days * DAY_MS,
        samples_ms=today_ms - SAMPLE_DAYS * DAY_MS,
        snapshots_ms=today_ms - SNAPSHOT_DAYS * DAY_MS,
    )


def day_of(at_ms: int) -> str:
    """The UTC day of an instant, `YYYY-MM-DD`."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).date().isoformat()


def day_start_ms(day: str) -> int:
    """The first millisecond of a UTC day. Raises `ValueError` for a text that is no day."""
    return (date.fromisoformat(day) - date(1970, 1, 1)).days * DAY_MS


def backup_name(now_ms: int) -> str:
    """The file of the day's backup."""
    return f"{_BACKUP}{day_of(now_ms)}{_BACKUP_END}"


def spare_backups(names: Iterable[str], *, keep: int) -> tuple[str, ...]:
    """Daily backups beyond the newest `keep`."""
    daily = daily_backups(names)
    return daily[: max(0, len(daily) - keep)]


def daily_backups(names: Iterable[str]) -> tuple[str, ...]:
    """Daily backups, oldest first; other files, such as a migration's backup, are ignored."""
    return tuple(sorted(name for name in names if _is_daily(name)))


def _is_daily(name: str) -> bool:
    if not (name.startswith(_BACKUP) and name.endswith(_BACKUP_END)):
        return False
    try:
        day = date.fromisoformat(name[len(_BACKUP) : -len(_BACKUP_END)])
    except ValueError:
        return False
    return backup_name((day - date(1970, 1, 1)).days * DAY_MS) == name
