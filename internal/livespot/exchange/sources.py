"""What a market to play is, wherever its minutes come from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from livespot.exchange.market import MarketEvent
from livespot.exchange.model import SymbolSpec
from livespot.exchange.tape import History

WARM_UP_MINUTES = 5
_FULL_WARM_UP = 40


@dataclass(frozen=True, slots=True)
class StatusTurn:
    """From `t_ms` on the symbol has this status."""

    t_ms: int
    status: str


Happening = MarketEvent | StatusTurn


class PlayedHistory(History, Protocol):
    """Minutes that can also be played.

    Every answer depends on its arguments alone, so that a minute may be asked for in any order.
    """

    def events(self, key: str, open_ms: int) -> tuple[Happening, ...]:
        """What happens in one minute, in time order; `key` seeds what no record says."""
        ...


class MarketSource(Protocol):
    """A whole market. `sha256` stands for everything its minutes follow from."""

    @property
    def data_id(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def start_ms(self) -> int:
        """The first instant anything is known of."""
        ...

    @property
    def end_ms(self) -> int | None:
        """The instant after the last one; None for a market without end."""
        ...

    @property
    def warm_up_minutes(self) -> int:
        """Minutes to play at once before the present, so that averages have a past."""
        ...

    @property
    def series(self) -> Mapping[str, PlayedHistory]:
        """The minutes of each symbol."""
        ...

    @property
    def symbols(self) -> tuple[SymbolSpec, ...]:
        """The trading rules of each symbol."""
        ...

    def warm(self, now_ms: int, step: int) -> bool:
        """Work out one piece of what will soon be asked for; false from the last step on."""
        ...


def usual_warm_up(symbols: int) -> int:
    """For so many symbols; the more there are, the longer each minute takes."""
    return WARM_UP_MINUTES if symbols <= _FULL_WARM_UP else 1
