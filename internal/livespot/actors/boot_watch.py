"""Watches, from the first moment of a life, what an earlier one left without a stop.

Whoever protects it may still be waiting for the exchange's answers: this reads the ledger alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

from livespot.contracts.orders import Position
from livespot.contracts.ports import Clock
from livespot.contracts.queries import LedgerReader
from livespot.contracts.vocabulary import PositionPhase

# A second less than the time within which a boot must have protected, or have paused and said so.
BARE_MS = 14_000
_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BootWatch:
    """`born_ms` is when this process's life began, on the steady clock.

    `compared` tells whether the ledger has been compared with the exchange.
    """

    ledger: LedgerReader
    clock: Clock
    born_ms: int
    compared: Callable[[], bool]

    async def still_bare(self) -> tuple[str, ...]:
        """The symbols that are bare from the first look until the boot's time is up.

        What becomes bare later has a deadline of its own. Returns at once when nothing is.
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
            # What it holds is too small for a stop, unless the life ended before it looked.
            return not self.compared() and bool(
                await self.ledger.fills_of_decision(row.decision_id)
            )
        closing = row.phase is PositionPhase.CLOSING and row.protected_qty == 0
        return row.phase is PositionPhase.UNPROTECTED or closing
