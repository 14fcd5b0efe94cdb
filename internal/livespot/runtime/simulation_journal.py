"""Converts the embedded exchange's journal into the plain rows that evidence compares."""

from collections.abc import Iterable
from pathlib import Path

from livespot.evidence.journal import (
    JournalBalance,
    JournalFill,
    JournalOrder,
    JournalRequest,
    JournalRows,
)
from livespot.exchange.journal import (
    BalanceRow,
    FillRow,
    OrderRow,
    RequestRow,
    Row,
    read_journal,
)


def read_rows(path: Path) -> JournalRows:
    """Read a whole journal file. Raises `JournalInvalid`, and `OSError` when it cannot be read."""
    return rows_of(str(path), read_journal(path))


def rows_of(source: str, rows: Iterable[Row]) -> JournalRows:
    """Convert rows that were read already; `source` says where from."""
    orders: list[JournalOrder] = []
    fills: list[JournalFill] = []
    requests: list[JournalRequest] = []
    balances: list[JournalBalance] = []
    newest_ms = 0
    for number, row in enumerate(rows, start=1):
        newest_ms = max(newest_ms, _time_of(row))
        match row:
            case OrderRow():
                orders.append(_order(number, newest_ms, row))
            case FillRow():
                fills.append(_fill(number, row))
            case RequestRow():
                requests.append(_request(number, row))
            case BalanceRow():
                balances.append(_balance(number, row))
            case _:
                pass
    return JournalRows(
        source=source,
        orders=tuple(orders),
        fills=tuple(fills),
        requests=tuple(requests),
        balances=tuple(balances),
    )


def _time_of(row: Row) -> int:
    match row:
        case OrderRow():
            return max(row.t_new, row.t_end)
        case RequestRow():
            return row.t_arrive
        case _:
            return row.t_ms


def _order(number: int, newest_ms: int, row: OrderRow) -> JournalOrder:
    return JournalOrder(
        row=number,
        at_ms=newest_ms,
        symbol=row.sym,
        order_id=row.oid,
        client_order_id=row.cid,
        list_client_order_id=row.list_cid,
        side=row.side,
        type=row.type,
        qty=row.qty,
        executed_qty=row.exec,
        price=row.price,
        stop_price=row.stop,
        status=row.status,
        created_ms=row.t_new,
    )


def _fill(number: int, row: FillRow) -> JournalFill:
    return JournalFill(
        row=number,
        at_ms=row.t_ms,
        symbol=row.sym,
        trade_id=row.tid,
        order_id=row.oid,
        client_order_id=row.cid,
        side=row.side,
        qty=row.qty,
        price=row.px,
        fee=row.fee,
        fee_asset=row.fee_asset,
    )


def _request(number: int, row: RequestRow) -> JournalRequest:
    return JournalRequest(
        row=number,
        arrived_ms=row.t_arrive,
        method=row.method,
        path=row.path,
        params=row.params,
        outcome=row.outcome,
    )


def _balance(number: int, row: BalanceRow) -> JournalBalance:
    return JournalBalance(
        row=number, at_ms=row.t_ms, asset=row.asset, free=row.free, locked=row.locked
    )
