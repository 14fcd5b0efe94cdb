"""Engine events as journal rows."""

from collections.abc import Sequence
from decimal import Decimal

from livespot.exchange.journal import BalanceRow, FillRow, Journal, ListRow, OrderRow
from livespot.exchange.model import (
    OPEN_STATUSES,
    AccountPosition,
    Event,
    ExecutionReport,
    ListStatus,
)

_ZERO = Decimal(0)


class OrderJournal:
    """Writes what happened to orders and balances; knows each list's client id."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lists: dict[tuple[str, int], str] = {}
        # The ids that orders were placed under, of those an amend has named anew.
        self._placed: dict[tuple[str, int], str] = {}

    def record(self, events: Sequence[Event]) -> None:
        """Write rows for one batch of events, in their order."""
        for event in events:
            if isinstance(event, ListStatus):
                self._lists[event.symbol, event.list_id] = event.client_id
                self._journal.write(_list_row(event))
        for event in events:
            if isinstance(event, ExecutionReport):
                self._order(event)
            elif isinstance(event, AccountPosition):
                self._balances(event)

    def _order(self, event: ExecutionReport) -> None:
        client_id = self._placed_under(event)
        self._journal.write(
            OrderRow(
                oid=event.order_id,
                cid=client_id,
                list_cid=self._lists.get((event.symbol, event.list_id), ""),
                sym=event.symbol,
                side=event.side,
                type=event.type,
                qty=event.orig_qty or _ZERO,
                exec=event.executed,
                stop=event.stop_price or _ZERO,
                price=event.price,
                status=event.status,
                t_new=event.created_ms,
                t_end=0 if event.status in OPEN_STATUSES else event.time_ms,
                reason=_reason(event),
            )
        )
        if event.execution_type == "TRADE":
            self._journal.write(
                FillRow(
                    tid=event.trade_id,
                    oid=event.order_id,
                    cid=client_id,
                    sym=event.symbol,
                    side=event.side,
                    qty=event.last_qty,
                    px=event.last_price,
                    fee=event.commission,
                    fee_asset=event.commission_asset or "",
                    t_ms=event.time_ms,
                )
            )

    def _placed_under(self, event: ExecutionReport) -> str:
        key = event.symbol, event.order_id
        client_id = self._placed.get(key) or event.orig_client_id or event.client_id
        if event.status not in OPEN_STATUSES:
            self._placed.pop(key, None)
        elif event.execution_type == "REPLACED":
            self._placed[key] = client_id
        return client_id

    def _balances(self, event: AccountPosition) -> None:
        for asset, free, locked in event.balances:
            self._journal.write(
                BalanceRow(
                    account=event.account_id,
                    asset=asset,
                    free=free,
                    locked=locked,
                    t_ms=event.time_ms,
                )
            )


def _list_row(event: ListStatus) -> ListRow:
    return ListRow(
        list_id=event.list_id,
        list_cid=event.client_id,
        sym=event.symbol,
        contingency=event.contingency,
        status=event.order_status,
        oids=[number for number, _ in event.orders],
        t_ms=event.time_ms,
    )


def _reason(event: ExecutionReport) -> str:
    return event.reject_reason if event.reject_reason != "NONE" else event.expiry_reason
