"""Delivers alerts to the operator's webhook; nothing waits for it and no safety depends on it.

Reads: alerts, as the governor announces them. Writes: ALERT_RAISED events about alerts that could
not be delivered or were withheld. Owns: the queue towards the webhook and what was sent within the
last minute.
"""

from collections.abc import Callable
from dataclasses import dataclass

import anyio
import msgspec
import structlog
from anyio.abc import TaskStatus
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
)

from livespot.actors.alert_records import alert_entry
from livespot.contracts.audit import AuditPort
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import AuditUnwritable, NotSent, Transient
from livespot.contracts.ports import Clock
from livespot.contracts.redaction import Redactor
from livespot.contracts.secret import Secret
from livespot.contracts.settings import AlertSettings
from livespot.contracts.system import Alert
from livespot.contracts.transport import HttpAnswer, HttpTransport
from livespot.contracts.vocabulary import Severity, Stage
from livespot.rules.alert_webhook import (
    Allowance,
    Origin,
    admitted,
    digest_due_ms,
    is_heard,
    webhook_post,
)
from livespot.runtime.mailboxes import Mailbox, MailboxClosed

_log = structlog.get_logger(__name__)
_CAPACITY = 64
_ATTEMPTS = 4
_MOST_WAIT_SECONDS = 30.0
_FINISH_SECONDS = 3.0
_TRY_LATER = frozenset({408, 425, 429})


class Undelivered(Exception):
    """The webhook did not accept an alert; the message never contains its address."""

    def __init__(self, cause: str, *, retry_after: float = 0.0) -> None:
        super().__init__(cause)
        self.retry_after = retry_after


