"""One WebSocket API connection's identity, and the methods that concern the connection itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from livespot.exchange.core import ExchangeCore
from livespot.exchange.model import Json, Rejection
from livespot.exchange.settings import ApiKey
from livespot.exchange.signing import (
    check_signature,
    check_time,
    denied,
    known_key,
    may_log_on,
    signed_text,
)
from livespot.exchange.user_hub import Subscriber

Params = Mapping[str, str]


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
            check_time(params, now_ms)
            return self.key
        key = known_key(self.core.keys, params.get("apiKey"))
        check_time(params, now_ms)
        check_signature(key, signed_text(params), params.get("signature"))
        return key

    def method(self, name: str) -> Callable[[Params, int], object] | None:
        """The handler of a session method, if it is one."""
        return {
            "session.logon": self._logon,
            "session.logout": self._logout,
            "session.status": self._status,
            "session.subscriptions": self._subscriptions,
            "userDataStream.subscribe": self._subscribe,
            "userDataStream.subscribe.signature": self._subscribe_signed,
            "userDataStream.unsubscribe": self._unsubscribe,
        }.get(name)

    def _logon(self, params: Params, now_ms: int) -> Json:
        key = known_key(self.core.keys, params.get("apiKey"))
        check_time(params, now_ms)
        if not may_log_on(key):
            raise Rejection(-4056, "HMAC_SHA256 API key is not supported.")
        check_signature(key, signed_text(params), params.get("signature"))
        self.key, self.authorized_ms = key, now_ms
        return self._status(params, now_ms)

    def _logout(self, params: Params, now_ms: int) -> Json:
        if self.subscriber.logon_subscription is not None:
            number = self.subscriber.logon_subscription
            self.core.users.unsubscribe(self.subscriber, number, now_ms)
        self.key, self.authorized_ms = None, None
        return self._status(params, now_ms)

    def _status(self, _params: Params, now_ms: int) -> Json:
        return {
            "apiKey": self.key.key if self.key else None,
            "authorizedSince": self.authorized_ms,
            "connectedSince": self.connected_ms,
            "returnRateLimits": self.return_rate_limits,
            "serverTime": now_ms,
            "userDataStream": self.subscriber.logon_subscription is not None,
        }

    def _subscriptions(self, _params: Params, _now_ms: int) -> list[Json]:
        return [{"subscriptionId": number} for number in self.subscriber.subscriptions]

    def _subscribe(self, _params: Params, _now_ms: int) -> Json:
        if self.key is None:
            raise denied()
        number = self.core.users.subscribe(self.subscriber, self.key.account_id)
        self.subscriber.logon_subscription = number
        return {"subscriptionId": number}

    def _subscribe_signed(self, params: Params, now_ms: int) -> Json:
        key = known_key(self.core.keys, params.get("apiKey"))
        check_time(params, now_ms)
        check_signature(key, signed_text(params), params.get("signature"))
        return {"subscriptionId": self.core.users.subscribe(self.subscriber, key.account_id)}

    def _unsubscribe(self, params: Params, now_ms: int) -> Json:
        text = params.get("subscriptionId")
        number = int(text) if text is not None and text.isdigit() else None
        self.core.users.unsubscribe(self.subscriber, number, now_ms)
        return {}
