"""Reads the ledger back for the actors, as the messages that were stored."""

from collections.abc import Iterable

import msgspec

from livespot.contracts.day import DayRows
from livespot.contracts.orders import Alias, OrderIntent, OrderView, Position
from livespot.contracts.queries import LastRun, StoredFill, StoredOrder
from livespot.contracts.records import GateEventRow, ManualExposureRow, ReserveRow, SymbolHealth
from livespot.contracts.vocabulary import EventType, Mode, SysMode
from livespot.store.day_queries import (
    read_day,
    read_final_days,
    read_first_start_ms,
    read_open_positions,
)
from livespot.store.reader import Reader, Row, first
from livespot.store.stored_rows import SELECT_FILLS, stored_fill

_INTENT_FIELDS = tuple(field.name for field in msgspec.structs.fields(OrderIntent))
_ORDER_FIELDS = tuple(field.name for field in msgspec.structs.fields(OrderView))
_RESERVE_FIELDS = tuple(field.name for field in msgspec.structs.fields(ReserveRow))
_HEALTH_FIELDS = tuple(field.name for field in msgspec.structs.fields(SymbolHealth))

_INTENTS = f"SELECT {', '.join(_INTENT_FIELDS)} FROM order_intents "  # noqa: S608
_OPEN_ORDERS = (
    f"SELECT {', '.join(_ORDER_FIELDS)}, order_intent_id, role FROM orders "  # noqa: S608
    "WHERE status IN ('NEW', 'PENDING_NEW', 'PARTIALLY_FILLED', 'UNKNOWN') "
    "ORDER BY symbol, order_id"
)
_FILLS = SELECT_FILLS + "WHERE decision_id = ? ORDER BY exchange_time_ms, trade_id"
_RESERVES = (
    f"SELECT {', '.join(_RESERVE_FIELDS)} FROM reserves "  # noqa: S608
    "WHERE state IN ('RESERVED', 'BOUND') ORDER BY decision_id"
)
_HEALTH = f"SELECT {', '.join(_HEALTH_FIELDS)} FROM symbol_health ORDER BY symbol"  # noqa: S608
_EXPOSURE_FIELDS = tuple(field.name for field in msgspec.structs.fields(ManualExposureRow))
_EXPOSURES = f"SELECT {', '.join(_EXPOSURE_FIELDS)} FROM manual_exposures "  # noqa: S608
# A call that the budget refused was never sent, so it has no latency.
_GATE_CALLS = (
    "SELECT at_ms FROM ai_gate_events WHERE enabled = 1 AND at_ms >= ? "
    "AND (error_code <> 'AIGATE_BUDGET' OR latency_ms > 0) ORDER BY at_ms, id"
)
_GATE_FIELDS = tuple(field.name for field in msgspec.structs.fields(GateEventRow))
_GATE_EVENTS = (
    f"SELECT {', '.join(_GATE_FIELDS)} FROM ai_gate_events "  # noqa: S608
    "WHERE run_id = ? AND enabled = 1 ORDER BY id"
)
_LAST_RUN = """
SELECT r.run_id, r.mode, r.started_at_ms, r.ended_at_ms, r.exit_code,
       coalesce((SELECT CASE mode WHEN 'EXIT' THEN previous ELSE mode END
                 FROM sysmodes WHERE run_id = r.run_id ORDER BY id DESC LIMIT 1),
                (SELECT CASE mode WHEN 'EXIT' THEN previous ELSE mode END
                 FROM sysmodes ORDER BY id DESC LIMIT 1)),
       (SELECT max(seq) FROM audit_events WHERE run_id = r.run_id),
       (SELECT hash FROM audit_events ORDER BY id DESC LIMIT 1)
FROM runs r ORDER BY r.rowid DESC LIMIT 1
"""


