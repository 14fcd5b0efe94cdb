"""The hit rate of a database's closed trades, and what the summary says of it."""

import msgspec

from livespot.contracts.vocabulary import ExitReason
from livespot.evidence.journal import JournalRows
from livespot.evidence.rows import Facts, PositionFact
from livespot.evidence.summary import RunSummary, summary_of
from livespot.evidence.telling import lines
from livespot.evidence.track_record import track_records

_replace = msgspec.structs.replace


def _summary(facts: Facts, journal: JournalRows) -> RunSummary:
    return summary_of(facts, journal, database="a", trail="b")


def _many(facts: Facts, profits: int, losses: int, left: int = 0) -> Facts:
    """The story's closed trade, over and over, ended at will; `left` ones are still open."""
    closed = next(p for p in facts.positions if not p.is_open and p.exit_reason != ExitReason.NONE)
    kind = {"strategy_id": "S", "strategy_version": "1", "regime": "TREND", "mode": "SIM"}
    decisions = tuple(
        _replace(d, **kind) if d.decision_id == closed.decision_id else d for d in facts.decisions
    )
    ends = [
        *[_replace(closed, exit_reason=ExitReason.TAKE_PROFIT)] * profits,
        *[_replace(closed, exit_reason=ExitReason.STOP_LOSS)] * losses,
        *[_replace(closed, phase="PROTECTED")] * left,
    ]
    positions: tuple[PositionFact, ...] = tuple(ends)
    return _replace(facts, positions=positions, decisions=decisions)


def test_the_trades_of_the_story_are_too_few_to_measure(facts: Facts, journal: JournalRows) -> None:
    summary = _summary(facts, journal)

    (record,) = summary.records
    assert record.trades == len(summary.trips)
    assert not record.is_measured
    assert record.hit_rate_x10000 == -1
    (told,) = (line for line in lines(summary) if "reached the target" in line)
    assert told.startswith("hit rate")
    assert told.endswith("unmeasured below 100 trades")


def test_a_hundred_closed_trades_have_a_rate_and_an_interval(
    facts: Facts, journal: JournalRows
) -> None:
    many = _many(facts, 60, 40, left=5)

    (record,) = track_records(many)

    assert (record.strategy_id, record.regime, record.mode) == ("S", "TREND", "SIM")
    assert (record.trades, record.hits, record.hit_rate_x10000) == (100, 60, 6000)
    assert record.low_x10000 < 6000 < record.high_x10000
    text = "\n".join(lines(_summary(many, journal)))
    assert "60 of 100 trades reached the target, 95 % interval 50.2 % to 69.1 %" in text


def test_nothing_closed_is_nothing_said(facts: Facts, journal: JournalRows) -> None:
    summary = _summary(_many(facts, 0, 0, left=1), journal)

    assert summary.records == ()
    assert not any(line.startswith("hit rate") for line in lines(summary))
