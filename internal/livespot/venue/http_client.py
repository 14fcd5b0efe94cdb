"""HTTP over httpx: one request, sent once, with a provable answer to "did a byte leave?"."""

import logging
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import anyio
import httpx

from livespot.contracts.errors import NotSent, Unreachable
from livespot.contracts.ports import Clock
from livespot.contracts.transport import HttpAnswer

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_KEEPALIVE_SECONDS = 60
_CLOSE_SECONDS = 2
# Well above the rules of all symbols, the largest answer: some 10 to 20 MB unpacked.
_MOST_BYTES = 64 * 1024 * 1024


class AnswerTooLarge(Unreachable):
    """The answer was larger than any that the exchange gives; the rest was not read."""


class HttpxTransport:
    """An `HttpTransport` on one pooled client; use it as an async context manager.

    A waiter that is cancelled inside the httpx pool leaks its connection for good. Therefore a
    limiter of the pool's size stands in front of the pool, and nothing ever waits inside it.
    """

    def __init__(self, clock: Clock, *, pool: int = 16, most_bytes: int = _MOST_BYTES) -> None:
        """`most_bytes` bounds the body of an answer, unpacked."""
        silence_url_loggers()
        self._most_bytes = most_bytes
        self._clock = clock
        self._pool = pool
        self._limiter = anyio.CapacityLimiter(pool)
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        self._client = httpx.AsyncClient(
            limits=httpx.Limits(
                max_connections=self._pool,
                max_keepalive_connections=self._pool,
                keepalive_expiry=_KEEPALIVE_SECONDS,
            ),
            timeout=None,  # noqa: S113  every request runs under a market-time deadline instead
            trust_env=False,
            follow_redirects=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        client, self._client = self._client, None
        if client is not None:
            with self._clock.move_on_after(_CLOSE_SECONDS, shield=True):
                await client.aclose()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str],
        content: bytes,
        timeout_seconds: float,
    ) -> HttpAnswer:
        """Send once.

        Raises:
            NotSent: no byte of the request left this process.
            Unreachable: it may have left, and no whole answer came back in time.
            AnswerTooLarge: it left, and reading its answer was given up; an `Unreachable`.
        """
        if self._client is None:
            raise NotSent("the HTTP client is not open")
        what = f"{method} {url.partition('?')[0]}"
        progress = _Progress()
        try:
            with self._clock.fail_after(timeout_seconds):
                async with (
                    self._limiter,
                    self._client.stream(
                        method,
                        url,
                        headers=headers,
                        content=content or None,
                        extensions={"trace": progress.on_event},
                    ) as response,
                ):
                    body = await self._body(response, what)
        except TimeoutError as error:
            if not progress.sending:
                raise NotSent(f"{what}: no connection within {timeout_seconds} s") from error
            raise Unreachable(f"{what}: no answer within {timeout_seconds} s") from error
        except _NEVER_SENT as error:
            raise NotSent(f"{what}: {type(error).__name__}") from error
        except UnicodeEncodeError:
            # The original error holds the header, which may be a key; it must not be chained.
            raise NotSent(f"{what}: a header holds letters that HTTP cannot carry") from None
        except httpx.RequestError as error:
            raise Unreachable(f"{what}: {type(error).__name__}") from error
        return HttpAnswer(
            status=response.status_code,
            headers={name.lower(): value for name, value in response.headers.items()},
            body=body,
        )

    async def _body(self, response: httpx.Response, what: str) -> bytes:
        """Return the whole body. Raises `AnswerTooLarge`, which costs the connection."""
        pieces: list[bytes] = []
        size = 0
        async for piece in response.aiter_bytes():
            size += len(piece)
            if size > self._most_bytes:
                raise AnswerTooLarge(f"{what}: the answer has more than {self._most_bytes} bytes")
            pieces.append(piece)
        return b"".join(pieces)


class _Progress:
    """Follows one request; `sending` turns true just before its first byte is written."""

    def __init__(self) -> None:
        self.sending = False

    async def on_event(self, name: str, _info: Mapping[str, Any]) -> None:
        if name.endswith("send_request_headers.started"):
            self.sending = True


def silence_url_loggers() -> None:
    """Raise both libraries to WARNING: below it they log whole URLs, signature included."""
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
