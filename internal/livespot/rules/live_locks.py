"""Decides from facts already read whether a start with real money is allowed."""

import tomllib
from dataclasses import dataclass
from datetime import UTC, date, datetime

_MAX_AGE_MS = 24 * 3_600_000
# The lock may be dated by another machine, whose clock is not exactly this one's.
_CLOCKS_DIFFER_MS = 5 * 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFacts:
    """What a live start found before any network call.

    `lock_text` is the lock file's content, None when there is none; `unfinished_run`: the database
    holds a live run that never ended. `drill_problem` is why no pass of the crash drills counts,
    empty when one does.
    """

    flag: bool
    lock_text: str | None
    account_label: str
    missing_secrets: tuple[str, ...]
    stop_file: bool
    database_problem: str
    unfinished_run: bool
    now_ms: int
    lock_path: str
    drill_problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveVerdict:
    """`locked` problems exit with code 4, `unready` ones with 3; `manage_only` forbids entries."""

    locked: tuple[str, ...]
    unready: tuple[str, ...]
    manage_only: tuple[str, ...]

    @property
    def may_start(self) -> bool:
        return not self.locked and not self.unready


def judge_live(facts: LiveFacts) -> LiveVerdict:
    """Every reason not to start, and every reason to start without entries.

    An unfinished live run may be continued with a lock of any date: a position must not stay
    unmanaged because a date has passed, or because the machine's clock was set back.
    """
    locked: list[str] = []
    manage_only: list[str] = []
    if not facts.flag:
        locked.append("real orders need the flag: livespot live --live")
    locked.extend(
        f"{name} is not set; put it into the environment or into .env"
        for name in facts.missing_secrets
    )
    if not facts.account_label:
        locked.append('no account is named; set account_label = "..." under [live]')
    problem, untimely = _lock_problem(facts)
    if problem:
        locked.append(problem)
    if untimely:
        (manage_only if facts.unfinished_run else locked).append(untimely)
    unready: list[str] = []
    if facts.drill_problem:
        (manage_only if facts.unfinished_run else unready).append(facts.drill_problem)
    if facts.stop_file:
        unready.append("the STOP file exists; remove it when you mean to trade")
    if facts.database_problem:
        unready.append(facts.database_problem)
    return LiveVerdict(locked=tuple(locked), unready=tuple(unready), manage_only=tuple(manage_only))


def _lock_problem(facts: LiveFacts) -> tuple[str, str]:
    """What is wrong with the lock file, and separately what is wrong with its date."""
    how = f'write {facts.lock_path} with two lines: account = "<label>" and date = <UTC time>'
    if facts.lock_text is None:
        return f"the lock file is missing; {how}", ""
    try:
        lock = tomllib.loads(facts.lock_text)
    except tomllib.TOMLDecodeError:
        return f"the lock file cannot be read; {how}", ""
    if lock.get("account") != facts.account_label:
        return "the lock file names another account than the configuration", ""
    stamp = lock.get("date")
    if isinstance(stamp, datetime):
        moment = stamp if stamp.tzinfo is not None else stamp.replace(tzinfo=UTC)
    elif isinstance(stamp, date):
        moment = datetime(stamp.year, stamp.month, stamp.day, tzinfo=UTC)
    else:
        return f"the lock file has no date; {how}", ""
    age_ms = facts.now_ms - int(moment.timestamp() * 1000)
    if age_ms < -_CLOCKS_DIFFER_MS:
        return "", f"the lock file's date lies in the future; {how}"
    if age_ms > _MAX_AGE_MS:
        return "", f"the lock file is {age_ms // 3_600_000} h old; 24 h is the limit"
    return "", ""
