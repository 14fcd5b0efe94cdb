"""One WebSocket API connection's identity, and the methods that concern the connection itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from livespot.exchange.core import ExchangeCore
from livespot.exchange.model import Json, Rejection
from livespot.exchange.read_params import PROOF, check_names, whole
from livespot.exchange.settings import ApiKey
from livespot.exchange.signing import (
    check_signature,
    check_time,
    denied,
    known_key,
    may_log_on,
    signed_text,
)
from livespot.exchange.time_units import event_in_microseconds
from livespot.exchange.user_hub import Subscriber

Params = Mapping[str, str]
Handler = Callable[["Session", Params, int], object]


class Revoked(Rejection):
    """The key this connection logged on with is no longer valid."""

    def __init__(self) -> None:
        super().__init__(-2015, denied().msg, 401)


@dataclass(eq=False, slots=True, kw_only=True)
class Session:
    """Who a connection speaks for. Times are epoch ms."""

    core: ExchangeCore
    subscriber: Subscriber
    connected_ms: int
    return_rate_limits: bool = True
    key: ApiKey | None = None
    authorized_ms: int | None = None

    def prove(self, params: Params, now_ms: int) -> ApiKey:
        """The key behind a signed request: its own, or the one that logged on."""
        if self.key is not None and "apiKey" not in params:
            key = self._valid()
            check_time(params, now_ms)
            return key
        return self._signed(params, now_ms)

    def answer(self, name: str, params: Params, now_ms: int) -> object:
        """Handle a method of the connection itself; -1020 when it is none."""
        found = _METHODS.get(name)
        if found is None:
            raise Rejection(-1020, "This operation is not supported.")
        handler, reads = found
        check_names(params, reads)
        return handler(self, params, now_ms)

    def farewell(self, event: Any) -> Json:
        """An event about the connection itself, as this client is told such things."""
        return {"event": event_in_microseconds(event) if self.subscriber.micros else event}

    def _valid(self) -> ApiKey:
        """The session's key as it is now; a session whose key is gone ends."""
        key = self.core.keys.get(self.key.key) if self.key is not None else None
        if key is None:
            self.key, self.authorized_ms = None, None
            raise Revoked
        return key

    def _signed(self, params: Params, now_ms: int) -> ApiKey:
        key = known_key(self.core.keys, params.get("apiKey"))
        check_time(params, now_ms)
        check_signature(key, signed_text(params), params.get("signature"))
        return key

    def logon(self, params: Params, now_ms: int) -> Json:
        """Let the connection speak for a key from now on, in place of any other."""
        key = known_key(self.core.keys, params.get("apiKey"))
        if not may_log_on(key):
            raise Rejection(-4056, "HMAC_SHA256 API key is not supported.")
        key = self._signed(params, now_ms)
        if self.key is not None and self.key.account_id != key.account_id:
            self._end_stream(now_ms)
        self.key, self.authorized_ms = key, now_ms
        return self.status(params, now_ms)

    def logout(self, params: Params, now_ms: int) -> Json:
        """Forget the key, and end the stream that rested on it."""
        self._end_stream(now_ms)
        self.key, self.authorized_ms = None, None
        return self.status(params, now_ms)

    def status(self, _params: Params, now_ms: int) -> Json:
        """Who the connection speaks for."""
        return {
            "apiKey": self.key.key if self.key else None,
            "authorizedSince": self.authorized_ms,
            "connectedSince": self.connected_ms,
            "returnRateLimits": self.return_rate_limits,
            "serverTime": now_ms,
            "userDataStream": bool(self.subscriber.subscriptions),
        }

    def subscriptions(self, _params: Params, _now_ms: int) -> list[Json]:
        """Ids of the open subscriptions."""
        return [{"subscriptionId": number} for number in self.subscriber.subscriptions]

    def subscribe(self, _params: Params, _now_ms: int) -> Json:
        """Hear the account that logged on."""
        if self.key is None:
            raise denied()
        key = self._valid()
        number = self.core.users.subscribe(self.subscriber, key.account_id, key.key)
        self.subscriber.logon_subscription = number
        return {"subscriptionId": number}

    def subscribe_signed(self, params: Params, now_ms: int) -> Json:
        """Hear the account of the key that signed this very request."""
        key = self._signed(params, now_ms)
        number = self.core.users.subscribe(self.subscriber, key.account_id, key.key)
        return {"subscriptionId": number}

    def unsubscribe(self, params: Params, now_ms: int) -> Json:
        """End one subscription, or all of them."""
        number = whole(params, "subscriptionId")
        self.core.users.unsubscribe(self.subscriber, number, now_ms)
        return {}

    def removed(self, _params: Params, _now_ms: int) -> Json:
        """Listen keys are gone."""
        raise gone()

    def _end_stream(self, now_ms: int) -> None:
        number = self.subscriber.logon_subscription
        if number is not None:
            self.core.users.unsubscribe(self.subscriber, number, now_ms)


def gone() -> Rejection:
    """410 for what the exchange has taken out of service."""
    return Rejection(-1020, "This operation is not supported.", 410)


_NOTHING: frozenset[str] = frozenset()
_METHODS: Mapping[str, tuple[Handler, frozenset[str] | None]] = {
    "session.logon": (Session.logon, PROOF),
    "session.logout": (Session.logout, _NOTHING),
    "session.status": (Session.status, _NOTHING),
    "session.subscriptions": (Session.subscriptions, _NOTHING),
    "userDataStream.subscribe": (Session.subscribe, _NOTHING),
    "userDataStream.subscribe.signature": (Session.subscribe_signed, PROOF),
    "userDataStream.unsubscribe": (Session.unsubscribe, frozenset({"subscriptionId"})),
    "userDataStream.start": (Session.removed, None),
    "userDataStream.ping": (Session.removed, None),
    "userDataStream.stop": (Session.removed, None),
}
SESSION_METHODS = tuple(_METHODS)
