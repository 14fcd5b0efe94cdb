"""Rehearses a stop swap on an embedded exchange that is started for it."""

from functools import partial

import anyio
import msgspec

from livespot.contracts.errors import LivespotError, PreflightFailed
from livespot.contracts.ports import Clock
from livespot.contracts.settings import Settings
from livespot.exchange.data_sets import DataOrder, open_market
from livespot.exchange.service import serve_exchange
from livespot.exchange.settings import DEMO_KEY, DEMO_SECRET, ApiKey, ExchangeSettings
from livespot.exchange.state_file import ExchangeAddress
from livespot.runtime.clock import ClockAnchor, ScaledClock, SystemClock
from livespot.runtime.simulation import demo_secrets
from livespot.runtime.swap_rehearsal import EMBEDDED, Rehearsal, Stage, rehearse
from livespot.venue.caller import RestCaller
from livespot.venue.http_client import HttpxTransport
from livespot.venue.rest import BinanceRest
from livespot.venue.rest_orders import RestOrders
from livespot.venue.signing import load_signer

_MS_PER_SECOND = 1000


async def rehearse_embedded(symbol: str, settings: Settings, start_ms: int) -> Rehearsal:
    """Swap a stop over real sockets, on the recorded market from `start_ms` on.

    The result is dated by the wall clock.

    Raises:
        PreflightFailed: the market does not hold the symbol or `start_ms`, or a call failed.
    """
    wall = SystemClock()
    clock = ScaledClock(ClockAnchor(wall_ms=wall.now_ms(), market_ms=start_ms, speed=1))
    exchange = ExchangeSettings(
        symbols=frozenset({symbol}),
        keys=(ApiKey(key=DEMO_KEY, account_id="demo", hmac_secret=DEMO_SECRET),),
    )
    market = open_market(
        DataOrder(name="recorded", seed=0, now_ms=start_ms, only=frozenset({symbol}))
    )
    failures: list[LivespotError] = []
    found: list[Rehearsal] = []
    async with anyio.create_task_group() as tasks, HttpxTransport(clock) as http:
        serve = partial(serve_exchange, exchange, clock, source=market)
        address: ExchangeAddress = await tasks.start(serve)
        try:
            stage = await _stage(address, clock, http, settings)
            found.append(await rehearse(stage, symbol, settings.exit))
        except LivespotError as error:
            # Raised inside the task group it would arrive as an exception group.
            failures.append(error)
        tasks.cancel_scope.cancel()
    for failure in failures:
        raise PreflightFailed(f"the rehearsal broke off: {failure}") from failure
    return msgspec.structs.replace(found[0], at_ms=wall.now_ms())


async def _stage(
    address: ExchangeAddress, clock: Clock, http: HttpxTransport, settings: Settings
) -> Stage:
    secrets = demo_secrets()
    signer = load_signer(secrets.binance_api_key, secrets.binance_api_secret)
    caller = RestCaller(transport=http, base_url=address.rest_url, clock=clock, signer=signer)
    await caller.server_clock.resync()
    rest = BinanceRest(caller)
    seconds = settings.timing.mutation_timeout_ms / _MS_PER_SECOND
    return Stage(
        venue=EMBEDDED,
        orders=RestOrders(caller, timeout_seconds=seconds),
        account=rest,
        market=rest,
        clock=clock,
    )
