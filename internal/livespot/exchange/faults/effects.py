"""What faults do to the exchange itself, and how it is taken back."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from livespot.exchange.engine import Engine
from livespot.exchange.faults.board import Course
from livespot.exchange.faults.fault_clock import FaultClock
from livespot.exchange.faults.hands import by_hand
from livespot.exchange.faults.plan import (
    AdjustBalance,
    Ban,
    CancelByHand,
    EndUserStreams,
    MassExpire,
    OrderByHand,
    ReadLag,
    RevokeKey,
    SaleByHand,
    SetFilter,
    SetStatus,
    SkewClock,
    StepClock,
    SuspendClock,
)
from livespot.exchange.limits import Meters
from livespot.exchange.model import Rejection
from livespot.exchange.outbound import OpenSockets
from livespot.exchange.read_view import ReadView
from livespot.exchange.settings import ApiKey
from livespot.exchange.specs import symbol_spec
from livespot.exchange.user_hub import UserHub

_LOOPBACK = "127.0.0.1"


class Exchange(Protocol):
    """The parts of an exchange that faults act on."""

    @property
    def engine(self) -> Engine: ...
    @property
    def keys(self) -> dict[str, ApiKey]: ...
    @property
    def meters(self) -> Meters: ...
    @property
    def users(self) -> UserHub: ...
    @property
    def sockets(self) -> OpenSockets: ...
    @property
    def reads(self) -> ReadView: ...

    def set_key(self, key: ApiKey) -> None: ...
    def revoke_key(self, key: str) -> None: ...
    def settle(self) -> None: ...


@dataclass(slots=True)
class _Changes:
    """A symbol's status, or its filters, before any fault, and the faults that change it now."""

    original: Any
    running: dict[str, SetFilter | SetStatus] = field(default_factory=dict)


def _member(what: SetFilter | SetStatus) -> str:
    return "status" if isinstance(what, SetStatus) else "filters"


class Effects:
    """Applies and undoes; what can be undone remembers how."""

    def __init__(self, exchange: Exchange, clock: FaultClock) -> None:
        self._exchange = exchange
        self._clock = clock
        self._undo: dict[str, Callable[[int], None]] = {}
        self._changes: dict[tuple[str, str], _Changes] = {}

    def apply(self, course: Course, now_ms: int) -> str:
        """Let a fault take effect at a market instant; what came of it, in words."""
        what, name = course.fault.what, course.fault.id
        match what:
            case MassExpire(types=types, symbol=symbol):
                return self._expire(frozenset(types), symbol, now_ms)
            case AdjustBalance(account=account, asset=asset, delta=delta):
                return self._adjust(account, asset, delta, now_ms)
            case EndUserStreams():
                return f"{self._exchange.users.end_all(self._clock.now_ms())} subscriptions ended"
            case Ban(ms=ms):
                # An address nobody has called from yet has no meter; ours always is this one.
                self._exchange.meters.of(_LOOPBACK)
                self._exchange.meters.ban_all(self._clock.now_ms(), ms)
                self._exchange.sockets.cut()
                return "banned"
            case OrderByHand() | CancelByHand() | SaleByHand():
                done = by_hand(self._exchange.engine, what, now_ms)
                self._exchange.settle()
                return done
            case SetFilter() | SetStatus():
                return self._symbol(name, what)
            case RevokeKey(key=key):
                return self._revoke(name, key)
            case ReadLag(ms=ms):
                self._exchange.reads.lag(name, ms)
                self._undo[name] = lambda _: self._exchange.reads.lag(name, 0)
                return f"reads lag {ms} ms"
            case _:
                return self._move_clock(name, what, now_ms)

    def undo(self, course: Course, now_ms: int) -> None:
        """Take back what can be taken back."""
        back = self._undo.pop(course.fault.id, None)
        if back is not None:
            back(now_ms)

    def _expire(self, types: frozenset[str], symbol: str, now_ms: int) -> str:
        known = [spec.symbol for spec in self._exchange.engine.symbols()]
        hit = [name for name in known if symbol in ("", name)]
        count = sum(self._exchange.engine.expire_orders(name, types, now_ms) for name in hit)
        self._exchange.settle()
        return f"{count} orders expired"

    def _adjust(self, account: str, asset: str, delta: Decimal, now_ms: int) -> str:
        try:
            self._exchange.engine.adjust_balance(account, asset, delta, now_ms)
        except (KeyError, ValueError) as error:
            # The journal tells it: a plan is written before anyone knows what will be free.
            return f"not done: {error}"
        self._exchange.settle()
        return f"{delta:+f} {asset}"

    def _symbol(self, name: str, what: SetFilter | SetStatus) -> str:
        try:
            before = self._exchange.engine.symbol(what.symbol)
        except Rejection:
            return f"not done: no symbol {what.symbol}"
        member = _member(what)
        key = (what.symbol, member)
        changes = self._changes.get(key) or _Changes(original=before.info[member])
        changes.running[name] = what
        try:
            self._show(what, changes)
        except (KeyError, ValueError, ArithmeticError) as error:
            del changes.running[name]
            return f"not done: {error!r}"
        self._changes[key] = changes
        self._undo[name] = lambda _: self._restore(name, what)
        return f"{what.symbol} changed"

    def _restore(self, name: str, what: SetFilter | SetStatus) -> None:
        """Only what this fault changed goes: another's change of the same may still run."""
        key = (what.symbol, _member(what))
        changes = self._changes[key]
        del changes.running[name]
        self._show(what, changes)
        if not changes.running:
            del self._changes[key]

    def _show(self, what: SetFilter | SetStatus, changes: _Changes) -> None:
        now, value = self._exchange.engine.symbol(what.symbol).info, changes.original
        for change in changes.running.values():
            value = patched(value, change) if isinstance(change, SetFilter) else change.status
        self._exchange.engine.set_symbol(symbol_spec({**now, _member(what): value}))

    def _revoke(self, name: str, key: str) -> str:
        gone = [held for text, held in self._exchange.keys.items() if key in ("", text)]
        for held in gone:
            self._exchange.revoke_key(held.key)

        def back(_: int) -> None:
            for held in gone:
                self._exchange.set_key(held)

        self._undo[name] = back
        return f"{len(gone)} keys revoked"

    def _move_clock(self, name: str, what: object, now_ms: int) -> str:
        match what:
            case StepClock(ms=ms):
                self._clock.step(ms)
                return f"{ms:+d} ms"
            case SuspendClock(ms=ms):
                self._clock.suspend(ms, now_ms)
                return f"stands {ms} ms"
            case SkewClock(ppm=ppm):
                self._clock.skew(name, ppm, now_ms)
                self._undo[name] = lambda end_ms: self._clock.unskew(name, end_ms)
                return f"{ppm:+d} ppm"
            case _:
                raise TypeError(f"{what!r} acts on traffic, not on the exchange")


def patched(filters: list[dict[str, Any]], what: SetFilter) -> list[dict[str, Any]]:
    """The filters of a symbol after a change; a type that is new is added at the end."""
    rows = {str(row["filterType"]): dict(row) for row in filters}
    for name in what.remove:
        rows.pop(name, None)
    for patch in what.patch:
        rows[patch["filterType"]] = {**rows.get(patch["filterType"], {}), **patch}
    return list(rows.values())
