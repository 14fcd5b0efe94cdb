"""The way of user events from the engine to the sockets, where faults can hold them up."""

from livespot.exchange.faults.injector import Injector
from livespot.exchange.faults.matching import Subject
from livespot.exchange.faults.plan import DelayEvents, DropEvents, DuplicateEvents
from livespot.exchange.journal import EventRow, Journal
from livespot.exchange.model import Json
from livespot.exchange.user_hub import UserHub


class UserEvents:
    """Publishes and journals every user event; `faults` is None when there can be none."""

    def __init__(self, users: UserHub, journal: Journal, faults: Injector | None) -> None:
        self._users = users
        self._journal = journal
        self._faults = faults

    def publish(self, account: str, event: Json, at_ms: int) -> None:
        """Send one event to whoever hears the account, as far as faults let it through.

        `at_ms` is when the engine made it.
        """
        if self._faults is None or not self._faults.watches("event"):
            self._note(account, event, ("sent", ""), self._users.publish(account, event), at_ms)
            return
        params = {name: str(value) for name, value in event.items()}
        subject = Subject(kind="event", leg="frame", params=params)
        fate, times, wait_ms = "sent", 1, 0
        struck = self._faults.strike(subject, f"event {_kind(event)} {event.get('i', '')}".strip())
        for course in struck:
            match course.fault.what:
                case DropEvents():
                    fate, times = "dropped", 0
                case DuplicateEvents(times=more):
                    fate, times = "duplicated", times and times + more
                case DelayEvents(ms=ms):
                    fate, wait_ms = "delayed", wait_ms + ms
                case _:
                    continue
        names = ",".join(course.fault.id for course in struck)
        if wait_ms and times:
            self._note(account, event, (fate, names), 0, at_ms)
            self._faults.later(wait_ms, lambda: self._send(account, event, times))
            return
        sent = self._send(account, event, times)
        self._note(account, event, (fate, names), sent, at_ms)

    def _send(self, account: str, event: Json, times: int) -> int:
        return sum(self._users.publish(account, event) for _ in range(times))

    def _note(
        self, account: str, event: Json, fate: tuple[str, str], sent: int, at_ms: int
    ) -> None:
        self._journal.write(
            EventRow(
                account=account,
                kind=_kind(event),
                sym=event.get("s", ""),
                oid=event.get("i", 0),
                fate=fate[0],
                sent=sent,
                fault=fate[1],
                t_ms=at_ms,
            )
        )


def _kind(event: Json) -> str:
    execution = event.get("x")
    return f"{event['e']}.{execution}" if execution else str(event["e"])
