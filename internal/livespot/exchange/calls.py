"""A request as every endpoint sees it, whichever face it came through."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from livespot.exchange.core import ExchangeCore
from livespot.exchange.limits import WeightMeter
from livespot.exchange.model import Rejection
from livespot.exchange.read_params import check_symbol_text, illegal, read_limit, whole
from livespot.exchange.settings import ApiKey
from livespot.exchange.signing import missing

_STATUSES = frozenset({"TRADING", "HALT", "BREAK", "END_OF_DAY", "CANCEL_ONLY"})
_ARRAY_RANGE = r'^\["[^"]{1,50}"(,"[^"]{1,50}"){0,}\]$'


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Decoded parameters; `key` is set once the caller has proven who they are.

    `host` is the caller's address, whose limits the call is charged to.
    """

    core: ExchangeCore
    params: Mapping[str, str]
    now_ms: int
    host: str = ""
    key: ApiKey | None = None
    over_websocket: bool = False
    micros: bool = False

    @property
    def account(self) -> str:
        """The account of the caller; empty without a key."""
        return self.key.account_id if self.key is not None else ""

    @property
    def meter(self) -> WeightMeter:
        """The limits of the caller's address."""
        return self.core.meters.of(self.host)

    def need(self, name: str) -> str:
        """A mandatory parameter, or -1102."""
        value = self.params.get(name)
        if not value:
            raise missing(name)
        return value

    def whole(self, name: str) -> int | None:
        """An optional whole number."""
        return whole(self.params, name)

    def limit(self, default: int, most: int) -> int:
        """The `limit` parameter; too much is cut, nonsense is refused."""
        return read_limit(self.params, default, most)

    def symbol(self) -> str:
        """The mandatory `symbol`, known to this exchange."""
        name = self.need("symbol")
        check_symbol_text("symbol", name)
        if name not in self.core.tapes:
            raise bad_symbol()
        return name

    def symbols(self, most: int | None = None) -> tuple[list[str], bool]:
        """The symbols meant by `symbol`, `symbols` or neither, and whether it was a single one."""
        known = self.core.tapes
        if "symbol" in self.params and "symbols" in self.params:
            raise Rejection(-1128, "Combination of optional parameters invalid.")
        if "symbol" in self.params:
            return [self.symbol()], True
        if "symbols" not in self.params:
            return list(known), False
        names = self.names("symbols")
        if most is not None and len(names) > most:
            raise Rejection(
                -1101, f"Too many parameters; expected '{most}' and received '{len(names)}'."
            )
        for name in names:
            check_symbol_text("symbols", name)
        if any(name not in known for name in names):
            raise bad_symbol()
        if len(set(names)) != len(names):
            raise Rejection(-1151, "Symbol is present multiple times in the list.")
        return names, False

    def in_status(self, names: list[str], *, single: bool) -> list[str]:
        """The symbols whose status is `symbolStatus`, if that was sent; -1220 for a single one."""
        status = self.status()
        if status is None:
            return names
        found = [name for name in names if self.core.engine.symbol(name).status == status]
        if single and not found:
            raise Rejection(-1220, "The symbol's status does not match the requested symbolStatus.")
        return found

    def status(self) -> str | None:
        """The optional `symbolStatus`."""
        status = self.params.get("symbolStatus")
        if status is not None and status not in _STATUSES:
            raise Rejection(-1122, "Invalid symbolStatus.")
        return status

    def names(self, parameter: str) -> list[str]:
        """A parameter that holds a JSON array of strings, not empty."""
        try:
            names = msgspec.json.decode(self.need(parameter), type=list[str])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise illegal(parameter, _ARRAY_RANGE) from error
        if not names:
            raise illegal(parameter, _ARRAY_RANGE)
        return names


def bad_symbol() -> Rejection:
    """-1121."""
    return Rejection(-1121, "Invalid symbol.")
