"""The strategy's page shows what the code does: a day is played again, every number computed."""

from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from livespot.contracts.settings import Settings
from livespot.contracts.vocabulary import RegimeLabel
from livespot.rules import edge
from livespot.rules.costs import DEFAULT_ENTRY_MAKER_BPS, DEFAULT_EXIT_TAKER_BPS
from livespot.rules.doctor import needed_atr_bps
from livespot.rules.pullback_checks import assess, min_edge_bps
from livespot.testing import strategy_study as study
from livespot.testing.market_values import a_snapshot
from livespot.testing.strategy_figure import figure
from livespot.testing.strategy_week import CHECKS, DAY_MS, FIRST_MS, SYMBOLS, counted

_PAGE = (Path(__file__).resolve().parents[2] / "docs" / "strategy.md").read_text(encoding="utf-8")
_SETTINGS = Settings()
_USUAL_SPREAD = 2
_COST = 10 + 10 + DEFAULT_ENTRY_MAKER_BPS + DEFAULT_EXIT_TAKER_BPS + _USUAL_SPREAD
_SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.slow
@pytest.mark.parametrize(("symbol", "day"), [("MATICUSDT", 1), ("LTCUSDT", 0)])
def test_a_day_of_the_week_played_again_counts_the_same(symbol: str, day: int) -> None:
    first_ms = FIRST_MS + day * DAY_MS

    (row,), points = counted(symbol, first_ms, 1)

    committed = [found for found in study.read_counts() if found.symbol == symbol]
    assert row == committed[day]
    assert study.shown(points) == [
        point
        for point in study.read_scores()
        if point.symbol == symbol and first_ms <= point.at_ms < first_ms + DAY_MS
    ]


def test_the_figure_is_drawn_from_the_scores_beside_it() -> None:
    drawn = (study.folder() / study.FIGURE).read_text(encoding="utf-8")

    assert drawn == figure(study.read_scores(), SYMBOLS), "run scripts/strategy-study"


def test_both_tables_are_written_as_they_are_read() -> None:
    counts = (study.folder() / study.COUNTS).read_text(encoding="utf-8")
    scores = (study.folder() / study.SCORES).read_text(encoding="utf-8")

    assert study.counts_text(study.read_counts()) == counts
    assert study.scores_text(study.read_scores()) == scores


def test_the_counts_agree_with_each_other() -> None:
    for row in study.read_counts():
        judged = row.cycles - row.unread
        blocked = dict(zip((code.value for code in CHECKS), row.blocked, strict=True))
        assert row.regime + blocked["STRAT_REGIME_WEAK"] == judged
        assert blocked["REGIME_NO_TRADE"] <= blocked["STRAT_REGIME_WEAK"]
        assert blocked["STRAT_EDGE_BELOW_MIN"] <= row.regime
        assert max(row.blocked) + row.passed <= judged
        assert row.atr_median_bps <= row.atr_most_bps
    passed = [point for point in study.read_scores() if point.passed]
    assert len(passed) == sum(row.passed for row in study.read_counts())


def test_the_figure_can_be_read_by_everybody() -> None:
    root = ElementTree.fromstring(figure(study.read_scores(), SYMBOLS))  # noqa: S314  # our own
    text = ElementTree.tostring(root, encoding="unicode")
    labels = {node.text for node in root.iter(f"{_SVG}text")}

    assert root.get("role") == "img"
    assert [root.find(f"{_SVG}{name}") is not None for name in ("title", "desc")] == [True, True]
    assert root.get("aria-labelledby") == "title desc"
    assert set(SYMBOLS) <= labels
    assert {"score (x10000)", "day of April 2021 (UTC)", "Thu 15", "Wed 21"} <= labels
    assert "prefers-color-scheme: dark" in text
    # Lines differ by more than colour, and nothing is fetched from anywhere.
    assert "stroke-dasharray" in text
    assert text.count("http") == text.count("http://www.w3.org/2000/svg")


