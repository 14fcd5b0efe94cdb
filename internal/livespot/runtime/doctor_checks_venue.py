"""Checks of the exchange's public side: REST, clock, streams, filters, limits, volatility."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import anyio
import msgspec

from livespot.contracts.amounts import round_bps
from livespot.contracts.errors import PayloadInvalid, Refused, Transient, Unreachable
from livespot.contracts.market import SymbolInfo, Ticker24h
from livespot.contracts.transport import Socket
from livespot.contracts.vocabulary import Interval
from livespot.rules.costs import fees_of
from livespot.rules.doctor import Check, Outcome, Shown, at_most, edge_check, shown
from livespot.rules.indicators import PERIOD, wilder_of
from livespot.rules.microstructure import spread_bps, whole_spread_bps
from livespot.rules.selection import Eligibility, listing, rank, universe
from livespot.runtime.doctor_plan import DoctorPlan, Probe
from livespot.venue.caller import ReadTolerance, RestCaller
from livespot.venue.market_stream import MarketStream
from livespot.venue.rest import BinanceRest

_SLOW_MS = 1000
_USED_PCT = 80
_UNREADABLE_PCT = 10
_SYMBOLS = 5
_CANDLES = 101
_HEARTBEAT = frozenset({"!miniTicker@arr"})


class _Pong(msgspec.Struct, frozen=True):
    id: int | str | None = None
    status: int = 0


_PONG = msgspec.json.Decoder(_Pong)


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """One REST client for all checks, and what one check reads that another needs."""

    caller: RestCaller
    reads: BinanceRest
    infos: dict[str, SymbolInfo] = field(default_factory=dict)
    lock: anyio.Lock = field(default_factory=anyio.Lock)

    async def symbols(self) -> Mapping[str, SymbolInfo]:
        """Return all symbols, read once."""
        async with self.lock:
            if not self.infos:
                self.infos.update(await self.reads.exchange_info())
        return self.infos


def open_venue(plan: DoctorPlan) -> Venue:
    """Build the client; nothing connects yet."""
    settings = plan.settings
    caller = RestCaller(
        transport=plan.http,
        base_url=settings.venue.rest_url,
        clock=plan.clock,
        signer=plan.signer,
        read_timeout_seconds=settings.intents.rest_query_timeout_ms / 1000 * plan.speed,
        tolerance=ReadTolerance(max_rtt_ms=_SLOW_MS * plan.speed),
    )
    return Venue(caller=caller, reads=BinanceRest(caller))


def reaching_probes(plan: DoctorPlan, venue: Venue) -> Iterator[Probe]:
    """Yield the probes of whether REST and the two sockets answer; REST first."""
    address = plan.settings.venue

    async def rest() -> tuple[Check, ...]:
        return await check_rest(plan, venue)

    async def stream() -> Check:
        return await check_stream(plan)

    async def ws_api() -> Check:
        return await check_ws_api(plan)

    ping = f"curl -sS -m 5 {address.rest_url.rstrip('/')}/api/v3/ping"
    yield Probe(id="rest", title="REST", look=rest, remedy=ping)
    for name, title, look, url in (
        ("market_stream", "Market stream", stream, address.ws_url),
        ("ws_api", "WebSocket API", ws_api, address.ws_api_url),
    ):
        plain = url.replace("ws", "http", 1)
        yield Probe(id=name, title=title, look=look, remedy=f"curl -sS -m 5 -I {plain}")


def market_probes(plan: DoctorPlan, venue: Venue) -> Iterator[Probe]:
    """Yield the probes that need REST to answer."""

    async def filters() -> Check:
        return await check_filters(plan, venue)

    async def margin() -> Check:
        return await check_edge(plan, venue)

    again = plan.command("livespot doctor")
    yield Probe(id="filters", title="Symbols and filters", look=filters, remedy=again)
    yield Probe(
        id="edge_feasibility", title="Reward margin today", look=margin, remedy=again, seconds=8.0
    )


async def check_rest(plan: DoctorPlan, venue: Venue) -> tuple[Check, ...]:
    """REST answers, how fast, and how far our clock is off."""
    before_ms = plan.clock.monotonic_ms()
    await venue.reads.server_time_ms()
    took_ms = (plan.clock.monotonic_ms() - before_ms) // plan.speed
    await venue.caller.server_clock.resync()
    offset_ms = venue.caller.server_clock.offset_ms
    limit_ms = plan.settings.time.clock_drift_max_ms * plan.speed
    steady = abs(offset_ms) <= limit_ms
    return (
        Check(
            id="rest",
            title="REST",
            outcome=at_most(took_ms, _SLOW_MS, otherwise=Outcome.WARN),
            measured=f"answered in {took_ms} ms",
            limit=f"<= {_SLOW_MS} ms",
        ),
        Check(
            id="clock",
            title="Clock",
            outcome=Outcome.PASS if steady else Outcome.WARN,
            measured=f"offset {offset_ms} ms",
            limit=f"<= {limit_ms} ms",
            next_command="" if steady else "timedatectl set-ntp true",
            detail="" if steady else "a constant offset is compensated, a changing one is not",
        ),
    )


async def check_stream(plan: DoctorPlan) -> Check:
    """Wait for the first data frame of the stream that every connection carries."""
    before_ms = plan.clock.monotonic_ms()
    feed = MarketStream(plan.sockets, plan.settings.venue.ws_url, plan.clock)
    async with feed.connect() as connection:
        await connection.subscribe(_HEARTBEAT)
        await connection.receive()
    took_ms = (plan.clock.monotonic_ms() - before_ms) // plan.speed
    return Check(
        id="market_stream",
        title="Market stream",
        outcome=Outcome.PASS,
        measured=f"first frame after {took_ms} ms",
        limit="one frame",
    )


async def check_ws_api(plan: DoctorPlan) -> Check:
    before_ms = plan.clock.monotonic_ms()
    async with plan.sockets.connect(plan.settings.venue.ws_api_url) as connection:
        await connection.send('{"id":1,"method":"ping"}')
        await _pong(connection)
    took_ms = (plan.clock.monotonic_ms() - before_ms) // plan.speed
    return Check(
        id="ws_api",
        title="WebSocket API",
        outcome=at_most(took_ms, 2 * _SLOW_MS, otherwise=Outcome.WARN),
        measured=f"answered in {took_ms} ms",
        limit=f"<= {2 * _SLOW_MS} ms",
    )


async def check_filters(plan: DoctorPlan, venue: Venue) -> Check:
    """Symbols of our quote asset, and how many of them have rules that we can obey."""
    quote = plan.settings.venue.quote_asset
    infos = await venue.symbols()
    traded = [
        info
        for info in infos.values()
        if info.quote_asset == quote and info.spot_allowed and info.is_trading
    ]
    broken = [info.symbol for info in traded if info.constraints is None]
    usable = len(traded) - len(broken)
    outcome = Outcome.PASS
    if 100 * len(broken) > _UNREADABLE_PCT * len(traded):
        outcome = Outcome.WARN
    if usable == 0:
        outcome = Outcome.FAIL
    return Check(
        id="filters",
        title="Symbols and filters",
        outcome=outcome,
        measured=f"{usable} of {len(traded)} {quote} symbols usable, {len(infos)} listed",
        limit="at least one",
        next_command=plan.command("livespot config show") if usable == 0 else "",
        detail="unreadable: " + ", ".join(sorted(broken)[:5]) if broken else "",
    )


def check_limits(venue: Venue) -> Check:
    """How much of this minute's weight and of the order counts is used, by us or by others."""
    budget = venue.caller.budget
    weight_pct = 100 * budget.used_weight // budget.weight_limit
    worst = max(weight_pct, budget.unfilled_orders_pct)
    outcome = at_most(worst, _USED_PCT, otherwise=Outcome.WARN)
    return Check(
        id="rate_limits",
        title="Rate limits",
        outcome=outcome,
        measured=f"weight {budget.used_weight} of {budget.weight_limit} this minute, "
        f"order counts {budget.unfilled_orders_pct} %",
        limit=f"<= {_USED_PCT} %",
        detail=""
        if outcome is Outcome.PASS
        else "another program shares this address or account; wait a minute and look again",
    )


