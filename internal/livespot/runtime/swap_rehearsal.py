"""Proves on one venue that a stop can be swapped without freeing the base by hand first.

The exchange's documentation leaves open whether the balance of the new stop is checked before the
cancel frees it. A rehearsal buys the least that can be protected, swaps a leg of its list for a
higher stop and sells again. Its result is kept with its date, and only a proven one allows swaps.
"""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import anyio
import msgspec

from livespot.contracts.base import Message
from livespot.contracts.errors import LocalRefusal, Refused
from livespot.contracts.market import BookTicker, Constraints, SymbolInfo
from livespot.contracts.orders import (
    CancelReplaceAnswer,
    CancelReplaceRequest,
    CancelRequest,
    LegRequest,
    ListRequest,
    OrderRequest,
    OrderUpdate,
)
from livespot.contracts.ports import Clock
from livespot.contracts.settings import ExitSettings
from livespot.contracts.venue import AccountReader, MarketReader, OrderTransport
from livespot.contracts.vocabulary import (
    ListKind,
    OrderType,
    Side,
    TimeInForce,
    TrailingMode,
)
from livespot.rules.protection_prices import LONGEST_GAP_MS
from livespot.rules.quantize import quantize_price, quantize_qty
from livespot.rules.requests import StopPrices, stop_leg, stop_prices
from livespot.rules.sizing import stop_order_type
from livespot.runtime.config import LoadedSettings, rehashed
from livespot.runtime.disk import RealDisk

EMBEDDED = "embedded exchange"
_WORTH = Decimal(3)


class Rehearsal(Message, frozen=True):
    """The result of one rehearsal.

    `gap_ms` is by the exchange's times, -1 when nothing was swapped.
    """

    venue: str
    symbol: str
    at_ms: int
    proven: bool
    gap_ms: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where a rehearsal takes place. No run may be active on the same account."""

    venue: str
    orders: OrderTransport
    account: AccountReader
    market: MarketReader
    clock: Clock


async def rehearse(stage: Stage, symbol: str, exits: ExitSettings) -> Rehearsal:
    """Buy, protect, swap, and sell again whatever happened in between.

    Raises `LocalRefusal` when the symbol cannot be used, and what the venue's calls raise.
    """
    info = await stage.market.symbol_info(symbol)
    limits, form = info.constraints, stop_order_type(info, exits)
    if limits is None or form is None or not (info.cancel_replace_allowed and info.oco_allowed):
        raise LocalRefusal(f"{symbol} offers no list, stop or cancel-replace to rehearse with")
    book = await stage.market.book_ticker(symbol)
    name = f"rehearsal-{stage.clock.now_ms()}"
    held = await _buy(stage, info, book, name)
    try:
        answer = await _swap(stage, (symbol, held, name), book, (limits, form, exits))
    finally:
        # Whether interrupted or not, nothing may be left behind.
        with anyio.CancelScope(shield=True):
            await _leave(stage, symbol, held, name)
    return _found(stage, symbol, answer)


def keep(path: Path, rehearsal: Rehearsal) -> None:
    """Append a result to the file; the newest result of a venue counts."""
    kept = [*read(path), rehearsal]
    disk = RealDisk()
    disk.make_directory(path.parent)
    disk.write_atomic(path, msgspec.json.format(msgspec.json.encode(kept)))


def read(path: Path) -> list[Rehearsal]:
    """Return all results, oldest first; none from a file that cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Rehearsal])
    except (OSError, msgspec.MsgspecError):
        return []


def is_proven(path: Path, venue: str) -> bool:
    """Whether the newest rehearsal on this venue succeeded."""
    mine = [rehearsal for rehearsal in read(path) if rehearsal.venue == venue]
    return bool(mine) and mine[-1].proven


def proven_only(loaded: LoadedSettings, venue: str, path: Path) -> LoadedSettings:
    """Return settings with VIRTUAL trailing OFF unless a rehearsal on the venue has proved it."""
    return only_if(loaded, proven=is_proven(path, venue))


def only_if(loaded: LoadedSettings, *, proven: bool) -> LoadedSettings:
    """Return settings with VIRTUAL trailing OFF unless `proven`."""
    exits = loaded.settings.exit
    if proven or exits.trailing_policy != TrailingMode.VIRTUAL:
        return loaded
    fixed = msgspec.structs.replace(exits, trailing_policy=TrailingMode.OFF.value)
    return rehashed(loaded, msgspec.structs.replace(loaded.settings, exit=fixed))