def test_the_worked_numbers_of_the_page_are_those_of_the_code() -> None:
    snapshot = a_snapshot()
    wide = msgspec.structs.replace(
        snapshot.microstructure, spread_current_bps=15, delta_spread_bps_p90_10s=3
    )
    scored = assess(msgspec.structs.replace(snapshot, microstructure=wide), _SETTINGS)
    worked = assess(snapshot, _SETTINGS)
    needed = edge.breakeven_hit_x10000(worked.exits, worked.cost_bps)

    assert f"**{scored.score_x10000}**" in _PAGE
    assert f"margin **{worked.edge_bps}**" in " ".join(_PAGE.split())
    assert f"**{_percent(needed)}**; at an ATR of 90" in _PAGE
    for label in (RegimeLabel.TREND, RegimeLabel.RANGE):
        at_90 = edge.exits_of(label, 90, _SETTINGS.exit)
        assert f"**{_percent(edge.breakeven_hit_x10000(at_90, _COST))}**" in _PAGE


def test_the_atr_the_page_says_is_needed_is_what_doctor_computes() -> None:
    words = " ".join(_PAGE.split())
    alone = [_least_atr(label) for label in (RegimeLabel.TREND, RegimeLabel.RANGE)]
    with_risk = [
        needed_atr_bps(label, _COST, _SETTINGS) for label in (RegimeLabel.TREND, RegimeLabel.RANGE)
    ]

    assert f"the cost is about {_COST} bps" in words
    assert f"ATR of {alone[0]} bps, a range {alone[1]}" in words
    assert f"**{with_risk[0]}** and **{with_risk[1]}**" in words


def test_the_conclusions_of_the_page_are_those_of_the_counts() -> None:
    words = " ".join(_PAGE.split())
    rows = study.read_counts()
    passed = {s: sum(row.passed for row in rows if row.symbol == s) for s in SYMBOLS}
    calm = [row.atr_median_bps for row in rows if row.symbol == "BTCUSDT"]
    judged = {sum(r.cycles - r.unread for r in rows if r.symbol == s) for s in SYMBOLS}

    assert f"BTCUSDT showed a median of {min(calm)} to {max(calm)} bps" in words
    assert passed["BTCUSDT"] == 0
    (closes,) = judged
    assert f"{passed['LTCUSDT']} and {passed['MATICUSDT']} of {closes} closes" in words
    assert sum(passed.values()) == 9


def _least_atr(label: RegimeLabel) -> int:
    """What the strategy's own minimum needs, before risk raises it."""
    least = min_edge_bps(label, _SETTINGS.strategy)
    return next(
        atr
        for atr in range(1, 1000)
        if edge.edge_bps(edge.exits_of(label, atr, _SETTINGS.exit), _COST) >= least
    )


def _percent(share_x10000: int) -> str:
    return f"{Decimal(share_x10000) / 100:.1f} %"


def test_the_page_names_every_limit_as_it_is_configured() -> None:
    strategy, entry = _SETTINGS.strategy, _SETTINGS.entry
    words = " ".join(_PAGE.split())

    for wanted in (
        (
            f"spread <= {strategy.max_spread_entry_bps} bps, the spread's opening <= "
            f"{strategy.max_delta_spread_bps_10s} bps, buyers' share >= "
            f"{strategy.min_imbalance_buy // 100} %"
        ),
        f">= {strategy.min_volume_ratio} times the mean of the eleven before",
        (
            f"a rising trend (score >= {strategy.trend_threshold}) or a range "
            f"(score >= {strategy.range_threshold})"
        ),
        f"the last price lies {strategy.pullback_min} to {strategy.pullback_max} bps below",
        (
            f"spread <= {entry.fallback_max_spread_bps} bps, taker slippage <= "
            f"{entry.max_slippage_bps} bps and margin >= {strategy.min_edge_bps_fallback} bps"
        ),
        f"rests at the best bid for {entry.maker_ttl_ms // 1000} s",
    ):
        assert wanted in words, wanted
