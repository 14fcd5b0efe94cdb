"""Numbers requests and writes each one's fate to the journal."""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

from livespot.contracts.ports import Clock
from livespot.exchange.journal import Journal, RequestRow

_PROOF = frozenset({"apiKey", "signature"})
_MOST_NAMES = 4096


@dataclass(slots=True)
class Fate:
    """What faults made of a request before and after the face that answers it."""

    rid: int
    t_first_byte: int
    faults: tuple[str, ...] = ()
    delivered: bool = True


# Set around the face by the fault wire, so that the faces need not know of faults.
FATE: ContextVar[Fate | None] = ContextVar("fate", default=None)


@dataclass(slots=True)
class RequestLog:
    """One per exchange; requests are numbered in the order their heads are read."""

    journal: Journal
    clock: Clock
    served: int = 0
    _names: dict[str, str] = field(default_factory=dict)
    _named: int = 0

    def expect(self) -> Fate:
        """Number a request that a fault may keep from arriving."""
        self.served += 1
        return Fate(self.served, self.clock.now_ms())

    def arrive(self) -> "Arrival":
        """Take over a request that has come in."""
        fate = FATE.get()
        if fate is None:
            fate = self.expect()
            return Arrival(self, fate, fate.t_first_byte)
        FATE.set(None)
        return Arrival(self, fate, self.clock.now_ms())

    def named(self, conn: str) -> str:
        """A name without a port number, the same for every request of a connection."""
        if ":" not in conn:
            return conn
        name = self._names.get(conn)
        if name is None:
            self._named += 1
            name = self._names[conn] = f"rest-{self._named}"
            if len(self._names) > _MOST_NAMES:
                del self._names[next(iter(self._names))]
        return name


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request whose answer is not out yet."""

    log: RequestLog
    fate: Fate
    t_arrive: int

    def answered(
        self,
        conn: str,
        what: tuple[str, str],
        params: Mapping[str, str],
        outcome: str,
        *,
        delivered: bool,
    ) -> None:
        """Journal it; `what` is (method, path)."""
        self.log.journal.write(
            RequestRow(
                rid=self.fate.rid,
                conn=self.log.named(conn),
                t_first_byte=self.fate.t_first_byte,
                t_arrive=self.t_arrive,
                t_reply=self.log.clock.now_ms(),
                method=what[0],
                path=what[1],
                params={name: text for name, text in params.items() if name not in _PROOF},
                outcome=outcome,
                delivered=delivered and self.fate.delivered,
                fault=",".join(self.fate.faults),
            )
        )
