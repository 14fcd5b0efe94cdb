"""Formats and parses instants, and finds the run that an instant falls into."""

from datetime import UTC, datetime

import msgspec

from livespot.contracts.base import Message
from livespot.contracts.settings import Settings
from livespot.store.reader import Reader

_RUNS = """
SELECT r.run_id, r.mode, r.started_at_ms, r.ended_at_ms, r.exit_code, r.config_json,
       coalesce((SELECT ts_ms FROM audit_events WHERE run_id = r.run_id ORDER BY seq DESC LIMIT 1),
                r.started_at_ms)
FROM runs r ORDER BY r.rowid
"""


class Span(Message, frozen=True):
    """A run from its start to its last event; `ended` when it recorded its end itself."""

    run_id: str
    mode: str
    started_at_ms: int
    last_event_ms: int
    ended: bool
    exit_code: int
    config_json: str

    def settings(self) -> Settings:
        """The run's settings.

        Raises `msgspec.ValidationError` when a key of them no longer exists.
        """
        return msgspec.json.decode(self.config_json, type=Settings)


def instant(at_ms: int) -> str:
    """Format as UTC with milliseconds, such as `2021-04-22T00:05:00.069Z`."""
    whole, milliseconds = divmod(at_ms, 1000)
    moment = datetime.fromtimestamp(whole, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{moment}.{milliseconds:03d}Z"


def stamp(at_ms: int) -> str:
    """Format as UTC for a file name, such as `20210422_000500_069`."""
    whole, milliseconds = divmod(at_ms, 1000)
    moment = datetime.fromtimestamp(whole, tz=UTC).strftime("%Y%m%d_%H%M%S")
    return f"{moment}_{milliseconds:03d}"


def parse_instant(text: str) -> int | None:
    """Return epoch ms of an ISO time (by default UTC), or of digits (ms or seconds); else None."""
    if text.isascii() and text.isdigit():
        # Ten digits are seconds, until the year 2286.
        return int(text) if len(text) > 10 else int(text) * 1000
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)


async def spans(reader: Reader) -> tuple[Span, ...]:
    """Return every run, oldest first."""
    return tuple(
        Span(
            run_id=run_id,
            mode=mode,
            started_at_ms=started,
            last_event_ms=last,
            ended=ended != 0,
            exit_code=exit_code,
            config_json=config_json,
        )
        for run_id, mode, started, ended, exit_code, config_json, last in await reader.rows(_RUNS)
    )


def span_at(runs: tuple[Span, ...], at_ms: int) -> Span | None:
    """Return the run that was alive at an instant; where two overlap, the later one."""
    return next(
        (run for run in reversed(runs) if run.started_at_ms <= at_ms <= run.last_event_ms), None
    )


def nothing_ran(runs: tuple[Span, ...], at_ms: int) -> str:
    """Say between or beside which runs an instant falls."""
    when = instant(at_ms)
    if not runs:
        return "nothing ever ran with this database"
    before = [run for run in runs if run.last_event_ms < at_ms]
    after = [run for run in runs if run.started_at_ms > at_ms]
    if not before:
        return f"nothing ran at {when}: the first run began at {instant(after[0].started_at_ms)}"
    last = max(before, key=lambda run: run.last_event_ms)
    how = f"ended with exit code {last.exit_code}" if last.ended else "has said nothing since then"
    text = f"nothing ran at {when}: {last.run_id} {how} (last event {instant(last.last_event_ms)})"
    if after:
        text += f", and the next run began at {instant(after[0].started_at_ms)}"
    return text