class _Again(Undelivered):
    """A delivery failure that a later attempt may overcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookLine:
    """One webhook. `clock` is the machine's own clock, never simulated market time."""

    address: Secret
    settings: AlertSettings
    origin: Origin
    http: HttpTransport
    clock: Clock
    redactor: Redactor

    async def send(self, alert: Alert, *, withheld: int = 0, attempts: int = _ATTEMPTS) -> None:
        """Deliver one alert, with up to `attempts` tries. Raises `Undelivered`."""
        retrying = AsyncRetrying(
            stop=stop_after_attempt(attempts),
            wait=_wait_seconds,
            retry=retry_if_exception_type(_Again),
            sleep=self.clock.sleep,
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                await self._post(alert, withheld)

    async def _post(self, alert: Alert, withheld: int) -> None:
        safe = msgspec.structs.replace(alert, text=self.redactor.text(alert.text))
        post = webhook_post(
            self.settings.webhook_shape,
            self.address.reveal(),
            safe,
            origin=self.origin,
            withheld=withheld,
        )
        try:
            answer = await self.http.request(
                "POST",
                post.url,
                headers=post.headers,
                content=post.body,
                timeout_seconds=self.settings.webhook_timeout_ms / 1000,
            )
        except (Transient, NotSent) as error:
            # The original error contains the address, which may be a secret, so it is not chained.
            raise _Again(f"no answer ({type(error).__name__})") from None
        if 200 <= answer.status < 300:
            return
        if answer.status in _TRY_LATER or answer.status >= 500:
            wait = _retry_after(answer)
            raise _Again(f"HTTP {answer.status}", retry_after=wait)
        raise Undelivered(f"HTTP {answer.status}")


class AlertCourier:
    """A bounded queue in front of one `WebhookLine`; a full one drops and counts, never waits.

    `market` stamps the audit entries; `tell` shows a failed delivery on the operator's other
    channels.
    """

    def __init__(
        self,
        line: WebhookLine,
        *,
        audit: AuditPort,
        market: Clock,
        tell: Callable[[Alert], None],
    ) -> None:
        self._line = line
        self._audit = audit
        self._market = market
        self._tell = tell
        self._inbox: Mailbox[Alert] = Mailbox("alerts", _CAPACITY, line.clock)
        self._allowance = Allowance()
        self._lost = 0
        self._broken = False
        self._done = anyio.Event()

    def offer(self, alert: Alert) -> None:
        """Queue an alert if it is severe enough and there is room; never waits, never raises."""
        if not is_heard(alert.severity, self._line.settings.webhook_min_severity):
            return
        try:
            taken = self._inbox.offer(alert)
        except MailboxClosed:
            return
        if not taken:
            self._lost += 1

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Deliver until finished; a failed delivery is recorded and the next alert is tried."""
        task_status.started()
        try:
            while True:
                alert = await self._next()
                if alert is None:
                    await self._digest()
                else:
                    await self._carry(alert)
        except anyio.EndOfStream:
            self._done.set()

    async def finish(self) -> None:
        """Accept no more alerts, and give the queued ones a few seconds to be sent."""
        self._inbox.close()
        with self._line.clock.move_on_after(_FINISH_SECONDS, shield=True):
            await self._done.wait()

    async def last_word(self, alert: Alert) -> None:
        """Send one last alert after a failure has ended `run`; this one is not audited."""
        if not is_heard(alert.severity, self._line.settings.webhook_min_severity):
            return
        with self._line.clock.move_on_after(_FINISH_SECONDS, shield=True):
            try:
                await self._line.send(alert, attempts=1)
            except Undelivered as error:
                _log.warning("last_word_undelivered", cause=str(error))

    async def _next(self) -> Alert | None:
        """The next alert, or None when a summary of the withheld alerts is due."""
        self._allowance = Allowance(
            sent_ms=self._allowance.sent_ms, withheld=self._allowance.withheld + self._lost
        )
        self._lost = 0
        due_ms = digest_due_ms(self._allowance, self._line.clock.monotonic_ms())
        alert = self._inbox.receive_nowait()
        if alert is not None or due_ms == 0:
            return alert
        with self._line.clock.move_on_after(None if due_ms is None else due_ms / 1000):
            return await self._inbox.receive()
        return None

    async def _carry(self, alert: Alert) -> None:
        withheld = self._allowance.withheld
        per_minute = self._line.settings.webhook_max_per_minute
        now_ms = self._line.clock.monotonic_ms()
        self._allowance, go = admitted(self._allowance, alert.severity, now_ms, per_minute)
        if go:
            await self._send(alert, withheld)

    async def _digest(self) -> None:
        withheld = self._allowance.withheld
        note = self._note(Severity.INFO, f"alerts withheld from the webhook: {withheld}")
        await self._record(note)
        sent = (*self._allowance.sent_ms, self._line.clock.monotonic_ms())
        self._allowance = Allowance(sent_ms=sent)
        await self._send(note, withheld)

    async def _send(self, alert: Alert, withheld: int) -> None:
        # While the webhook is down each alert gets one attempt, so that the queue does not fill up.
        attempts = 1 if self._broken else _ATTEMPTS
        try:
            await self._line.send(alert, withheld=withheld, attempts=attempts)
        except Undelivered as failure:
            note = self._note(Severity.WARN, f"{alert.code} did not reach the webhook: {failure}")
            if not self._broken:
                self._tell(note)
            self._broken = True
            await self._record(note)
        else:
            self._broken = False

    def _note(self, severity: Severity, text: str) -> Alert:
        return Alert(
            severity=severity,
            code=ReasonCode.ALERT_RAISED,
            reasons=(),
            text=text,
            at_ms=self._market.now_ms(),
        )

    async def _record(self, note: Alert) -> None:
        _log.warning("webhook", text=note.text)
        try:
            await self._audit.commit(alert_entry(note, Stage.STATE_UPDATE))
        except (AuditUnwritable, MailboxClosed) as error:
            _log.error("webhook_failure_not_audited", cause=str(error))


def _wait_seconds(state: RetryCallState) -> float:
    """Retry-After if the webhook sent one, else 1, 2, 4 seconds; at most 30."""
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.retry_after if isinstance(error, Undelivered) else 0.0
    return float(min(_MOST_WAIT_SECONDS, max(asked, 2.0 ** (state.attempt_number - 1))))


def _retry_after(answer: HttpAnswer) -> float:
    """The header's whole seconds; 0 when it is missing or holds a date."""
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0.0
