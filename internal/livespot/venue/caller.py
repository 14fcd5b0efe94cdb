"""One REST request: spend the budget, sign, send, read the limits, classify the answer."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from livespot.contracts.errors import (
    ClockRefused,
    KeyRefused,
    NotSent,
    OutcomeUnknown,
    Throttled,
    Transient,
    Unreachable,
)
from livespot.contracts.ports import Clock
from livespot.contracts.transport import HttpAnswer, HttpTransport
from livespot.venue.codec_market import decode_time
from livespot.venue.key_state import KeyState
from livespot.venue.params import Params
from livespot.venue.query import query_string
from livespot.venue.refusals import HALVES_CODES, Failure, Forbidden, classify, rest_answer
from livespot.venue.time_sync import TimeSync
from livespot.venue.weights import Priority, WeightBudget

if TYPE_CHECKING:
    from livespot.venue.signing import Signer

_READ_ATTEMPTS = 3
# A throttle longer than this is reported to the caller instead of being waited out in a retry loop.
_LONGEST_PAUSE_MS = 2000
_FIRST_PAUSE_SECONDS = 0.2
_SCANS_AT_ONCE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. It is a mutation when `mutation_id`, the client id it acts under, is set."""

    method: str
    path: str
    params: Params
    weight: int
    priority: Priority
    signed: bool = False
    mutation_id: str | None = None
    places_orders: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadTolerance:
    """How late a read may be; an accelerated market needs larger values than the real one.

    `recv_window_ms` is the window in which the exchange accepts a read (a mutation sets its own). A
    round trip longer than `max_rtt_ms` is not used to measure the exchange's clock.
    """

    recv_window_ms: int = 5000
    max_rtt_ms: int = 500


_DEFAULT_TOLERANCE = ReadTolerance()


class RestCaller:
    """Sends every REST request to one exchange under one key.

    Owns the measured server clock, the request budget and the state of the key.
    """

    def __init__(
        self,
        *,
        transport: HttpTransport,
        base_url: str,
        clock: Clock,
        signer: "Signer | None" = None,
        read_timeout_seconds: float = 5.0,
        tolerance: ReadTolerance = _DEFAULT_TOLERANCE,
    ) -> None:
        self.server_clock = TimeSync(clock, self._sample_time, max_rtt_ms=tolerance.max_rtt_ms)
        self.budget = WeightBudget(self.server_clock.steady_now_ms)
        self.key = KeyState(clock)
        self.clock = clock
        self._transport = transport
        self._base_url = base_url.rstrip("/")
        self._signer = signer
        self._read_timeout_seconds = read_timeout_seconds
        self._recv_window_ms = tolerance.recv_window_ms
        # Bulk reads get only a part of the connections, so that an order never queues behind them.
        self._scans = anyio.CapacityLimiter(_SCANS_AT_ONCE)

    async def read(self, call: Call) -> bytes:
        """Return the body of a successful read; `Transient` failures are retried.

        Raises:
            Transient: no answer after the last attempt, or a throttle too long to wait out
                here.
            Refused: the exchange declined. -1021 (timestamp) is tried once more after a resync.
            PayloadInvalid: the exchange answered with an error that cannot be read.
        """
        try:
            return await self._read_with_retries(call)
        except ClockRefused:
            await self.server_clock.resync()
            return await self._read_with_retries(call)

    async def mutate(self, call: Call, *, timeout_seconds: float) -> HttpAnswer:
        """Send a mutation exactly once.

        Returns a successful answer, or the error answer (400 or 409) of a cancel-replace of which
        at least one half failed; its body describes both halves.

        Raises:
            OutcomeUnknown: it may have happened.
            NotSent, Refused, Throttled: it did not happen.
        """
        try:
            return await self._send(call, timeout_seconds)
        except Unreachable as error:
            raise OutcomeUnknown(call.mutation_id or "", str(error)) from error

    async def _read_with_retries(self, call: Call) -> bytes:
        async for attempt in AsyncRetrying(
            stop=stop_after_attempt(_READ_ATTEMPTS),
            retry=retry_if_exception(_may_retry),
            wait=_pause_seconds,
            sleep=self.clock.sleep,
            reraise=True,
        ):
            with attempt:
                return await self._read_once(call)
        raise Unreachable("no attempt was made")

    async def _read_once(self, call: Call) -> bytes:
        try:
            if call.priority is not Priority.SCAN:
                return (await self._send(call, self._read_timeout_seconds)).body
            async with self._scans:
                return (await self._send(call, self._read_timeout_seconds)).body
        except NotSent as error:
            raise Unreachable(str(error)) from error

    async def _send(self, call: Call, timeout_seconds: float) -> HttpAnswer:
        mutation = call.mutation_id is not None
        if call.signed:
            self.key.require_usable(mutation=mutation)
        window = self.budget.spend(call.weight, call.priority, places_orders=call.places_orders)
        url, headers = self._address(call)
        if call.signed:
            self.key.take_turn(mutation=mutation)
        answer = await self._transport.request(
            call.method, url, headers=headers, content=b"", timeout_seconds=timeout_seconds
        )
        self.budget.observe(answer.headers, window)
        if 200 <= answer.status < 300:
            self._note_key(call, None)
            return answer
        read = rest_answer(answer, self.server_clock.server_now_ms())
        failure = classify(read, mutation_id=call.mutation_id)
        self._note_key(call, failure)
        if isinstance(failure, Throttled):
            self.budget.silence(failure)
        elif read.code in HALVES_CODES and not isinstance(failure, OutcomeUnknown):
            return answer
        raise failure

    def _note_key(self, call: Call, failure: Failure | None) -> None:
        if call.signed:
            self.key.note(failure, mutation=call.mutation_id is not None)

    def _address(self, call: Call) -> tuple[str, dict[str, str]]:
        url = f"{self._base_url}{call.path}"
        if not call.signed:
            query = query_string(call.params.items())
            return (f"{url}?{query}" if query else url), {}
        if self._signer is None:
            raise KeyRefused(0, "no API key is configured", http_status=0)
        # Imported here so that a process without a key never loads the signing code.
        from livespot.venue.signing import signed_query

        params: Params = {"recvWindow": self._recv_window_ms, **call.params}
        params["timestamp"] = self.server_clock.server_now_ms()
        query = signed_query(params.items(), self._signer)
        return f"{url}?{query}", {"X-MBX-APIKEY": self._signer.api_key.reveal()}

    async def _sample_time(self) -> int:
        """Read the exchange's clock once. No retry: the round trip is part of the measurement."""
        call = Call(method="GET", path="/api/v3/time", params={}, weight=1, priority=Priority.QUERY)
        return decode_time(await self._read_once(call))


def _may_retry(error: BaseException) -> bool:
    if isinstance(error, Throttled):
        return not error.banned and error.retry_after_ms <= _LONGEST_PAUSE_MS
    return isinstance(error, Transient) and not isinstance(error, Forbidden)


def _pause_seconds(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    if isinstance(error, Throttled):
        return error.retry_after_ms / 1000
    return float(_FIRST_PAUSE_SECONDS * 2 ** (state.attempt_number - 1))
