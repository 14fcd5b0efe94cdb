"""One UTC day of trading: its sums, and the rows they are computed from."""

from decimal import Decimal

from livespot.contracts.base import Message
from livespot.contracts.orders import Position
from livespot.contracts.queries import StoredFill


class ModeStep(Message, frozen=True):
    """A run's mode from `at_ms` on."""

    run_id: str
    mode: str
    at_ms: int


class RunSpan(Message, frozen=True):
    """The time of a run; `until_ms` is its end, or the last event known of it."""

    run_id: str
    from_ms: int
    until_ms: int
    clean: bool


class DayRows(Message, frozen=True):
    """What the ledger holds of one day.

    `fills` by the exchange's time; `closed` are the positions that ended in it; `open` and `dust`
    what is held at the time of reading; `runs` those within the day with all their `modes`;
    `alerts` counts by severity.
    """

    fills: tuple[StoredFill, ...]
    closed: tuple[Position, ...]
    open: tuple[Position, ...]
    dust: tuple[Position, ...]
    runs: tuple[RunSpan, ...]
    modes: tuple[ModeStep, ...]
    alerts: dict[str, int]


class SymbolDay(Message, frozen=True):
    """The trades on one symbol; quantities are gross, fees are separate, by asset."""

    symbol: str
    buys: int
    sells: int
    bought: Decimal
    sold: Decimal
    paid: Decimal
    received: Decimal
    fees: dict[str, Decimal]


class DaySummary(Message, frozen=True):
    """The sums of one UTC day, in quote unless stated otherwise; times in ms.

    `paid`, `received` and `fees` (by asset) follow the fills to the last digit. `realised`, net of
    fees, and `trades` belong to the day on which a position was closed. `unpriced_fees` counts
    fills whose fee is missing in `fees_quote`. `unprotected_*` are None when nothing was closed.
    `complete` once the day is over and late reports have had their time.
    """

    day: str
    until_ms: int
    complete: bool
    fills: int
    paid: Decimal
    received: Decimal
    fees: dict[str, Decimal]
    fees_quote: Decimal
    unpriced_fees: int
    trades: int
    wins: int
    losses: int
    realised: Decimal
    unprotected_max_ms: int | None
    unprotected_p99_ms: int | None
    unprotected_total_ms: int
    modes_ms: dict[str, int]
    runs: int
    unclean_runs: int
    alerts: dict[str, int]
    dust: dict[str, Decimal]
    held: tuple[str, ...]
    symbols: tuple[SymbolDay, ...]
