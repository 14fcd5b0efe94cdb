"""One symbol's closed candles of one frame, without gap or overlap, with their indicators."""

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import islice
from operator import attrgetter

import msgspec

from livespot.contracts.market import Candle
from livespot.contracts.vocabulary import Interval
from livespot.rules.indicators import Bounds, Wilder, wilder_of

KEPT = 1000
# ADX is defined after 28 candles; after 100 its seed weighs about half a percent.
WARM = 100
_PENDING_LIMIT = 50
_OPENED = attrgetter("open_time_ms")


class Joined(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """These candles now end the series, oldest first."""

    candles: tuple[Candle, ...]


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Closed candles are missing between two open times, both inclusive; newer ones wait."""

    from_ms: int
    to_ms: int

    def __str__(self) -> str:
        if self.from_ms == self.to_ms:
            return opened_at(self.from_ms)
        return f"{opened_at(self.from_ms)} to {opened_at(self.to_ms)}"


class Duplicate(msgspec.Struct, frozen=True, kw_only=True):
    """The open time is not after the series' end; the candle was dropped."""

    open_time_ms: int


class Misaligned(msgspec.Struct, frozen=True, kw_only=True):
    """The open time is no multiple of the frame; the candle was dropped."""

    open_time_ms: int


class CandleSeries:
    """The last 1000 closed candles and Wilder's state over them.

    A candle that does not follow the last one waits until history has closed the gap. A candle that
    is absent inside the span of one history answer does not exist at the exchange (an outage): the
    hole is accepted and never asked for again. Where history and the stream differ, history is
    right: the candle is replaced and Wilder's state computed again.

    Wilder's state also depends on candles that are no longer kept, by a weight of (13/14)**1000 at
    most, which is less than the last bit of a reading.
    """

    def __init__(self, interval: Interval) -> None:
        self.interval = interval
        self.step_ms = interval.ms
        # Long enough for reliable indicators, and nothing known to be missing at its end.
        self.is_warm = False
        self.duplicates = 0
        self.misaligned = 0
        self.holes = 0
        self.revised = 0
        # Grows with every change of the series.
        self.version = 0
        self.last: Candle | None = None
        self.wilder = Wilder()
        self._candles: deque[Candle] = deque(maxlen=KEPT)
        self._waiting: dict[int, Candle] = {}

    def __len__(self) -> int:
        return len(self._candles)

    def tail(self, count: int) -> tuple[Candle, ...]:
        """The newest `count` candles, oldest first; fewer when there are not that many."""
        newest = list(islice(reversed(self._candles), count))
        newest.reverse()
        return tuple(newest)

    def add(
        self, candle: Candle, bounds: Bounds | None = None
    ) -> Joined | Gap | Duplicate | Misaligned | None:
        """Take a closed candle of the stream; None while the first history is still awaited.

        A caller that has computed the candle's `bounds` already passes them in.
        """
        last = self.last
        if last is not None and candle.open_time_ms == last.open_time_ms + self.step_ms:
            self.version += 1
            self.last = candle
            self._candles.append(candle)
            self.wilder.update(bounds_of(candle) if bounds is None else bounds)
            if self.is_warm:
                # Nothing waits for it.
                return Joined(candles=(candle,))
            return Joined(candles=(candle, *self._join_waiting()))
        if candle.open_time_ms % self.step_ms:
            self.misaligned += 1
            return Misaligned(open_time_ms=candle.open_time_ms)
        if last is None:
            self._wait(candle)
            return None
        if candle.open_time_ms <= last.open_time_ms:
            self.duplicates += 1
            return Duplicate(open_time_ms=candle.open_time_ms)
        self._wait(candle)
        return self.gap()

    def absorb(self, history: Sequence[Candle]) -> Joined:
        """Take closed candles read by REST, oldest first, and any that waited for them.

        A history that begins after the next expected candle replaces the series; one that differs
        from a stored candle corrects it. Check `gap` afterwards: the exchange may not have listed
        its newest candles yet.
        """
        step_ms = self.step_ms
        fresh = [candle for candle in history if not candle.open_time_ms % step_ms]
        fresh.sort(key=_OPENED)
        if not fresh:
            return Joined(candles=self._join_waiting())
        last = self.last
        if last is not None and fresh[0].open_time_ms > last.open_time_ms + self.step_ms:
            self._candles.clear()
            self.last, self.wilder, self.is_warm = None, Wilder(), False
        elif last is not None and fresh[0].open_time_ms <= last.open_time_ms:
            self._revise(fresh)
        joined = self._extend(fresh)
        return Joined(candles=(*joined, *self._join_waiting()))

    def gap(self) -> Gap | None:
        """The span that is still missing before the oldest waiting candle."""
        last = self.last
        if last is None or not self._waiting:
            return None
        return Gap(
            from_ms=last.open_time_ms + self.step_ms,
            to_ms=min(self._waiting) - self.step_ms,
        )

    def _revise(self, history: Iterable[Candle]) -> None:
        """Correct stored candles; candles before or between the stored ones are not added."""
        told = {candle.open_time_ms: candle for candle in history}
        stored = [told.get(candle.open_time_ms, candle) for candle in self._candles]
        changed = sum(new != old for new, old in zip(stored, self._candles, strict=True))
        if changed:
            self.revised += changed
            self.version += 1
            self._candles = deque(stored, maxlen=KEPT)
            self.last, self.wilder = stored[-1], wilder_of(stored)

    def _extend(self, candles: Iterable[Candle]) -> list[Candle]:
        joined: list[Candle] = []
        before_ms = None if self.last is None else self.last.open_time_ms
        for candle in candles:
            opened_ms = candle.open_time_ms
            if before_ms is not None:
                if opened_ms <= before_ms:
                    continue
                self.holes += (opened_ms - before_ms) // self.step_ms - 1
            before_ms = opened_ms
            joined.append(candle)
        if joined:
            self.version += len(joined)
            self.last = joined[-1]
            self._candles.extend(joined)
            self.wilder.update_all(map(bounds_of, joined))
        return joined

    def _join_waiting(self) -> tuple[Candle, ...]:
        joined: list[Candle] = []
        if self.last is not None:
            end = self.last.open_time_ms
            for open_time_ms in sorted(self._waiting):
                if open_time_ms > end + self.step_ms:
                    break
                candle = self._waiting.pop(open_time_ms)
                if open_time_ms > end:
                    joined.append(candle)
                    end = open_time_ms
        self._extend(joined)
        self._note_warmth()
        return tuple(joined)

    def _wait(self, candle: Candle) -> None:
        self._waiting[candle.open_time_ms] = candle
        self._note_warmth()
        if len(self._waiting) > _PENDING_LIMIT:
            del self._waiting[min(self._waiting)]

    def _note_warmth(self) -> None:
        is_warm = len(self._candles) >= WARM and not self._waiting
        if is_warm is not self.is_warm:
            self.version += 1
            self.is_warm = is_warm


def bounds_of(candle: Candle) -> Bounds:
    """A candle's high, low and close as floats; the conversion costs more than a call."""
    return float(candle.high), float(candle.low), float(candle.close)


def opened_at(open_time_ms: int) -> str:
    """When a candle opened, for people: UTC to the minute, such as `2021-04-22 00:03`."""
    return datetime.fromtimestamp(open_time_ms // 1000, tz=UTC).strftime("%Y-%m-%d %H:%M")
