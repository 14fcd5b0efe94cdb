"""Who hears the private events of which account."""

from dataclasses import dataclass, field

from livespot.exchange.model import Json, Rejection
from livespot.exchange.outbound import Outbound, encode
from livespot.exchange.time_units import event_in_microseconds

_MOST_IDS = 65_535
_MOST_OPEN = 1000


@dataclass(frozen=True, slots=True)
class Heard:
    """One subscription: the account, and the key that opened it."""

    account: str
    key: str


@dataclass(eq=False, slots=True)
class Subscriber:
    """One WebSocket API connection and its user stream subscriptions by id."""

    outbound: Outbound
    subscriptions: dict[int, Heard] = field(default_factory=dict)
    logon_subscription: int | None = None
    next_id: int = 0
    micros: bool = False

    def tell(self, number: int, event: Json) -> bool:
        """Send an event of a subscription, in the connection's time unit; false if it is lost."""
        said = event_in_microseconds(event) if self.micros else event
        return self.outbound.push(encode({"subscriptionId": number, "event": said}))


class UserHub:
    """Routes account events into the subscription envelope."""

    def __init__(self, most_open: int = _MOST_OPEN, most_ids: int = _MOST_IDS) -> None:
        self._subscribers: dict[Subscriber, None] = {}
        self._most_open = most_open
        self._most_ids = most_ids

    def subscribe(self, subscriber: Subscriber, account: str, key: str) -> int:
        """The new subscription's id; -2035 when this connection already hears the account."""
        if any(heard.account == account for heard in subscriber.subscriptions.values()):
            raise Rejection(-2035, "User Data Stream subscription already active.")
        if len(subscriber.subscriptions) >= self._most_open:
            raise Rejection(
                -1191,
                "Too many subscriptions. Connection may create up to "
                f"'{self._most_open}' subscriptions at a time.",
            )
        if subscriber.next_id >= self._most_ids:
            raise Rejection(-2042, "Maximum subscription ID reached for this connection.")
        number = subscriber.next_id
        subscriber.next_id += 1
        subscriber.subscriptions[number] = Heard(account, key)
        self._subscribers[subscriber] = None
        return number

    def unsubscribe(self, subscriber: Subscriber, number: int | None, now_ms: int) -> None:
        """End one subscription, or all for None; each says eventStreamTerminated."""
        if number is not None and number not in subscriber.subscriptions:
            raise Rejection(-2036, "User Data Stream subscription not active.")
        for one in list(subscriber.subscriptions) if number is None else [number]:
            self._end(subscriber, one, now_ms)

    def end_key(self, key: str, now_ms: int) -> None:
        """End every subscription a key has opened."""
        for subscriber in tuple(self._subscribers):
            for number, heard in tuple(subscriber.subscriptions.items()):
                if heard.key == key:
                    self._end(subscriber, number, now_ms)

    def end_all(self, now_ms: int) -> int:
        """End every subscription of every connection; how many there were."""
        subscribers = list(self._subscribers)
        count = sum(len(one.subscriptions) for one in subscribers)
        for subscriber in subscribers:
            self.unsubscribe(subscriber, None, now_ms)
        return count

    def leave(self, subscriber: Subscriber) -> None:
        """Forget a connection that has gone."""
        self._subscribers.pop(subscriber, None)

    def publish(self, account: str, event: Json) -> int:
        """Send an event to everyone who hears the account; to how many it went."""
        sent = 0
        for subscriber in self._subscribers:
            for number, heard in subscriber.subscriptions.items():
                if heard.account == account:
                    sent += subscriber.tell(number, event)
        return sent

    def _end(self, subscriber: Subscriber, number: int, now_ms: int) -> None:
        del subscriber.subscriptions[number]
        if subscriber.logon_subscription == number:
            subscriber.logon_subscription = None
        subscriber.tell(number, {"e": "eventStreamTerminated", "E": now_ms})
        if not subscriber.subscriptions:
            self._subscribers.pop(subscriber, None)