async def check_edge(plan: DoctorPlan, venue: Venue) -> Check:
    """The volatility of the best-ranked symbols, against what the default strategy needs."""
    settings = plan.settings
    tickers = await venue.reads.tickers_24h()
    listed = listing(await venue.symbols(), quote_asset=settings.venue.quote_asset)
    eligible = universe(listed, tickers, (), settings.selection)
    by_symbol = {ticker.symbol: ticker for ticker in tickers}
    best = [row.symbol for row in rank(eligible, settings.selection)[:_SYMBOLS]]
    looked = best or _busiest(eligible)
    fees = await _fees_bps(plan, venue, looked)
    found = [await _shown(plan, venue, by_symbol[symbol], fees) for symbol in looked]
    return edge_check((row for row in found if row is not None), settings, eligible=bool(best))


def _busiest(symbols: Sequence[Eligibility]) -> list[str]:
    days = [item.ticker for item in symbols if item.ticker is not None]
    days.sort(key=lambda day: (-day.quote_volume, day.symbol))
    return [day.symbol for day in days[:_SYMBOLS]]


async def _shown(plan: DoctorPlan, venue: Venue, day: Ticker24h, fees_bps: int) -> Shown | None:
    """Return None for a symbol that is too young to have an average range."""
    candles = await venue.reads.klines(day.symbol, Interval.M5, limit=_CANDLES)
    now_ms = venue.caller.server_clock.server_now_ms()
    closed = [c for c in candles if c.open_time_ms + Interval.M5.ms <= now_ms]
    atr = wilder_of(closed, PERIOD).atr
    if atr is None:
        return None
    return shown(
        day.symbol,
        atr_bps=round_bps(atr / float(closed[-1].close) * 10_000.0),
        fees_bps=fees_bps,
        spread_bps=whole_spread_bps(spread_bps(day.bid, day.ask)) if day.bid > 0 else 1,
        settings=plan.settings,
    )


async def _fees_bps(plan: DoctorPlan, venue: Venue, symbols: list[str]) -> int:
    """Return maker plus taker fee: the account's if a key can ask, else the configured one."""
    rates = None
    if plan.signer is not None and symbols:
        try:
            rates = await venue.reads.commission(symbols[0])
        except (Transient, Refused):
            # The rows about the account say what is wrong; an estimate is enough here.
            rates = None
    fees = fees_of(rates, plan.settings.venue, discount_usable=False)
    return fees.maker_fee_bps + fees.taker_fee_bps


async def _pong(connection: Socket) -> None:
    while True:
        raw = await connection.receive()
        try:
            pong = _PONG.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise PayloadInvalid("the answer to a ping cannot be read") from error
        if pong.id == 1:
            if pong.status != 200:
                raise Unreachable(f"a ping was answered with {pong.status}")
            return
