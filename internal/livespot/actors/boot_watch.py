"""Watches, from the start of a process, the positions that an earlier one left without a stop.

The actor that protects them may still be waiting for the exchange, so only the ledger is read.
"""

from collections.abc import Callable
from dataclasses import dataclass

from livespot.contracts.orders import Position
from livespot.contracts.ports import Clock
from livespot.contracts.queries import LedgerReader
from livespot.contracts.vocabulary import PositionPhase

# One second less than the time in which a boot must have protected every position, or have paused
# and raised an alert.
BARE_MS = 14_000
_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BootWatch:
    """`born_ms` is when this process began, on the monotonic clock.

    `compared` tells whether the ledger has been compared with the exchange.
    """

    ledger: LedgerReader
    clock: Clock
    born_ms: int
    compared: Callable[[], bool]

    async def still_bare(self) -> tuple[str, ...]:
        """The symbols that had no stop at the first look and still have none when the time is up.

        Returns at once when there are none. Positions that lose their stop later have their own
        deadline.
        """
        bare = await self._bare()
        due_ms = self.born_ms + BARE_MS
        while bare and (left_ms := due_ms - self.clock.monotonic_ms()) > 0:
            await self.clock.sleep(min(_LOOK_SECONDS, left_ms / 1000))
            bare &= await self._bare()
        return tuple(sorted(symbol for symbol, _ in bare))

    async def _bare(self) -> set[tuple[str, str]]:
        rows = await self.ledger.open_positions()
        return {(row.symbol, row.position_id) for row in rows if await self._is_bare(row)}

    async def _is_bare(self, row: Position) -> bool:
        if row.phase is PositionPhase.OPENING:
            # An amount too small for a stop, unless the process ended before it had measured it.
            return not self.compared() and bool(
                await self.ledger.fills_of_decision(row.decision_id)
            )
        closing = row.phase is PositionPhase.CLOSING and row.protected_qty == 0
        return row.phase is PositionPhase.UNPROTECTED or closing