class LedgerQueries:
    """Implements `LedgerReader`. Every method raises `StoreBusy` or `AuditUnwritable`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def last_run(self) -> LastRun | None:
        row = await first(self._reader, _LAST_RUN)
        if row is None:
            return None
        run_id, mode, started_at_ms, ended_at_ms, exit_code, sysmode, seq, last_hash = row
        return LastRun(
            run_id=run_id,
            mode=Mode(mode),
            # A run that died before it wrote a mode counts as being in the mode the previous run
            # left.
            sysmode=SysMode.DEGRADE if sysmode is None else SysMode(sysmode),
            ended=ended_at_ms != 0,
            exit_code=exit_code,
            last_seq=seq or 0,
            last_hash=last_hash or "",
            started_at_ms=started_at_ms,
        )

    async def latest_event_data(self, event_type: EventType) -> str | None:
        return await self._text(
            "SELECT data FROM audit_events WHERE event_type = ? ORDER BY id DESC LIMIT 1",
            event_type,
        )

    async def quick_unclean_runs(self, *, since_ms: int) -> int:
        row = await first(
            self._reader,
            "SELECT count(*) FROM runs WHERE started_at_ms >= ? AND (ended_at_ms = 0 OR clean = 0)",
            (since_ms,),
        )
        return int(row[0]) if row is not None else 0

    async def unsettled_intents(self) -> tuple[OrderIntent, ...]:
        return _intents(
            await self._reader.rows(
                _INTENTS
                + "WHERE state IN ('CREATED', 'SENT_UNKNOWN') ORDER BY created_at_ms, rowid"
            )
        )

    async def intent(self, order_intent_id: str) -> OrderIntent | None:
        found = await self._reader.rows(_INTENTS + "WHERE order_intent_id = ?", (order_intent_id,))
        return _intents(found)[0] if found else None

    async def intents_of_decision(self, decision_id: str) -> tuple[OrderIntent, ...]:
        return _intents(
            await self._reader.rows(
                _INTENTS + "WHERE decision_id = ? ORDER BY created_at_ms, rowid", (decision_id,)
            )
        )

    async def aliases_of(self, order_intent_id: str) -> tuple[Alias, ...]:
        return _aliases(
            await self._reader.rows(
                "SELECT client_order_id, order_intent_id, role FROM intent_client_ids "
                "WHERE order_intent_id = ? ORDER BY rowid",
                (order_intent_id,),
            )
        )

    async def alias(self, client_order_id: str) -> Alias | None:
        found = await self._reader.rows(
            "SELECT client_order_id, order_intent_id, role FROM intent_client_ids "
            "WHERE client_order_id = ?",
            (client_order_id,),
        )
        return _aliases(found)[0] if found else None

    async def order_owner(self, symbol: str, order_id: int) -> str | None:
        sql = "SELECT order_intent_id FROM orders WHERE symbol = ? AND order_id = ?"
        row = await first(self._reader, sql, (symbol, order_id))
        return None if row is None else str(row[0])

    async def open_orders(self) -> tuple[StoredOrder, ...]:
        return tuple(_stored_order(row) for row in await self._reader.rows(_OPEN_ORDERS))

    async def open_positions(self) -> tuple[Position, ...]:
        return await read_open_positions(self._reader)

    async def fills_of_decision(self, decision_id: str) -> tuple[StoredFill, ...]:
        return tuple(stored_fill(row) for row in await self._reader.rows(_FILLS, (decision_id,)))

    async def trade_ids(self, symbol: str) -> frozenset[int]:
        found = await self._reader.rows("SELECT trade_id FROM fills WHERE symbol = ?", (symbol,))
        return frozenset(int(row[0]) for row in found)

    async def decision_json(self, decision_id: str) -> str | None:
        return await self._text(
            "SELECT decision_json FROM decisions WHERE decision_id = ? ORDER BY id DESC LIMIT 1",
            decision_id,
        )

    async def snapshot_json(self, snapshot_id: str) -> str | None:
        return await self._text(
            "SELECT snapshot_json FROM snapshots WHERE snapshot_id = ?", snapshot_id
        )

    async def reserves(self) -> tuple[ReserveRow, ...]:
        return tuple(
            msgspec.convert(
                {"type": "ReserveRow", **dict(zip(_RESERVE_FIELDS, row, strict=True))},
                ReserveRow,
                strict=False,
            )
            for row in await self._reader.rows(_RESERVES)
        )

    async def risk_counters(self) -> str | None:
        row = await first(self._reader, "SELECT counters_json FROM risk_counters WHERE only = 1")
        return None if row is None else str(row[0])

    async def gate_calls(self, *, since_ms: int) -> tuple[int, ...]:
        rows = await self._reader.rows(_GATE_CALLS, (since_ms,))
        return tuple(int(at_ms) for (at_ms,) in rows)

    async def gate_events(self, run_id: str) -> tuple[GateEventRow, ...]:
        """Return every attempt of a run to ask the gate, in order; a replay answers from these."""
        return tuple(
            msgspec.convert(
                {
                    "type": "GateEventRow",
                    **dict(zip(_GATE_FIELDS, row, strict=True)),
                    "reasons": msgspec.json.decode(row[_GATE_FIELDS.index("reasons")]),
                },
                GateEventRow,
                strict=False,
            )
            for row in await self._reader.rows(_GATE_EVENTS, (run_id,))
        )

    async def symbol_health(self) -> tuple[SymbolHealth, ...]:
        return tuple(
            msgspec.convert(
                {"type": "SymbolHealth", **dict(zip(_HEALTH_FIELDS, row, strict=True))},
                SymbolHealth,
                strict=False,
            )
            for row in await self._reader.rows(_HEALTH)
        )

    async def open_exposures(self) -> tuple[ManualExposureRow, ...]:
        return _exposures(
            await self._reader.rows(
                _EXPOSURES + "WHERE closed_at_ms = 0 ORDER BY opened_at_ms, exposure_id"
            )
        )

    async def exposures(self, *, limit: int) -> tuple[ManualExposureRow, ...]:
        """Return open registrations first, then closed ones; within each the newest first."""
        return _exposures(
            await self._reader.rows(
                _EXPOSURES + "ORDER BY closed_at_ms <> 0, opened_at_ms DESC LIMIT ?", (limit,)
            )
        )

    async def command_outcome(self, nonce: str) -> str | None:
        """Return the outcome of an operator command; None while nothing has taken it."""
        return await self._text("SELECT outcome FROM operator_commands WHERE nonce = ?", nonce)

    async def day_rows(self, begin_ms: int, end_ms: int) -> DayRows:
        return await read_day(self._reader, begin_ms, end_ms)

    async def final_days(self, since: str) -> tuple[str, ...]:
        return await read_final_days(self._reader, since)

    async def first_start_ms(self) -> int | None:
        return await read_first_start_ms(self._reader)

    async def _text(self, sql: str, key: str) -> str | None:
        row = await first(self._reader, sql, (key,))
        return None if row is None else str(row[0])


def _exposures(rows: Iterable[Row]) -> tuple[ManualExposureRow, ...]:
    return tuple(
        msgspec.convert(
            {"type": "ManualExposureRow", **dict(zip(_EXPOSURE_FIELDS, row, strict=True))},
            ManualExposureRow,
            strict=False,
        )
        for row in rows
    )


def _intents(rows: Iterable[Row]) -> tuple[OrderIntent, ...]:
    return tuple(
        msgspec.convert(dict(zip(_INTENT_FIELDS, row, strict=True)), OrderIntent) for row in rows
    )


def _aliases(rows: Iterable[Row]) -> tuple[Alias, ...]:
    names = ("client_order_id", "order_intent_id", "role")
    return tuple(msgspec.convert(dict(zip(names, row, strict=True)), Alias) for row in rows)


def _stored_order(row: Row) -> StoredOrder:
    order = msgspec.convert(
        dict(zip(_ORDER_FIELDS, row[:-2], strict=True)), OrderView, strict=False
    )
    return StoredOrder(order=order, order_intent_id=row[-2], role=row[-1])
