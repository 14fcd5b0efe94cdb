"""Where stops, targets and trailing levels stood, from what was asked of the exchange. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from livespot.panel.tabs import LevelView

_OVER = ("FLAT", "DUST")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredChange:
    """A change of a position's protection, with the event's data as stored.

    It also holds the prices of legs that came with the entry, which no later event asks for.
    """

    symbol: str
    at_ms: int
    data: str
    attached_stop: str | None = None
    attached_target: str | None = None
    attached_trail_bps: int | None = None


class _Wanted(msgspec.Struct, frozen=True):
    """The prices of a requested protection; a request of another kind has none."""

    sl_price: str | None = None
    tp_price: str | None = None
    trailing_delta: int | None = None


class _Change(msgspec.Struct, frozen=True):
    phase: str = ""
    wanted: tuple[_Wanted, ...] = ()
    swap_gap_ms: int = -1


@dataclass(slots=True)
class _Drawn:
    """The levels that ended, and, by kind, the one in force."""

    ended: list[LevelView] = field(default_factory=list)
    open: dict[str, LevelView] = field(default_factory=dict)

    def stands(self, level: LevelView) -> None:
        known = self.open.get(level.kind)
        if known is not None and Decimal(known.price) == Decimal(level.price):
            return
        self.ends(level.kind, level.from_ms)
        self.open[level.kind] = level

    def ends(self, kind: str, at_ms: int) -> None:
        known = self.open.pop(kind, None)
        if known is not None:
            self.ended.append(msgspec.structs.replace(known, to_ms=at_ms))

    def ends_all(self, at_ms: int) -> None:
        for kind in tuple(self.open):
            self.ends(kind, at_ms)


def levels_of(
    changes: Sequence[StoredChange], held: tuple[Any, ...] | None, since_ms: int
) -> tuple[LevelView, ...]:
    """Return the levels of one symbol, those in force last. `changes` are oldest first.

    `held` is (stop, target, opened at) of the open position. It is used when the change that set
    its levels is older than the changes that were read.
    """
    drawn = _Drawn()
    for change in changes:
        told = msgspec.json.decode(change.data, type=_Change)
        if told.phase in _OVER:
            drawn.ends_all(change.at_ms)
            continue
        if told.phase == "PROTECTED" and not told.wanted and not drawn.open:
            _stand(drawn, _attached(change), change.at_ms)
        if told.phase == "TRAILING" and told.swap_gap_ms >= 0:
            # A swapped stop has no target beside it.
            drawn.ends("TARGET", change.at_ms)
        for wanted in told.wanted:
            _stand(drawn, wanted, change.at_ms)
    if held is None:
        drawn.ends_all(changes[-1].at_ms if changes else since_ms)
    elif not drawn.open:
        stop, target, opened_ms = held
        _stand(drawn, _Wanted(sl_price=stop, tp_price=target), max(opened_ms, since_ms))
    return (*drawn.ended, *drawn.open.values())


def _attached(change: StoredChange) -> _Wanted:
    return _Wanted(
        sl_price=change.attached_stop,
        tp_price=change.attached_target,
        trailing_delta=change.attached_trail_bps,
    )


def _stand(drawn: _Drawn, wanted: _Wanted, at_ms: int) -> None:
    if _is_price(wanted.sl_price):
        drawn.stands(LevelView(kind="STOP", price=str(wanted.sl_price), from_ms=at_ms))
    if not _is_price(wanted.tp_price):
        return
    trails = bool(wanted.trailing_delta)
    drawn.ends("TARGET" if trails else "TRAIL", at_ms)
    drawn.stands(
        LevelView(
            kind="TRAIL" if trails else "TARGET",
            price=str(wanted.tp_price),
            from_ms=at_ms,
            trailing_bps=wanted.trailing_delta if trails else None,
            detail=f"follows {wanted.trailing_delta} bps behind once reached" if trails else "",
        )
    )


def _is_price(text: str | None) -> bool:
    return bool(text) and Decimal(text or 0) > 0
