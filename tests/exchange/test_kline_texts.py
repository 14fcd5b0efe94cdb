"""Pages of bars as text: the same whether rows are kept from before or not, and bounded."""

from bisect import bisect_left
from decimal import Decimal
from typing import ClassVar

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.exchange.stream_rig import RIG_MS, SteadyHistory

from livespot.exchange.candle import MINUTE_MS
from livespot.exchange.kline_texts import KlineTexts
from livespot.exchange.klines import Bar
from livespot.exchange.stream_json import kline_row
from livespot.exchange.tape import Scale, Span, Tape


def _found(tape: Tape, interval: str, from_ms: int, to_ms: int) -> list[Span | Bar]:
    spans, bars = tape.parts(interval, from_ms, to_ms)
    return [*spans, *bars]


@settings(max_examples=40, deadline=None)
@given(
    asked=st.lists(
        st.tuples(
            st.sampled_from(["1m", "5m", "1h"]), st.integers(1, 90), st.integers(0, 30),
            st.sampled_from([1, 1000]),
        ),
        min_size=1,
        max_size=6,
    )
)  # fmt: skip
def test_a_page_is_the_same_whatever_was_asked_before(
    asked: list[tuple[str, int, int, int]],
) -> None:
    tape, used = Tape(SteadyHistory("B000USDT"), RIG_MS), KlineTexts()
    for interval, minutes, later, unit in asked:
        to_ms = RIG_MS + later * MINUTE_MS
        found = _found(tape, interval, RIG_MS - minutes * MINUTE_MS, to_ms)

        page = used.page(tape, interval, found, 0, unit)

        assert page == KlineTexts().page(tape, interval, found, 0, unit)
        rows = msgspec.json.decode(page)
        assert [row[0] for row in rows] == [
            bar.open_ms * unit for bar in tape.bars(interval, RIG_MS - minutes * MINUTE_MS, to_ms)
        ]
        assert all((row[6] + 1) % (MINUTE_MS * unit) == 0 for row in rows)


@given(
    tick=st.sampled_from(["0.01", "0.00000001", "1"]),
    step=st.sampled_from(["0.001", "0.00000001", "1"]),
    numbers=st.lists(st.integers(0, 10**12), min_size=9, max_size=9),
)
def test_a_row_says_each_amount_as_every_other_answer_does(
    tick: str, step: str, numbers: list[int]
) -> None:
    scale = Scale.of(Decimal(tick), Decimal(step))
    bar = Bar(RIG_MS, *numbers)

    row = msgspec.json.decode(kline_row(bar, "5m", scale, 0))

    prices = [scale.price(ticks) for ticks in (bar.open, bar.high, bar.low, bar.close)]
    assert row == [
        RIG_MS, *prices, scale.qty(bar.volume), RIG_MS + 5 * MINUTE_MS - 1, scale.quote(bar.quote),
        bar.trades, scale.qty(bar.taker_base), scale.quote(bar.taker_quote), "0",
    ]  # fmt: skip


class _CountedHistory(SteadyHistory):
    """Knows which rows somebody worked out."""

    worked_out: ClassVar[list[int]] = []

    def bar(self, first: int, last: int, open_ms: int) -> Bar:
        self.worked_out.append(first)
        return super().bar(first, last, open_ms)


def test_a_recorded_bar_is_worked_out_once() -> None:
    history = _CountedHistory("B000USDT")
    tape, texts = Tape(history, RIG_MS), KlineTexts()
    found = _found(tape, "1m", RIG_MS - 60 * MINUTE_MS, RIG_MS - 1)
    later = _found(tape, "1m", RIG_MS - 61 * MINUTE_MS, RIG_MS - 1)
    first = texts.page(tape, "1m", found, 0, 1)
    history.worked_out.clear()

    assert texts.page(tape, "1m", found, 0, 1) == first
    assert history.worked_out == []
    texts.page(tape, "1m", later, 0, 1)
    assert history.worked_out == [bisect_left(history.minutes, RIG_MS // MINUTE_MS - 61)]
