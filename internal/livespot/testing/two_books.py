"""Compares the runtime's database with the exchange's journal, trusting neither."""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import msgspec

from livespot.exchange.journal import FillRow, OrderRow, RequestRow, Row, read_journal
from livespot.runtime.paths import Paths
from livespot.store.chain import verify_chain
from livespot.store.reader import ReadOnlyDatabase

_OPEN = ("NEW", "PENDING_NEW", "PARTIALLY_FILLED")


async def disagreements(paths: Paths) -> list[str]:
    """Everything that both books of an ended simulation do not agree on; empty when sound."""
    journal = list(read_journal(paths.exchange_journal))
    with closing(sqlite3.connect(f"{paths.database.as_uri()}?mode=ro", uri=True)) as database:
        return [
            *_one_order_per_id(journal),
            *_every_order_is_ours(journal, database),
            *_fills_agree(journal, database),
            *_positions_follow_from_fills(journal, database),
            *_one_entry_per_decision(journal, database),
            *_entries_only_in_normal(database),
            *_intents_are_settled(database),
            *_database_is_whole(database),
            *await _chain_holds(paths),
            *_trail_equals_database(paths, database),
        ]


def still_open(paths: Paths) -> list[str]:
    """Client ids of orders that the exchange's journal leaves open."""
    last = _last_of_each(read_journal(paths.exchange_journal))
    return [order.cid for order in last.values() if order.status in _OPEN]


def orders_of(paths: Paths) -> list[OrderRow]:
    """Every state of every order, in the order they came."""
    return [row for row in read_journal(paths.exchange_journal) if isinstance(row, OrderRow)]


def _last_of_each(journal: Iterable[Row]) -> dict[int, OrderRow]:
    return {row.oid: row for row in journal if isinstance(row, OrderRow)}


def _one_order_per_id(journal: list[Row]) -> Iterator[str]:
    ids: dict[str, set[int]] = defaultdict(set)
    accepted: Counter[str] = Counter()
    for row in journal:
        if isinstance(row, OrderRow):
            ids[row.cid].add(row.oid)
        elif isinstance(row, RequestRow) and row.method == "POST" and row.outcome == "200":
            accepted.update(v for k, v in row.params.items() if k.lower().endswith("clientorderid"))
    yield from (f"{cid} became {len(oids)} orders" for cid, oids in ids.items() if len(oids) > 1)
    yield from (f"{cid} was accepted {n} times" for cid, n in accepted.items() if n > 1)


def _every_order_is_ours(journal: list[Row], database: sqlite3.Connection) -> Iterator[str]:
    ours = {row[0] for row in database.execute("SELECT client_order_id FROM intent_client_ids")}
    theirs = {row.cid for row in journal if isinstance(row, OrderRow)}
    yield from (f"order {cid} has no intent" for cid in theirs - ours)


def _fills_agree(journal: list[Row], database: sqlite3.Connection) -> Iterator[str]:
    """Fills by trade id, with equal figures and under the intent whose client id they name.

    A fill read by REST names no client id, so the ledger's intent is what is compared.
    """
    intent_of = dict(
        database.execute("SELECT client_order_id, order_intent_id FROM intent_client_ids")
    )
    told = [
        (r.sym, r.tid, r.oid, r.side, r.qty, r.px, r.fee, r.fee_asset, intent_of.get(r.cid))
        for r in journal
        if isinstance(r, FillRow)
    ]
    kept = [
        (symbol, trade, order, side, *map(Decimal, (qty, price, fee)), asset, intent)
        for symbol, trade, order, side, qty, price, fee, asset, intent in database.execute(
            "SELECT symbol, trade_id, order_id, side, qty, price, commission, commission_asset, "
            "order_intent_id FROM fills"
        )
    ]
    yield from (f"fill missing in the ledger: {fill}" for fill in set(told) - set(kept))
    yield from (f"fill unknown to the exchange: {fill}" for fill in set(kept) - set(told))
    if len(told) != len(set(told)):
        yield "the journal holds a fill twice"


