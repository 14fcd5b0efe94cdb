"""What symbols that cannot be traded ask of the mode, and of the operator."""

from collections.abc import Mapping, Set
from dataclasses import dataclass

from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import SymbolInfo
from livespot.contracts.vocabulary import SignalLevel

EXCHANGE = "exchange"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One demand on the mode; `needs_eyes` is said again each hour."""

    level: SignalLevel
    reason: ReasonCode
    detail: str
    needs_eyes: bool


def troubles(
    infos: Mapping[str, SymbolInfo], held: Set[str], refused: Set[str]
) -> dict[str, Trouble]:
    """By symbol, or `EXCHANGE` for all of them. Without any rules read yet, nothing is known.

    A symbol nobody holds only loses its own eligibility. `refused` are those whose orders the
    exchange turned away a moment ago because it takes none, whatever its status says.
    """
    if not infos:
        return {}
    found = {symbol: _refused(symbol) for symbol in refused}
    found |= {
        symbol: trouble
        for symbol in held
        if (trouble := _held(symbol, infos.get(symbol))) is not None
    }
    if not any(info.is_trading for info in infos.values()):
        found[EXCHANGE] = Trouble(
            SignalLevel.DEGRADE,
            ReasonCode.EXCHANGE_MAINTENANCE,
            "no symbol of the exchange is open for trading",
            needs_eyes=False,
        )
    return found


def _held(symbol: str, info: SymbolInfo | None) -> Trouble | None:
    if info is None:
        return Trouble(
            SignalLevel.PAUSE,
            ReasonCode.SYMBOL_NOT_TRADING,
            f"{symbol} is held and no longer listed: see what the exchange made of it",
            needs_eyes=True,
        )
    if info.is_trading:
        return None
    return Trouble(
        SignalLevel.DEGRADE,
        ReasonCode.EXCHANGE_HALTED,
        f"{symbol} is held and {info.status}: its protection stands, nothing is sold",
        needs_eyes=True,
    )


def _refused(symbol: str) -> Trouble:
    return Trouble(
        SignalLevel.DEGRADE,
        ReasonCode.EXCHANGE_HALTED,
        f"the exchange takes no orders for {symbol}",
        needs_eyes=False,
    )
