"""Pages of bars as JSON text; what the record says of a bar is written once and kept."""

from collections.abc import Iterable

import msgspec

from livespot.exchange.klines import Bar
from livespot.exchange.stream_json import kline_row
from livespot.exchange.tape import Span, Tape

# Of how many symbols' intervals rows are kept, and how many of each: two of the longest pages.
_MOST_SHELVES = 32
_MOST_ROWS = 2000


class KlineTexts:
    """One per exchange. Pages overlap: most bars somebody asks for were asked for before."""

    def __init__(self) -> None:
        self._shelves: dict[tuple[str, str, int, int], dict[Span, str]] = {}

    def page(
        self, tape: Tape, interval: str, found: Iterable[Span | Bar], offset_ms: int, unit: int
    ) -> msgspec.Raw:
        """The rows of bars; a recorded bar is given by its span.

        `unit` is how many of the client's time units are a millisecond.
        """
        kept = self._shelf((tape.series.symbol, interval, offset_ms, unit))
        rows: list[str] = []
        for one in found:
            if isinstance(one, Bar):
                rows.append(kline_row(one, interval, tape.scale, offset_ms, unit))
                continue
            row = kept.get(one)
            if row is None:
                bar = tape.recorded(one)
                row = kept[one] = kline_row(bar, interval, tape.scale, offset_ms, unit)
            rows.append(row)
        return msgspec.Raw(f"[{','.join(rows)}]".encode())

    def _shelf(self, key: tuple[str, str, int, int]) -> dict[Span, str]:
        """The kept rows of an interval, as the newest shelf; too full ones begin anew."""
        kept = self._shelves.pop(key, None)
        if kept is None or len(kept) >= _MOST_ROWS:
            kept = {}
        self._shelves[key] = kept
        if len(self._shelves) > _MOST_SHELVES:
            del self._shelves[next(iter(self._shelves))]
        return kept
