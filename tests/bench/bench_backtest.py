"""Processor time of backtests: a month of five symbols, and how the cost grows with both."""

import gc
import time
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from tests.bench.report import Figure, report

from livespot.backtest.command import built
from livespot.contracts.settings import Settings
from livespot.exchange.data_sets import DataOrder, open_market
from livespot.runtime.replay_request import Wish, planned

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3_000)]

_DATA = "synthetic-20"
_START_MS = int(datetime(2021, 4, 1, tzinfo=UTC).timestamp() * 1000)
_DAY_MS = 86_400_000
_DAY_MINUTES = 1_440
_SEED = 3
_SYMBOLS, _DAYS = (1, 5, 20), (1, 7, 30)
_MOST_SECONDS = 300
# A symbol's day may cost so much more in one row than in the cheapest.
_UNEVEN = 1.5


class _Silence:
    """Counts what would be written, so that it is made and not kept."""

    def __init__(self) -> None:
        self.lines = 0

    def write(self, kind: str, at_ms: int, **facts: object) -> None:
        del kind, at_ms, facts
        self.lines += 1


def _seconds(symbols: int) -> dict[int, float]:
    """Processor time of one backtest after each number of days, opening and history included."""
    names = list(open_market(DataOrder(name=_DATA, seed=_SEED, now_ms=_START_MS)).series)
    gc.collect()
    began = time.process_time()
    wish = Wish(
        data=_DATA,
        symbols=frozenset(names[:symbols]),
        seed=_SEED,
        from_ms=_START_MS,
        to_ms=None,
        span_ms=_DAYS[-1] * _DAY_MS,
        usual_ms=_START_MS,
        usual_span_ms=0,
    )
    test, taken = built(planned(wish), Settings(), seed=_SEED)(_Silence()), {}
    for first, last in pairwise((0, *_DAYS)):
        test.run(_START_MS + first * _DAY_MS, _START_MS + last * _DAY_MS, lambda _: True)
        assert test.tally.cycles == last * _DAY_MINUTES
        taken[last] = time.process_time() - began
    return taken


def test_a_month_of_five_symbols_takes_minutes_and_cost_grows_with_both() -> None:
    table = {symbols: _seconds(symbols) for symbols in _SYMBOLS}
    # What a symbol costs a day, after the history before the first one.
    daily = [(taken[30] - taken[1]) / (29 * symbols) for symbols, taken in table.items()] + [
        (taken[7] - taken[1]) / (6 * symbols) for symbols, taken in table.items()
    ]

    report(
        "backtests: one decision cycle a minute, opening and history included",
        *(
            Figure(
                f"{symbols} x {days} days",
                spent,
                "s",
                most=_MOST_SECONDS if (symbols, days) == (5, 30) else None,
            )
            for symbols, taken in table.items()
            for days, spent in taken.items()
        ),
        Figure("dearest over cheapest symbol and day", max(daily) / min(daily), "", most=_UNEVEN),
    )
