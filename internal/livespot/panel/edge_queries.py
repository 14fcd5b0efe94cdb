"""Reads the odds shown beside a reward margin: the hit rate needed, and the one measured."""

import msgspec

from livespot.panel.dashboard import EdgeView, MeasuredView
from livespot.panel.database import PanelDatabase
from livespot.rules.expectancy import cost_of, hit_rate

# The newest closed trades: enough to measure by, and a bounded read in a ledger of years.
_TRADES_SEEN = 1000
_CLOSED = f"""
SELECT decision_id, exit_reason FROM positions
WHERE closed_at_ms > 0 AND exit_reason <> 'NONE' ORDER BY closed_at_ms DESC LIMIT {_TRADES_SEEN}
"""  # noqa: S608
# A decision may be proposed in several cycles, each with a row that says the same.
_PLAYED = f"""
SELECT json_extract(d.decision_json, '$.strategy_id', '$.strategy_version', '$.regime', '$.mode'),
       count(*), sum(p.exit_reason = 'TAKE_PROFIT')
FROM ({_CLOSED}) p JOIN decisions d ON d.id =
    (SELECT min(id) FROM decisions WHERE decision_id = p.decision_id AND outcome <> 'BLOCKED')
GROUP BY 1
"""  # noqa: S608
_DECIDED = """
SELECT decision_json FROM decisions WHERE decision_id = ? AND outcome <> 'BLOCKED'
ORDER BY id DESC LIMIT 1
"""


class _Decided(msgspec.Struct, frozen=True):
    """The part of a decision that its odds depend on; zeros for a row without exits."""

    strategy_id: str = ""
    strategy_version: str = ""
    regime: str = ""
    mode: str = ""
    breakeven_hit_x10000: int = 0
    sl_bps: int = 0
    tp_bps: int = 0
    edge_bps_expected: int = 0


# A row of another version may lack some of this; then it measures nothing asked for.
_KEY = tuple[str | None, str | None, str | None, str | None]
TrackRecord = dict[_KEY, tuple[int, int]]


async def track_record(database: PanelDatabase) -> TrackRecord:
    """Count closed trades, and those that reached their target, by kind of trade.

    A kind is a strategy, its version, the regime and the mode.
    """
    return {
        msgspec.json.decode(key, type=_KEY): (trades, hits)
        for key, trades, hits in await database.rows(_PLAYED)
    }


async def edge_of(
    database: PanelDatabase, decision_id: str, record: TrackRecord
) -> EdgeView | None:
    """Return the odds of a decision; None when it has no exits."""
    row = await database.first(_DECIDED, (decision_id,)) if decision_id else None
    if row is None:
        return None
    decided = msgspec.json.decode(row[0], type=_Decided)
    if decided.tp_bps <= 0:
        return None
    key = (decided.strategy_id, decided.strategy_version, decided.regime, decided.mode)
    trades, hits = record.get(key, (0, 0))
    return EdgeView(
        breakeven_hit_x10000=decided.breakeven_hit_x10000,
        trades=trades,
        measured=_measured(decided, trades, hits),
    )


def _measured(decided: _Decided, trades: int, hits: int) -> MeasuredView | None:
    rate = hit_rate(trades, hits)
    if rate is None:
        return None
    tp, sl = decided.tp_bps, decided.sl_bps
    cost = cost_of(tp_bps=tp, sl_bps=sl, edge_bps=decided.edge_bps_expected)
    return MeasuredView(
        hit_rate_x10000=rate.hit_rate_x10000,
        low_x10000=rate.low_x10000,
        high_x10000=rate.high_x10000,
        expectancy_bps=rate.expectancy_bps(tp_bps=tp, sl_bps=sl, cost_bps=cost),
    )
