"""Reads for the selection tab: universe, rankings, the watch list and its correlations."""

from typing import Any

import msgspec

from livespot.contracts.settings import SelectionSettings
from livespot.panel.codes import codes_of
from livespot.panel.database import PanelDatabase
from livespot.panel.tabs import (
    ChoiceView,
    CorrelationView,
    RankingView,
    RankView,
    SelectionTab,
    UniverseView,
)

_LINES = 50
_UNIVERSE = """
SELECT ts_ms, data FROM audit_events
WHERE event_type = 'UNIVERSE_ELIGIBILITY' AND json_type(data) = 'object'
ORDER BY id DESC LIMIT 1
"""
_RANKED = """
SELECT ts_ms, cycle_id FROM audit_events WHERE event_type = ? ORDER BY id DESC LIMIT 1
"""
_RANKING = f"""
SELECT symbol, rank, score_x10000, dropped, reasons, features_json FROM cycle_rankings
WHERE cycle_id = ? AND kind = ? ORDER BY rank LIMIT {_LINES}
"""  # noqa: S608
_CHOSEN = """
SELECT ts_ms, cycle_id, data FROM audit_events
WHERE event_type = 'TOPK_SELECTION' AND json_type(data) = 'object' ORDER BY id DESC LIMIT 1
"""
_CHOICES = f"""
SELECT symbol, rank, score_x10000, chosen, incumbent_cycles, reasons, features_json
FROM cycle_selections WHERE cycle_id = ? ORDER BY rank LIMIT {_LINES}
"""  # noqa: S608
_Features = dict[str, int | str]
_WHOLE = 10_000


class _Universe(msgspec.Struct, frozen=True):
    symbols: int | None = None
    eligible: int | None = None
    excluded_by: dict[str, int] = msgspec.field(default_factory=dict)


class _Correlations(msgspec.Struct, frozen=True):
    symbols: tuple[str, ...] = ()
    missing: tuple[int, ...] = ()
    x10000: tuple[tuple[int, ...], ...] = ()


class _Chosen(msgspec.Struct, frozen=True):
    correlations: _Correlations = _Correlations()


async def selection(database: PanelDatabase, settings: SelectionSettings) -> SelectionTab:
    """Return the newest of each part; one that was never recorded says so."""
    row = await database.first(_CHOSEN)
    at_ms, cycle_id, text = row or (None, "", "{}")
    chosen = msgspec.json.decode(text, type=_Chosen)
    none = {} if row else {"choices": "no selection has been made yet"}
    return SelectionTab(
        universe=await _universe(database),
        topn=await _ranking(database, "RANK_TOPN", "TOPN"),
        deep=await _ranking(database, "DEEP_SCAN", "DEEP"),
        choices=tuple(
            _choice(found, settings) for found in await database.rows(_CHOICES, (cycle_id,))
        ),
        chosen_at_ms=at_ms,
        guard_min_cycles=settings.churn_guard_min_cycles,
        guard_min_score_delta_x10000=settings.churn_guard_min_score_delta_x10000,
        correlation=_matrix(chosen.correlations, settings, at_ms),
        unknown=none,
    )


async def _universe(database: PanelDatabase) -> UniverseView:
    row = await database.first(_UNIVERSE)
    if row is None:
        return UniverseView(unknown={"symbols": "the universe has not been scanned yet"})
    found = msgspec.json.decode(row[1], type=_Universe)
    return UniverseView(
        at_ms=row[0],
        symbols=found.symbols,
        eligible=found.eligible,
        excluded_by=found.excluded_by,
    )


async def _ranking(database: PanelDatabase, event_type: str, kind: str) -> RankingView:
    row = await database.first(_RANKED, (event_type,))
    if row is None:
        return RankingView(unknown={"lines": "nothing has been ranked yet"})
    at_ms, cycle_id = row
    return RankingView(
        at_ms=at_ms,
        cycle_id=cycle_id,
        lines=tuple(
            RankView(
                symbol=symbol,
                rank=rank,
                score_x10000=score,
                dropped=bool(dropped),
                reasons=codes_of(reasons),
                features=msgspec.json.decode(features, type=_Features),
            )
            for symbol, rank, score, dropped, reasons, features in await database.rows(
                _RANKING, (cycle_id, kind)
            )
        ),
    )


def _choice(row: tuple[Any, ...], settings: SelectionSettings) -> ChoiceView:
    symbol, rank, score, chosen, cycles, reasons, features = row
    left = max(0, settings.churn_guard_min_cycles - cycles) if chosen else 0
    return ChoiceView(
        symbol=symbol,
        rank=rank,
        score_x10000=score,
        chosen=bool(chosen),
        incumbent_cycles=cycles,
        guard_cycles_left=left,
        reasons=codes_of(reasons),
        features=msgspec.json.decode(features, type=_Features),
    )


def _matrix(
    found: _Correlations, settings: SelectionSettings, at_ms: int | None
) -> CorrelationView:
    """Expand the upper triangle to a square; a series with too many gaps compares to nothing."""
    size = len(found.symbols)
    if not size:
        return CorrelationView(
            limit_x10000=settings.corr_max_x10000,
            unknown={"rows": "no symbol has returns to compare yet"},
        )
    most = settings.corr_window_points * settings.corr_missing_max_pct
    holed = [missing * 100 > most for missing in found.missing]

    def cell(row: int, column: int) -> int | None:
        if row == column:
            return _WHOLE
        first, second = sorted((row, column))
        return None if holed[row] or holed[column] else found.x10000[first][second - first - 1]

    return CorrelationView(
        symbols=found.symbols,
        rows=tuple(tuple(cell(row, column) for column in range(size)) for row in range(size)),
        limit_x10000=settings.corr_max_x10000,
        at_ms=at_ms,
        unknown={
            symbol: "too many 5m returns are missing"
            for symbol, is_holed in zip(found.symbols, holed, strict=True)
            if is_holed
        },
    )
