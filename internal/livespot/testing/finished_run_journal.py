"""The exchange's side of the finished run: its journal, and the two executions both sides tell."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from livespot.contracts.vocabulary import Side
from livespot.exchange import journal as exchange
from livespot.testing import ledger_rows as rows

START_MS = rows.NOW_MS
SYMBOL = "ADAUSDT"
BOUGHT_MS, SOLD_MS, LOST_MS = START_MS + 21_000, START_MS + 50_000, START_MS + 60_000


class Trade(NamedTuple):
    """An execution as both sides tell it."""

    trade_id: int
    order_id: int
    name: str
    side: Side
    qty: str
    price: str
    fee: str
    fee_asset: str
    at_ms: int


BOUGHT = Trade(1, 11, "X_e", Side.BUY, "10.00", "1.0000", "0.01", "ADA", BOUGHT_MS)
SOLD = Trade(2, 12, "X_t", Side.SELL, "9.99", "1.0200", "0.0101898", "USDT", SOLD_MS)


def journal(path: Path) -> Path:
    """The exchange's side of the same story."""
    written = exchange.Journal(path)
    for row in _journal_rows():
        written.write(row)
    written.close()
    return path


def _journal_rows() -> Iterator[exchange.Row]:
    entry_ms = START_MS + 20_502
    listed = {"listClientOrderId": "X_a", "workingSide": "BUY", "symbol": SYMBOL}
    placed = {"newClientOrderId": "X_b", "side": "BUY", "symbol": SYMBOL}
    cancel = {"newClientOrderId": "X_c", "orderId": "21", "symbol": SYMBOL}
    yield exchange.LifeRow(t_ms=START_MS, event="start", seed=7, data_sha256="")
    yield _seen((11, "X_e", "BUY"), ("10.00", "0.00"), "NEW", entry_ms)
    for order_id, name in ((12, "X_t"), (13, "X_s")):
        yield _seen((order_id, name, "SELL"), ("0", "0"), "PENDING_NEW", entry_ms)
    yield _asked("orderList.place.opoco", listed, entry_ms)
    yield _seen((11, "X_e", "BUY"), ("10.00", "10.00"), "FILLED", entry_ms, BOUGHT_MS)
    yield _traded(BOUGHT)
    for order_id, name in ((12, "X_t"), (13, "X_s")):
        yield _seen((order_id, name, "SELL"), ("9.99", "0.00"), "NEW", entry_ms)
    yield exchange.BalanceRow(
        account="demo", asset="ADA", free=Decimal(0), locked=Decimal("9.99"), t_ms=BOUGHT_MS
    )
    yield _seen((12, "X_t", "SELL"), ("9.99", "9.99"), "FILLED", entry_ms, SOLD_MS)
    yield _traded(SOLD)
    yield _seen((13, "X_s", "SELL"), ("9.99", "0.00"), "EXPIRED", entry_ms, SOLD_MS)
    yield _seen((21, "X_b", "BUY"), ("10.00", "0.00"), "NEW", LOST_MS + 2)
    yield _asked("order.place", placed, LOST_MS + 2)
    yield _seen((21, "X_b", "BUY"), ("10.00", "0.00"), "CANCELED", LOST_MS + 2, LOST_MS + 5_003)
    yield _asked("order.cancel", cancel, LOST_MS + 5_003)


def _asked(method: str, params: dict[str, str], at_ms: int) -> exchange.RequestRow:
    return exchange.RequestRow(
        rid=1,
        conn="c",
        t_arrive=at_ms,
        t_reply=at_ms,
        method="WS",
        path=method,
        params={**params, "timestamp": str(at_ms)},
        outcome="200",
        delivered=True,
    )


def _seen(
    order: tuple[int, str, str], qty: tuple[str, str], status: str, new_ms: int, end_ms: int = 0
) -> exchange.OrderRow:
    """`order` is id, client id and side; `qty` is what was asked and what is executed."""
    order_id, name, side = order
    return exchange.OrderRow(
        oid=order_id,
        cid=name,
        list_cid="" if order_id == 21 else "X_a",
        sym=SYMBOL,
        side=side,
        type="LIMIT_MAKER",
        qty=Decimal(qty[0]),
        exec=Decimal(qty[1]),
        stop=Decimal(0),
        price=Decimal(1),
        status=status,
        t_new=new_ms,
        t_end=end_ms,
        reason="",
    )


def _traded(trade: Trade) -> exchange.FillRow:
    return exchange.FillRow(
        tid=trade.trade_id,
        oid=trade.order_id,
        cid=trade.name,
        sym=SYMBOL,
        side=trade.side,
        qty=Decimal(trade.qty),
        px=Decimal(trade.price),
        fee=Decimal(trade.fee),
        fee_asset=trade.fee_asset,
        t_ms=trade.at_ms,
    )