async def _buy(stage: Stage, info: SymbolInfo, book: BookTicker, name: str) -> Decimal:
    """Return the bought base, rounded down to what can be sold again."""
    limits = info.constraints
    if limits is None:
        raise LocalRefusal(f"{info.symbol} has no filters")
    wanted = quantize_qty(limits.min_notional * _WORTH / book.ask, limits)
    request = OrderRequest(
        symbol=info.symbol,
        side=Side.BUY,
        type=OrderType.MARKET,
        qty=max(wanted, limits.min_qty),
        client_order_id=f"{name}-buy",
    )
    (bought,) = (await stage.orders.place(request)).updates
    fee = sum(
        (f.commission for f in bought.fills if f.commission_asset == info.base_asset), Decimal(0)
    )
    return quantize_qty(bought.order.executed_qty - fee, limits)


async def _swap(
    stage: Stage,
    position: tuple[str, Decimal, str],
    book: BookTicker,
    rules: tuple[Constraints, OrderType, ExitSettings],
) -> CancelReplaceAnswer:
    symbol, held, name = position
    limits, form, exits = rules

    def stop_at(share: str) -> StopPrices:
        price = quantize_price(book.bid * Decimal(share), limits)
        return stop_prices(price, form, exits, limits)

    placed = await stage.orders.place_list(
        ListRequest(
            kind=ListKind.OCO,
            symbol=symbol,
            list_client_order_id=f"{name}-list",
            side=Side.SELL,
            qty=held,
            above=LegRequest(
                type=OrderType.LIMIT_MAKER,
                client_order_id=f"{name}-tp",
                price=quantize_price(book.ask * Decimal("1.04"), limits),
            ),
            below=stop_leg(stop_at("0.94"), f"{name}-sl"),
        )
    )
    leg = next(u.order for u in placed.updates if u.order.own_id == f"{name}-sl")
    raised = stop_leg(stop_at("0.96"), f"{name}-raised")
    return await stage.orders.cancel_replace(
        CancelReplaceRequest(
            cancel=CancelRequest(
                symbol=symbol, client_order_id=f"{name}-cancel", order_id=leg.order_id
            ),
            order=OrderRequest(
                symbol=symbol,
                side=Side.SELL,
                type=raised.type,
                qty=held,
                client_order_id=raised.client_order_id,
                price=raised.price,
                stop_price=raised.stop_price,
                time_in_force=TimeInForce.GTC if raised.price is not None else None,
            ),
        )
    )


async def _leave(stage: Stage, symbol: str, held: Decimal, name: str) -> None:
    """Cancel our orders and sell what was bought."""
    mine = [
        order for order in await stage.account.open_orders(symbol) if order.own_id.startswith(name)
    ]
    for number, order in enumerate(mine):
        cancel = CancelRequest(
            symbol=symbol, client_order_id=f"{name}-end{number}", order_id=order.order_id
        )
        try:
            await stage.orders.cancel(cancel)
        except Refused:
            # Cancelling one leg of a list cancels the other.
            continue
    if held > 0:
        sale = OrderRequest(
            symbol=symbol,
            side=Side.SELL,
            type=OrderType.MARKET,
            qty=held,
            client_order_id=f"{name}-sell",
        )
        await stage.orders.place(sale)


def _found(stage: Stage, symbol: str, answer: CancelReplaceAnswer) -> Rehearsal:
    gap_ms, detail = -1, ""
    if answer.cancelled is None:
        detail = f"the cancel was refused: {answer.cancel_error}"
    elif answer.placed is None:
        detail = f"cancelled, but the new stop was refused: {answer.place_error}"
    else:
        gap_ms = _gap(answer.cancelled, answer.placed)
        detail = "the list was swapped for a single stop of the same size"
    return Rehearsal(
        venue=stage.venue,
        symbol=symbol,
        at_ms=stage.clock.now_ms(),
        proven=0 <= gap_ms < LONGEST_GAP_MS,
        gap_ms=gap_ms,
        detail=detail,
    )


def _gap(cancelled: OrderUpdate, placed: OrderUpdate) -> int:
    return max(0, placed.order.exchange_time_ms - cancelled.order.exchange_time_ms)
