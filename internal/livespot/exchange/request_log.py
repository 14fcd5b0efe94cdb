"""Numbers requests and writes each one's fate to the journal."""

from collections.abc import Mapping
from dataclasses import dataclass

from livespot.contracts.ports import Clock
from livespot.exchange.journal import Journal, RequestRow

_PROOF = frozenset({"apiKey", "signature"})


@dataclass(slots=True)
class RequestLog:
    """One per exchange; requests are numbered in order of arrival."""

    journal: Journal
    clock: Clock
    served: int = 0

    def arrive(self) -> "Arrival":
        """Number a request that has just come in."""
        self.served += 1
        return Arrival(self, self.served, self.clock.now_ms())


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request whose answer is not out yet."""

    log: RequestLog
    rid: int
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
                rid=self.rid,
                conn=conn,
                t_arrive=self.t_arrive,
                t_reply=self.log.clock.now_ms(),
                method=what[0],
                path=what[1],
                params={name: text for name, text in params.items() if name not in _PROOF},
                outcome=outcome,
                delivered=delivered,
            )
        )
