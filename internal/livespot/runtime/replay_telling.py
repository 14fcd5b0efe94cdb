"""The lines that a replay adds to its run's summary."""

from collections.abc import Iterator

from livespot.evidence.telling import Line, age, many
from livespot.runtime.replay_report import DIFFERENT, IDENTICAL, NOT_ASKED, Check, ReplayReport
from livespot.runtime.replay_request import moment

_GOOD, _BAD, _DOUBT, _PLAIN = "green", "bold red", "yellow", ""
_MOST_SYMBOLS = 10
_OF_WALL_TIME = (
    "the recorded run's own timings: it ran on the machine's clock, whose milliseconds never come "
    "back, so the entries above are decided on others and may differ from it"
)


def told(report: ReplayReport) -> Iterator[Line]:
    """Yield what was replayed, how fast, and the hashes to compare it by."""
    yield from _span(report)
    times = f"{report.speed_x100 // 100}.{report.speed_x100 % 100 // 10}"
    took = f"{age(report.virtual_ms)} of market time in {seconds(report.cpu_ms)} of processor time"
    yield "speed", f"{took}, {times} times as fast", _PLAIN
    yield "faults fired", _faults(report), _PLAIN
    yield "audit hash", report.audit_hash, _PLAIN
    yield "journal", f"sha256 {report.journal_sha256}", _PLAIN
    if report.recomputed:
        yield "decisions", report.recomputed, _BAD if "DIFFER" in report.recomputed else _GOOD
    if report.check.verdict != NOT_ASKED:
        yield "check", *checked(report.check)
    if report.of_wall_time:
        yield "not repeated", _OF_WALL_TIME, _PLAIN


def _span(report: ReplayReport) -> Iterator[Line]:
    count = len(report.symbols)
    names = f" ({', '.join(report.symbols)})" if count <= _MOST_SYMBOLS else ""
    yield "replayed", f"{report.data_id}, seed {report.seed}, {many(count, 'symbol')}{names}", ""
    end_ms = report.start_ms + report.span_ms
    yield "", f"{moment(report.start_ms)} to {moment(end_ms)} UTC, on virtual time", _PLAIN
    if report.interrupted:
        left = moment(report.start_ms + report.virtual_ms)
        yield "", f"interrupted, and ended in order at {left}", _DOUBT


def _faults(report: ReplayReport) -> str:
    if not report.faults:
        return "none planned"
    counted = (f"{fault.name} {fault.count or 'never'}" for fault in report.faults)
    return ", ".join(counted)


def checked(check: Check) -> tuple[str, str]:
    """Return the result of a repetition in words, and its style on a terminal."""
    if check.verdict == IDENTICAL:
        usual = "a second process repeated it: every event, row and journal line is the same"
        return check.detail or usual, _GOOD
    if check.verdict == DIFFERENT:
        return f"THE REPETITION DIFFERS first at {check.detail}", _BAD
    return f"not done: {check.detail}", _DOUBT


def seconds(ms: int) -> str:
    """Return a processor time in words: 9.6 s, or minutes from two on."""
    return f"{ms // 1000}.{ms % 1000 // 100} s" if ms < 120_000 else age(ms)
