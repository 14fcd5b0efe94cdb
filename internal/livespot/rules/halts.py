"""What untradable symbols demand of the mode, and of the operator."""

from collections.abc import Mapping, Set
from dataclasses import dataclass

from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import SymbolInfo
from livespot.contracts.vocabulary import SignalLevel

EXCHANGE = "exchange"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One demand on the mode; with `needs_eyes` the operator is alerted every hour."""

    level: SignalLevel
    reason: ReasonCode
    detail: str
    needs_eyes: bool


def troubles(
    infos: Mapping[str, SymbolInfo], held: Set[str], refused: Set[str]
) -> dict[str, Trouble]:
    """Demands by symbol, or by `EXCHANGE` for all; none before any rules have been read.

    A symbol that is not held only loses its own eligibility. `refused` are symbols whose orders the
    exchange has just refused because it takes none, whatever their status says.
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
