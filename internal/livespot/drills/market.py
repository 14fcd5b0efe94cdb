"""The market of every drill: one symbol that the default strategy buys, then a flat price."""

from livespot.exchange.sources import MarketSource
from livespot.testing.search.stage import Leg, StagedSymbol, StagePlan
from livespot.testing.search.staged_market import open_stage

SYMBOL = "SOLUSDT"
QUOTE_ASSET = "USDT"
# Shortly after a full hour, when all candles have begun anew; the date has no meaning.
START_MS = 19_900 * 86_400_000 + 3 * 7_200_000 + 5_000
# Far beyond the longest drill.
_END_MS = 3_600_000


def stage() -> StagePlan:
    """A rising past, then a constant price with many trades, so that every bid is filled."""
    staged = StagedSymbol(
        symbol=SYMBOL,
        shape="rising",
        variant=4,
        plain_stops=True,
        below_bps=40,
        spread_x100=200,
        noise_x100=0,
        buyers_percent=70,
        top_quote=2_000,
        print_quote=2_000,
        quote_ms=400,
        print_ms=700,
        legs=(Leg(ms=1, bps=0),),
    )
    return StagePlan(seed=7, end_ms=_END_MS, symbols=(staged,))


def market() -> MarketSource:
    """The same prices for every drill."""
    return open_stage(stage(), START_MS)
