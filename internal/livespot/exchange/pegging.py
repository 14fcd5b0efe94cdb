"""Finds the price of a pegged order in the book as it stands."""

from decimal import Decimal

from msgspec.structs import replace

from livespot.exchange.book import opposite
from livespot.exchange.model import ZERO, Peg, Rejection, Side
from livespot.exchange.params import OrderRequest
from livespot.exchange.state import Market

TOO_THIN = "Order book liquidity is too low for this pegged order."


def pegged_price(market: Market, side: Side, peg: Peg) -> Decimal:
    """The best price of the side the peg follows, or the level `offset` steps behind it.

    Raises:
        Rejection: -2010, the book has no such level.
    """
    follows = side if peg.price_type == "PRIMARY_PEG" else opposite(side)
    depth = peg.offset or 0
    levels = market.book.merged(follows, depth + 1)
    if depth >= len(levels):
        raise Rejection(-2010, TOO_THIN)
    return levels[depth][0]


def at_peg(market: Market, request: OrderRequest) -> OrderRequest:
    """The request with the price it would have now; unchanged without a peg.

    Raises:
        Rejection: -2010, the book has no such level.
    """
    if request.peg is None:
        return request
    return replace(request, price=pegged_price(market, request.side, request.peg))


def prepared(market: Market, request: OrderRequest, *, waits: bool = False) -> OrderRequest:
    """The request as it enters the engine: a pegged one priced now, or, waiting, not yet.

    Triggered types always wait; `waits` is for legs whose working order comes first.

    Raises:
        Rejection: -2010, the book has no such level.
    """
    if request.peg is not None and (waits or request.is_algo):
        return replace(request, price=ZERO)
    return at_peg(market, request)


def priced(
    market: Market, request: OrderRequest, *, waits: bool = False
) -> tuple[OrderRequest, ...]:
    """The request at every price its filters must hold: the pegged and the stated one.

    One that waits may be accepted while the book is too thin: it is looked at again when it
    goes to the book.
    """
    if request.peg is None:
        return (request,)
    try:
        found = [at_peg(market, request)]
    except Rejection:
        if not (waits or request.is_algo):
            raise
        found = []
    if request.peg.stated > 0:
        found.append(replace(request, price=request.peg.stated))
    return tuple(found)
