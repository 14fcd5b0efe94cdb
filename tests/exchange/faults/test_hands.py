"""What another hand does in the account stands in the book and the journal like any order."""

from decimal import Decimal
from pathlib import Path
from typing import Any

from livespot.exchange.faults.loader import plan_of
from livespot.exchange.journal import FillRow, ModeRow, OrderRow, Row, read_journal
from livespot.exchange.settings import ExchangeSettings

SOL = frozenset({"SOLUSDT"})
BUY = {"symbol": "SOLUSDT", "side": "BUY", "type": "MARKET", "quantity": "1.00"}
STOP = {"symbol": "SOLUSDT", "side": "SELL", "type": "LIMIT", "timeInForce": "GTC",
        "quantity": "0.40", "price": "60.0000"}  # fmt: skip
PING = {"path": "/api/v3/ping"}


def under(path: Path, what: dict[str, Any]) -> ExchangeSettings:
    """The fault takes effect when the first ping comes in."""
    row = {"id": "hand", "what": what, "match": PING, "when": {"nth": 1}}
    return ExchangeSettings(symbols=SOL, journal=path, plan=plan_of({"faults": [row]}))


async def after_a_ping(exchange: Any, path: Path, what: dict[str, Any]) -> list[Row]:
    """Somebody bought one coin and offers some of it; then the other hand acts."""
    async with exchange(under(path, what)) as venue:
        await venue.signed("POST", "order", **BUY, newClientOrderId="mine")
        await venue.signed("POST", "order", **STOP, newClientOrderId="offer")
        await venue.http.get("/api/v3/ping")
    return list(read_journal(path))


def said(rows: list[Row]) -> str:
    hits = [row.hit for row in rows if isinstance(row, ModeRow) and row.event == "fire"]
    return hits[-1].rpartition(": ")[2]


def last(rows: list[Row], name: str) -> OrderRow:
    return [row for row in rows if isinstance(row, OrderRow) and row.cid == name][-1]


async def test_an_order_by_hand_rests_behind_the_best_price(exchange: Any, tmp_path: Path) -> None:
    what = {"verb": "hand.order", "symbol": "SOLUSDT", "quote": "50", "away_bps": 300}
    rows = await after_a_ping(exchange, tmp_path / "journal.jsonl", what)

    order = last(rows, "web_of_another_hand")
    bought = next(row for row in rows if isinstance(row, FillRow) and row.cid == "mine")
    assert (order.side, order.type, order.status) == ("BUY", "LIMIT", "NEW")
    assert bought.px * 96 < order.price * 100 < bought.px * 98
    assert 45 < order.price * order.qty <= 50


async def test_a_market_order_by_hand_is_done_at_once(exchange: Any, tmp_path: Path) -> None:
    what = {"verb": "hand.order", "symbol": "SOLUSDT", "quote": "10", "side": "SELL"}
    rows = await after_a_ping(exchange, tmp_path / "journal.jsonl", what)

    assert last(rows, "web_of_another_hand").status == "FILLED"


async def test_a_cancel_by_hand_hits_what_others_placed(exchange: Any, tmp_path: Path) -> None:
    what = {"verb": "hand.cancel", "symbol": "SOLUSDT"}
    rows = await after_a_ping(exchange, tmp_path / "journal.jsonl", what)

    assert said(rows) == "1 orders cancelled"
    assert last(rows, "offer").status == "CANCELED"


async def test_a_sale_by_hand_takes_all_that_is_there(exchange: Any, tmp_path: Path) -> None:
    what = {"verb": "hand.sell", "symbol": "SOLUSDT"}
    rows = await after_a_ping(exchange, tmp_path / "journal.jsonl", what)

    sold = [row for row in rows if isinstance(row, FillRow) and row.cid == "web_of_another_hand"]
    assert last(rows, "offer").status == "CANCELED"
    # What the fee left of one coin, on the grid of the lots.
    assert sum(row.qty for row in sold) == Decimal("0.99")


async def test_what_cannot_be_done_by_hand_is_said(exchange: Any, tmp_path: Path) -> None:
    what = {"verb": "hand.order", "symbol": "SOLUSDT", "quote": "9999999"}
    rows = await after_a_ping(exchange, tmp_path / "journal.jsonl", what)

    assert any("not done: -" in row.hit for row in rows if isinstance(row, ModeRow))
