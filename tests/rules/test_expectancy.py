"""Hit rate, interval and expectancy against exact fractions, and who may not know them."""

import ast
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livespot.rules.expectancy import LEAST_TRADES, cost_of, hit_rate, wilson_x10000

_Z_SQUARED = Fraction(196, 100) ** 2
_PACKAGE = Path(__file__).resolve().parents[2] / "internal" / "livespot"
_COUNTS = st.integers(1, 5000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))


def _beyond(trades: int, hits: int, share: Fraction) -> Fraction:
    """Not positive exactly where `share` lies inside Wilson's interval."""
    measured = Fraction(hits, trades)
    return (measured - share) ** 2 - _Z_SQUARED * share * (1 - share) / trades


@given(_COUNTS)
def test_the_interval_is_the_narrowest_whole_one_around_the_exact(counts: tuple[int, int]) -> None:
    trades, hits = counts
    low, high = wilson_x10000(trades, hits)
    ends = [Fraction(end, 10_000) for end in (low, low + 1, high - 1, high)]

    assert 0 <= low <= Fraction(10_000 * hits, trades) <= high <= 10_000
    assert _beyond(trades, hits, ends[0]) >= 0
    assert _beyond(trades, hits, ends[3]) >= 0
    if high - low > 1:
        # One unit further in would already cut something off.
        assert low == 0 or _beyond(trades, hits, ends[1]) < 0 or ends[1] > Fraction(hits, trades)
        assert high == 10_000 or _beyond(trades, hits, ends[2]) < 0


@given(
    counts=_COUNTS,
    tp=st.integers(1, 2000),
    sl=st.integers(1, 2000),
    cost=st.integers(0, 200),
)
def test_expectancy_is_the_exact_mean_to_half_a_basis_point(
    counts: tuple[int, int], tp: int, sl: int, cost: int
) -> None:
    trades, hits = counts[0] * LEAST_TRADES, counts[1] * LEAST_TRADES
    rate = hit_rate(trades, hits)
    assert rate is not None

    total = hits * tp - (trades - hits) * sl - trades * cost
    found = rate.expectancy_bps(tp_bps=tp, sl_bps=sl, cost_bps=cost)

    assert abs(Fraction(total, trades) - found) <= Fraction(1, 2)


@pytest.mark.parametrize(("trades", "measured"), [(99, False), (100, True), (101, True)])
def test_a_rate_is_measured_from_the_hundredth_trade_on(trades: int, measured: bool) -> None:
    assert (hit_rate(trades, trades // 2) is not None) is measured


def test_the_interval_of_a_known_example() -> None:
    rate = hit_rate(100, 50)

    assert rate is not None
    assert rate.hit_rate_x10000 == 5000
    # 0.403832 and 0.596168
    assert (rate.low_x10000, rate.high_x10000) == (4038, 5962)


def test_a_strategy_that_hits_at_its_break_even_earns_nothing() -> None:
    rate = hit_rate(10_000, 4629)

    assert rate is not None
    assert rate.expectancy_bps(tp_bps=200, sl_bps=150, cost_bps=12) == 0
    assert cost_of(tp_bps=200, sl_bps=150, edge_bps=38) == 12


@pytest.mark.parametrize(("trades", "hits"), [(100, 101), (100, -1), (-1, 0)])
def test_impossible_counts_are_refused(trades: int, hits: int) -> None:
    with pytest.raises(ValueError, match="hits"):
        hit_rate(trades, hits)


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{name.name}" for name in node.names} | {str(node.module)}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return found


def test_nothing_that_decides_knows_how_past_trades_ended() -> None:
    deciding = [
        path
        for part in ("rules", "actors", "gate", "venue", "exchange", "runtime", "contracts")
        for path in (_PACKAGE / part).rglob("*.py")
    ]

    knowing = {path.name for path in deciding if "livespot.rules.expectancy" in _imports(path)}

    assert len(deciding) > 100
    assert knowing == set()
