"""The feed's REST reads: candle history one request at a time, and depth of what is watched.

Reads: the feed's queue of wanted spans. Writes: `KlineHistory` and `DepthBook` to market state.
Owns: the pace, and patience with failures.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass

from livespot.actors.mail import MarketStateInbox
from livespot.actors.wires import Sink
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import Invalid, Refused, Throttled, Transient
from livespot.contracts.market import KlineHistory
from livespot.contracts.ports import Clock
from livespot.contracts.settings import Settings
from livespot.contracts.system import Alert
from livespot.contracts.venue import MarketReader, ServerClock
from livespot.contracts.vocabulary import Interval, Severity
from livespot.runtime.bell import Bell
from livespot.runtime.mailboxes import Mailbox

_LIMIT = 1000
_DEPTH_LEVELS = 20
_DEPTH_EVERY_MS = 30_000
_DEPTH_PACE_SECONDS = 1.0
# A candle counts as closed only when the exchange's clock passed its end by this much.
_CLOSED_MARGIN_MS = 1000
# Long frames first: they decide whether a symbol is worth the rest.
_ORDER = (Interval.H1, Interval.M15, Interval.M5, Interval.M1)


class HistoryQueue:
    """Spans still to be read, in order, each (symbol, frame) at most once."""

    def __init__(self) -> None:
        self._wanted: dict[tuple[str, Interval], int] = {}
        self._arrived = Bell()

    def want(self, symbol: str, interval: Interval, from_ms: int) -> None:
        """Read from `from_ms` to now; 0 means the newest thousand candles."""
        key = (symbol, interval)
        self._wanted[key] = min(from_ms, self._wanted.get(key, from_ms))
        self._arrived.ring()

    def want_all(self, symbol: str) -> None:
        for interval in _ORDER:
            self.want(symbol, interval, 0)

    def forget(self, symbol: str) -> None:
        for key in [key for key in self._wanted if key[0] == symbol]:
            del self._wanted[key]

    async def next(self) -> tuple[str, Interval, int]:
        """The oldest wanted span, removed from the queue."""
        while not self._wanted:
            await self._arrived.wait()
        (symbol, interval), from_ms = next(iter(self._wanted.items()))
        del self._wanted[(symbol, interval)]
        return symbol, interval, from_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryReader:
    settings: Settings
    clock: Clock
    server_clock: ServerClock
    reader: MarketReader
    state: Mailbox[MarketStateInbox]
    alerts: Sink[Alert]
    backoff: Callable[[int], float]

    async def run(self, queue: HistoryQueue, streamed: Callable[[], Container[str]]) -> None:
        """Read span after span; one that failed goes to the end of the queue.

        A span of a symbol that is not, or no longer, `streamed` is dropped: market state would
        open a window for it that no stream feeds and nothing closes.
        """
        failures = 0
        while True:
            symbol, interval, from_ms = await queue.next()
            if symbol not in streamed():
                continue
            try:
                history = await self._read(symbol, interval, from_ms)
                if symbol in streamed():
                    await self.state.send(history)
            except Throttled as error:
                queue.want(symbol, interval, from_ms)
                await self.clock.sleep(error.retry_after_ms / 1000)
            except Transient as error:
                failures += 1
                queue.want(symbol, interval, from_ms)
                self._report(symbol, f"{interval} candles: {error}")
                await self.clock.sleep(self.backoff(failures))
            except (Refused, Invalid) as error:
                # The answer would be the same; market state asks again if it still needs the span.
                self._report(symbol, f"{interval} candles: {error}")
            else:
                failures = 0

    async def poll_depth(self, watched: Callable[[], tuple[str, ...]], changed: Bell) -> None:
        """Read the depth of one watched symbol at a time, each every 30 s.

        `changed` rings when the watched symbols change, so that a new one does not wait for its
        turn.
        """
        due: dict[str, int] = {}
        while True:
            symbols = watched()
            due = {symbol: due.get(symbol, 0) for symbol in symbols}
            now = self.clock.monotonic_ms()
            late = [symbol for symbol in symbols if due[symbol] <= now]
            if late:
                due[late[0]] = now + _DEPTH_EVERY_MS
                await self._depth(late[0])
                await self.clock.sleep(_DEPTH_PACE_SECONDS)
            else:
                next_ms = min(due.values(), default=now + _DEPTH_EVERY_MS)
                await changed.wait_within(self.clock, (next_ms - now) / 1000)

    async def _read(self, symbol: str, interval: Interval, from_ms: int) -> KlineHistory:
        """Closed candles from one before the span, so that they overlap the known series."""
        closed_by = self.server_clock.server_now_ms() - _CLOSED_MARGIN_MS
        start = max(0, from_ms - interval.ms)
        candles = await self.reader.klines(symbol, interval, limit=_LIMIT, start_ms=start)
        closed = tuple(c for c in candles if c.open_time_ms + interval.ms <= closed_by)
        return KlineHistory(symbol=symbol, interval=interval, candles=closed)

    async def _depth(self, symbol: str) -> None:
        """Read and forward one depth; without one the estimates fall back to their defaults."""
        try:
            await self.state.send(await self.reader.depth(symbol, limit=_DEPTH_LEVELS))
        except Throttled as error:
            await self.clock.sleep(error.retry_after_ms / 1000)
        except (Transient, Refused, Invalid) as error:
            self._report(symbol, f"depth: {error}")

    def _report(self, symbol: str, what: str) -> None:
        self.alerts.offer(
            Alert(
                severity=Severity.WARN,
                code=ReasonCode.REST_STALE_DEGRADE,
                reasons=(ReasonCode.REST_STALE_DEGRADE,),
                text=f"cannot read {what}"[:400],
                symbol=symbol,
                at_ms=self.clock.now_ms(),
            )
        )
