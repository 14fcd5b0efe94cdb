"""Works out long stretches of made-up history while others get their turn in between."""

from collections.abc import Callable, Iterable, Iterator

import anyio.lowlevel

from livespot.exchange.klines import Bar, join
from livespot.exchange.synthetic import SyntheticSeries
from livespot.exchange.tape import Span

_HOUR = 60
# The minutes of so many hours take five to eight milliseconds.
_SLICE_ROWS = 25 * _HOUR


async def in_slices(
    series: SyntheticSeries, spans: Iterable[Span], keep: Callable[[Span, Bar], None]
) -> None:
    """Hand each bar to `keep`; no stretch of work between two turns of others is long."""
    done = 0
    for span in spans:
        total: Bar | None = None
        for first, after in _hourly(series, span):
            part = series.bar(first, after, span[2])
            if total is None:
                total = part
            else:
                join(total, part)
            done += after - first
            if done >= _SLICE_ROWS:
                done = 0
                await anyio.lowlevel.checkpoint()
        if total is not None:
            keep(span, total)


def _hourly(series: SyntheticSeries, span: Span) -> Iterator[tuple[int, int]]:
    """Rows of a bar up to each next whole hour: only there may it be divided without a trace."""
    first, last = span[0], span[1]
    while first < last:
        after = min(last, first + _HOUR - series.minutes[first] % _HOUR)
        yield first, after
        first = after