def _positions_follow_from_fills(journal: list[Row], database: sqlite3.Connection) -> Iterator[str]:
    held: dict[str, Decimal] = defaultdict(Decimal)
    for row in journal:
        if isinstance(row, FillRow):
            held[row.sym] += row.qty if row.side == "BUY" else -row.qty
            # Recorded symbols are all quoted in USDT.
            held[row.sym] -= row.fee if row.fee_asset == row.sym.removesuffix("USDT") else 0
    believed: dict[str, Decimal] = defaultdict(Decimal)
    for symbol, qty in database.execute("SELECT symbol, qty FROM positions"):
        believed[symbol] += Decimal(qty)
    for symbol in held.keys() | believed.keys():
        if held[symbol] != believed[symbol]:
            yield f"{symbol}: fills leave {held[symbol]}, the ledger says {believed[symbol]}"


def _one_entry_per_decision(journal: list[Row], database: sqlite3.Connection) -> Iterator[str]:
    decision_of = dict(
        database.execute(
            "SELECT a.client_order_id, i.decision_id FROM intent_client_ids a "
            "JOIN order_intents i USING (order_intent_id)"
        )
    )
    bought: Counter[str] = Counter()
    for order in _last_of_each(journal).values():
        if order.side == "BUY" and order.exec > 0:
            bought[decision_of.get(order.cid, order.cid)] += 1
    yield from (f"{decision} bought {n} times" for decision, n in bought.items() if n > 1)


def _entries_only_in_normal(database: sqlite3.Connection) -> Iterator[str]:
    modes = database.execute("SELECT at_ms, mode FROM sysmodes ORDER BY id").fetchall()
    for sent_ms, cid in database.execute(
        "SELECT t.at_ms, i.client_order_id FROM intent_transitions t JOIN order_intents i "
        "USING (order_intent_id) WHERE t.to_state = 'SENT_UNKNOWN' AND i.side = 'BUY' "
        "AND i.action IN ('SUBMIT', 'CANCEL_REPLACE')"
    ):
        mode = [mode for at_ms, mode in modes if at_ms <= sent_ms][-1:]
        if mode != ["NORMAL"]:
            yield f"{cid} was sent in {mode}"


def _intents_are_settled(database: sqlite3.Connection) -> Iterator[str]:
    for cid, state in database.execute(
        "SELECT client_order_id, state FROM order_intents "
        "WHERE state NOT IN ('CONFIRMED', 'FAILED_TERMINAL', 'NOT_FOUND')"
    ):
        yield f"{cid} is still {state}"
    for intent, state, last in database.execute(
        "SELECT order_intent_id, state, (SELECT to_state FROM intent_transitions t WHERE "
        "t.order_intent_id = i.order_intent_id ORDER BY id DESC LIMIT 1) FROM order_intents i"
    ):
        if last is not None and last != state:
            yield f"{intent} is {state}, its last transition says {last}"


def _database_is_whole(database: sqlite3.Connection) -> Iterator[str]:
    if (found := database.execute("PRAGMA integrity_check").fetchall()) != [("ok",)]:
        yield f"integrity: {found}"
    yield from (f"foreign key: {row}" for row in database.execute("PRAGMA foreign_key_check"))
    for run, clean in database.execute("SELECT run_id, clean FROM runs WHERE ended_at_ms = 0"):
        yield f"run {run} never ended (clean {clean})"


async def _chain_holds(paths: Paths) -> list[str]:
    report = await verify_chain(ReadOnlyDatabase(paths.database))
    return [] if report.broken is None else [f"chain: {report.broken}"]


def _trail_equals_database(paths: Paths, database: sqlite3.Connection) -> Iterator[str]:
    stored = [row[0] for row in database.execute("SELECT hash FROM audit_events ORDER BY id")]
    written = [_hash_of(line) for line in _lines(paths.logs)]
    if stored != written:
        yield f"the trail ({len(written)} events) is not the database ({len(stored)})"


def _lines(logs: Path) -> Iterator[bytes]:
    for file in sorted(logs.glob("audit-*.jsonl")):
        yield from file.read_bytes().splitlines()


def _hash_of(line: bytes) -> str:
    return str(msgspec.json.decode(line)["hash"])
