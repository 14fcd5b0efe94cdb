"""How often closed trades reached their target, per strategy version, regime and mode."""

from collections import Counter
from dataclasses import dataclass

from livespot.contracts.base import Message
from livespot.contracts.vocabulary import ExitReason
from livespot.evidence.rows import DecisionFact, Facts, PositionFact
from livespot.rules.expectancy import LEAST_TRADES, hit_rate


class TrackRecord(Message, frozen=True):
    """Closed trades of one kind, over all runs of the database.

    The three rates are -1 while there are too few trades to measure them.
    """

    strategy_id: str
    strategy_version: str
    regime: str
    mode: str
    trades: int
    hits: int
    hit_rate_x10000: int = -1
    low_x10000: int = -1
    high_x10000: int = -1

    @property
    def is_measured(self) -> bool:
        return self.trades >= LEAST_TRADES


@dataclass(frozen=True, slots=True, order=True)
class _Kind:
    strategy_id: str
    strategy_version: str
    regime: str
    mode: str


def track_records(facts: Facts) -> tuple[TrackRecord, ...]:
    """Return one record for each kind of trade that has ended, ordered by name.

    A trade that did not end at its target counts as a miss, whatever ended it.
    """
    decided = {decision.decision_id: _kind(decision) for decision in facts.decisions}
    trades: Counter[_Kind] = Counter()
    hits: Counter[_Kind] = Counter()
    for position in facts.positions:
        kind = decided.get(position.decision_id)
        if kind is not None and _has_ended(position):
            trades[kind] += 1
            hits[kind] += position.exit_reason == ExitReason.TAKE_PROFIT
    return tuple(_record(kind, trades[kind], hits[kind]) for kind in sorted(trades))


def _has_ended(position: PositionFact) -> bool:
    return not position.is_open and position.exit_reason != ExitReason.NONE


def _kind(decision: DecisionFact) -> _Kind:
    return _Kind(decision.strategy_id, decision.strategy_version, decision.regime, decision.mode)


def _record(kind: _Kind, trades: int, hits: int) -> TrackRecord:
    rate = hit_rate(trades, hits)
    return TrackRecord(
        strategy_id=kind.strategy_id,
        strategy_version=kind.strategy_version,
        regime=kind.regime,
        mode=kind.mode,
        trades=trades,
        hits=hits,
        hit_rate_x10000=rate.hit_rate_x10000 if rate is not None else -1,
        low_x10000=rate.low_x10000 if rate is not None else -1,
        high_x10000=rate.high_x10000 if rate is not None else -1,
    )
