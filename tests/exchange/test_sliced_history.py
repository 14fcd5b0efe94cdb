"""Long pages of made-up history: worked out in slices, and the same as at once."""

from pathlib import Path

import anyio
import pytest
from tests.exchange.test_market_synthetic import NOW_MS, market, phase

from livespot.exchange.klines import Bar
from livespot.exchange.sliced_history import in_slices
from livespot.exchange.tape import Span, Tape

_HOUR_MS = 3_600_000
_STORMY = 'name = "stormy"\norigin = "day"\nrepeat = "1d"\n' + "".join(
    (
        phase("halt", start="5h", length="150m"),
        phase("thin", start="11h", length="40m"),
        phase("crash", start="14h"),
    )
)


@pytest.mark.parametrize("interval", ["15m", "1h", "1d", "1w"])
async def test_bars_worked_out_in_slices_are_those_worked_out_at_once(
    tmp_path: Path, interval: str
) -> None:
    series, other = (market(tmp_path, _STORMY, count=1).series["BTCUSDT"] for _ in range(2))
    sliced, whole = Tape(series, NOW_MS), Tape(other, NOW_MS)
    from_ms = NOW_MS - 12 * 24 * _HOUR_MS
    found: dict[Span, Bar] = {}

    await in_slices(series, sliced.spans(interval, from_ms, NOW_MS), found.__setitem__)
    for span, bar in found.items():
        sliced.keep(span, bar)

    assert len(found) >= 1
    assert sliced.bars(interval, from_ms, NOW_MS) == whole.bars(interval, from_ms, NOW_MS)


async def test_others_get_their_turn_while_a_long_page_is_worked_out(tmp_path: Path) -> None:
    series = market(tmp_path, count=1).series["BTCUSDT"]
    tape = Tape(series, NOW_MS)
    spans = list(tape.spans("1h", NOW_MS - 250 * _HOUR_MS, NOW_MS))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        await in_slices(series, spans, tape.keep)
        tasks.cancel_scope.cancel()

    assert turns >= len(spans) // 30


def test_a_bar_kept_for_the_next_who_asks_is_handed_out_once(tmp_path: Path) -> None:
    tape = Tape(market(tmp_path, count=1).series["BTCUSDT"], NOW_MS)
    (span, *_) = tape.spans("1h", NOW_MS - 10 * _HOUR_MS, NOW_MS)
    marked = tape.series.bar(*span)
    marked.volume = 123_456_789
    tape.keep(span, marked)

    first = tape.bars("1h", NOW_MS - 10 * _HOUR_MS, NOW_MS)[0]
    again = tape.bars("1h", NOW_MS - 10 * _HOUR_MS, NOW_MS)[0]

    assert first is marked
    assert again.volume != marked.volume
