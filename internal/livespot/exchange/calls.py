"""A request as every endpoint sees it, whichever face it came through."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from livespot.exchange.core import ExchangeCore
from livespot.exchange.model import Rejection
from livespot.exchange.signing import missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Decoded parameters; `account` is set once the caller has proven who they are."""

    core: ExchangeCore
    params: Mapping[str, str]
    now_ms: int
    account: str = ""
    over_websocket: bool = False

    def need(self, name: str) -> str:
        """A mandatory parameter, or -1102."""
        value = self.params.get(name)
        if not value:
            raise missing(name)
        return value

    def whole(self, name: str, default: int | None = None) -> int | None:
        """An optional integer parameter, or -1102 when it is not one."""
        text = self.params.get(name)
        if text is None:
            return default
        if not text.lstrip("-").isdigit() or not text.isascii():
            raise missing(name)
        return int(text)

    def limit(self, default: int, most: int) -> int:
        """The `limit` parameter; too much is cut, nonsense is refused."""
        value = self.whole("limit", default)
        if value is None or value < 1:
            raise Rejection(
                -1100,
                "Illegal characters found in parameter 'limit'; legal range is '^[0-9]{1,20}$'.",
            )
        return min(value, most)

    def symbol(self) -> str:
        """The mandatory `symbol`, known to this exchange."""
        name = self.need("symbol")
        if name not in self.core.tapes:
            raise bad_symbol()
        return name

    def symbols(self) -> tuple[list[str], bool]:
        """The symbols meant by `symbol`, `symbols` or neither, and whether it was a single one."""
        known = self.core.tapes
        if "symbol" in self.params and "symbols" in self.params:
            raise Rejection(-1101, "Too many parameters; expected '1' and received '2'.")
        if "symbol" in self.params:
            return [self.symbol()], True
        if "symbols" not in self.params:
            return list(known), False
        names = self.names("symbols")
        if any(name not in known for name in names):
            raise bad_symbol()
        if len(set(names)) != len(names):
            raise Rejection(-1151, "Symbol is present multiple times in the list.")
        return names, False

    def names(self, parameter: str) -> list[str]:
        """A parameter that holds a JSON array of strings."""
        try:
            return msgspec.json.decode(self.need(parameter), type=list[str])
        except msgspec.DecodeError as error:
            raise Rejection(
                -1100,
                f"Illegal characters found in parameter '{parameter}'; legal range is "
                '\'^\\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}){0,1}\\]$\'.',
            ) from error


def bad_symbol() -> Rejection:
    """-1121."""
    return Rejection(-1121, "Invalid symbol.")
