"""An exchange without sockets or passing time: requests go straight to its faces."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import anyio
from starlette.types import Message

from livespot.contracts.ports import Clock
from livespot.exchange.core import ExchangeCore
from livespot.exchange.outbound import Outbound
from livespot.exchange.pump import MarketPump
from livespot.exchange.reply_watch import ReplyWatch
from livespot.exchange.request_log import RequestLog
from livespot.exchange.rest_face import RestFace
from livespot.exchange.service import opened
from livespot.exchange.session import Session
from livespot.exchange.settings import DEMO_KEY, DEMO_SECRET, ExchangeSettings
from livespot.exchange.user_hub import Subscriber
from livespot.exchange.ws_api_face import Dialogue
from livespot.testing.clock import ManualClock

# 2021-04-20T11:47 UTC, in the middle of a candle of fifteen minutes.
START_MS = 1_618_919_220_000
SYMBOL = "SOLUSDT"
HOST = "127.0.0.1"
SOL = ExchangeSettings(symbols=frozenset({SYMBOL}))


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Talk:
    """One WebSocket API connection."""

    dialogue: Dialogue
    outbound: Outbound
    session: Session

    def say(self, text: str) -> list[Any]:
        """Send a frame; everything that came back or was waiting."""
        self.dialogue.on_text(text)
        return self.heard()

    def heard(self) -> list[Any]:
        """Everything that was waiting."""
        return [json.loads(frame) for frame in self.outbound.waiting()]

    def ask(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """Send a request; its reply."""
        frame = json.dumps({"id": 7, "method": method, "params": params or {}})
        return next(one for one in self.say(frame) if "status" in one)


@dataclass(frozen=True)
class Desk:
    """The exchange, its hands and its clock."""

    core: ExchangeCore
    pump: MarketPump
    clock: Clock
    rest: RestFace
    log: RequestLog
    runner: asyncio.Runner

    def get(self, path: str, **params: object) -> Reply:
        """A public request; `path` lies below the API's root unless it begins with a slash."""
        return self.send("GET", path, urlencode(params, quote_via=quote))

    def signed(self, method: str, path: str, **params: object) -> Reply:
        """A request signed with the demo key."""
        text = urlencode(params | {"timestamp": self.clock.now_ms()}, quote_via=quote)
        return self.send(method, path, f"{text}&signature={sign(text)}")

    def send(
        self, method: str, path: str, query: str = "", body: str = "", **headers: str
    ) -> Reply:
        """Any request, as it would come over the wire."""
        names = {"x-mbx-apikey": DEMO_KEY} | {
            name.lower().replace("_", "-"): value for name, value in headers.items()
        }
        scope = {
            "type": "http",
            "method": method,
            "path": path if path.startswith("/") else f"/api/v3/{path}",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in names.items()],
            "client": (HOST, 1),
            "server": (HOST, 2),
            "scheme": "http",
        }
        return self.runner.run(self._call(scope, body.encode()))

    async def _call(self, scope: dict[str, Any], body: bytes) -> Reply:
        sent: list[Message] = []
        asked = 0

        async def receive() -> Message:
            nonlocal asked
            asked += 1
            if asked > 1:
                await anyio.sleep_forever()
            return {"type": "http.request", "body": body}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.rest(scope, receive, send)
        headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Reply(
            sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent)
        )

    @contextmanager
    def talk(self, *, micros: bool = False) -> Iterator[Talk]:
        """A connection to the WebSocket API."""
        outbound = Outbound("talk", self.core.settings.queue_size)
        subscriber = Subscriber(outbound, micros=micros)
        session = Session(core=self.core, subscriber=subscriber, connected_ms=self.clock.now_ms())
        dialogue = Dialogue(self.core, session, self.log, HOST, ReplyWatch(self.log))
        yield Talk(dialogue, outbound, session)
        self.core.users.leave(subscriber)
        outbound.close()

    def proof(self, **params: object) -> dict[str, Any]:
        """WebSocket API parameters with the demo key's signature."""
        everything = params | {"apiKey": DEMO_KEY, "timestamp": self.clock.now_ms()}
        text = "&".join(f"{name}={everything[name]}" for name in sorted(everything))
        return everything | {"signature": sign(text)}


def sign(text: str) -> str:
    """The demo key's signature."""
    return hmac.new(DEMO_SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()


@contextmanager
def open_desk(settings: ExchangeSettings = SOL, clock: Clock | None = None) -> Iterator[Desk]:
    """An exchange at `START_MS`, or at the clock's present."""
    chosen = clock or ManualClock(START_MS)
    with opened(settings, chosen) as (core, pump, _), asyncio.Runner() as runner:
        log = RequestLog(core.journal, chosen)
        yield Desk(core, pump, chosen, RestFace(core, log), log, runner)
