"""The lines that `livespot exchange` prints once it serves."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from livespot.exchange.continued import ContinuedMarket
from livespot.exchange.data_sets import DATA_SETS, recorded_until
from livespot.exchange.demo_key import ED25519_API_KEY
from livespot.exchange.settings import DEMO_KEY, DEMO_SECRET, ExchangeSettings
from livespot.exchange.sources import MarketSource
from livespot.exchange.state_file import ExchangeAddress


def screen(
    settings: ExchangeSettings,
    address: ExchangeAddress,
    source: MarketSource,
    private_key: Path | None,
) -> Iterator[str]:
    """Yield the lines in the order in which a person who wants to connect needs them."""
    yield f"exchange on {address.rest_url}, streams on {address.stream_url}"
    yield "A private imitation of Binance Spot for this machine. No money, no network, no account."
    yield ""
    yield f"  REST            {address.rest_url}/api/v3"
    yield f"  streams         {address.stream_url}/ws and {address.stream_url}/stream"
    yield f"  WebSocket API   {address.ws_api_url}"
    yield ""
    yield f"  api key: {DEMO_KEY}"
    yield f"  secret: {DEMO_SECRET}"
    if private_key is not None:
        yield f"  Ed25519 api key: {ED25519_API_KEY}"
        yield f"  Ed25519 private key file: {private_key}"
    funds = settings.accounts[0].balances
    yield "  funds           " + ", ".join(f"{amount} {asset}" for asset, amount in funds.items())
    yield ""
    yield f"  market time     {_time(settings)}"
    yield f"  data            {_data(settings, source)}, seed {settings.seed}"
    yield from (f"                  {line}" for line in _future(settings, source))
    journal = "none; --journal FILE keeps one" if settings.journal is None else settings.journal
    yield f"  journal         {journal}"
    yield "  stop            Ctrl-C"


def _time(settings: ExchangeSettings) -> str:
    shared = settings.shared_clock
    if shared is None:
        return "wall time"
    if shared.speed == 1 and shared.wall_ms == shared.market_ms:
        return "wall time, speed 1"
    return f"from {_instant(shared.market_ms)}, speed {shared.speed}"


def _data(settings: ExchangeSettings, source: MarketSource) -> str:
    name = str(settings.data)
    about = next((one.about for one in DATA_SETS if one.name == name), f"data {source.data_id}")
    count = len(source.series)
    return f"{name}: {about}; {count} symbol{'' if count == 1 else 's'}"


def _future(settings: ExchangeSettings, source: MarketSource) -> Iterator[str]:
    until = recorded_until(source)
    if until is None:
        yield "it never ends"
        return
    moved = "moved to today; " if settings.shifted else ""
    yield f"{moved}the record lasts until {_instant(until)},"
    if isinstance(source, ContinuedMarket):
        days, minutes = divmod(source.period, 1440)
        span = f"{days} days" if days else f"{minutes} minutes"
        yield f"then its last {span} repeat for ever, joined without a jump"
    else:
        yield "then the market stands still: last prices stay, nothing trades"


def _instant(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
