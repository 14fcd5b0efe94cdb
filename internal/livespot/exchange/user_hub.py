"""Who hears the private events of which account."""

from dataclasses import dataclass, field

from livespot.exchange.model import Json, Rejection
from livespot.exchange.outbound import Outbound, encode

_MOST_IDS = 65_535


@dataclass(eq=False, slots=True)
class Subscriber:
    """One WebSocket API connection and its user stream subscriptions (id -> account)."""

    outbound: Outbound
    subscriptions: dict[int, str] = field(default_factory=dict)
    logon_subscription: int | None = None
    next_id: int = 0


class UserHub:
    """Routes account events into the subscription envelope."""

    def __init__(self) -> None:
        self._subscribers: dict[Subscriber, None] = {}

    def subscribe(self, subscriber: Subscriber, account: str) -> int:
        """The new subscription's id; -2035 when this connection already hears the account."""
        if account in subscriber.subscriptions.values():
            raise Rejection(-2035, "User Data Stream subscription already active.")
        if subscriber.next_id >= _MOST_IDS:
            raise Rejection(-2042, "Too many subscriptions on this connection.")
        number = subscriber.next_id
        subscriber.next_id += 1
        subscriber.subscriptions[number] = account
        self._subscribers[subscriber] = None
        return number

    def unsubscribe(self, subscriber: Subscriber, number: int | None, now_ms: int) -> None:
        """End one subscription, or all for None; each says eventStreamTerminated."""
        if number is not None and number not in subscriber.subscriptions:
            raise Rejection(-2036, "User Data Stream subscription not active.")
        ended = list(subscriber.subscriptions) if number is None else [number]
        for one in ended:
            del subscriber.subscriptions[one]
            if subscriber.logon_subscription == one:
                subscriber.logon_subscription = None
            event = {"e": "eventStreamTerminated", "E": now_ms}
            subscriber.outbound.push(encode({"subscriptionId": one, "event": event}))
        if not subscriber.subscriptions:
            self._subscribers.pop(subscriber, None)

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
                if heard == account:
                    frame = encode({"subscriptionId": number, "event": event})
                    sent += subscriber.outbound.push(frame)
        return sent
