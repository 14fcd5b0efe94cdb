"""Sends alerts out of the process: the webhook, over connections of its own."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from livespot.actors.alert_courier import AlertCourier, WebhookLine
from livespot.actors.mode_alerts import unwritable_alert
from livespot.contracts.audit import AuditPort
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import AuditUnwritable, ConfigInvalid, LivespotError
from livespot.contracts.ports import Clock
from livespot.contracts.redaction import Redactor
from livespot.contracts.secret import Secret
from livespot.contracts.settings import AlertSettings
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import Severity
from livespot.rules.alert_webhook import Origin
from livespot.runtime.clock import SystemClock
from livespot.runtime.environment import read_webhook
from livespot.venue.http_client import HttpxTransport

_log = structlog.get_logger(__name__)
_POOL = 2


def usable_webhook(
    settings: AlertSettings, beside: Path, *, tell: Callable[[Alert], None], clock: Clock
) -> Secret:
    """Return the webhook's address; empty, after an alert, when the address cannot be used.

    The doctor refuses an ordinary start in that case. A start that takes up an unfinished run goes
    on: its open positions matter more than the delivery of alerts.
    """
    try:
        return read_webhook(settings, beside)
    except ConfigInvalid as error:
        tell(
            Alert(
                severity=Severity.WARN,
                code=ReasonCode.ALERT_RAISED,
                reasons=(),
                text=f"alerts stay here: {error}",
                at_ms=clock.now_ms(),
            )
        )
        return Secret("")


async def carry(courier: AlertCourier) -> None:
    """Run the courier. Its errors are logged and end nothing else, like those of the panel."""
    try:
        await courier.run()
    except (OSError, LivespotError) as error:
        _log.error("alert_courier_ended", cause=str(error))


@asynccontextmanager
async def webhook_line(
    address: Secret, settings: AlertSettings, *, origin: Origin, redactor: Redactor
) -> AsyncIterator[WebhookLine]:
    """Open a line with its own connection pool, so that a slow webhook never delays an order."""
    clock = SystemClock()
    async with HttpxTransport(clock, pool=_POOL) as http:
        yield WebhookLine(
            address=address,
            settings=settings,
            origin=origin,
            http=http,
            clock=clock,
            redactor=redactor,
        )


def courier_on(
    line: WebhookLine, *, audit: AuditPort, market: Clock, tell: Callable[[Alert], None]
) -> tuple[AlertCourier, Callable[[Alert], None]]:
    """Return a courier, and a function that announces an alert to `tell` first, then to it."""
    courier = AlertCourier(line, audit=audit, market=market, tell=tell)

    def announce(alert: Alert) -> None:
        tell(alert)
        courier.offer(alert)

    return courier, announce


async def announce_unwritable(
    error: AuditUnwritable,
    *,
    announce: Callable[[Alert], None],
    courier: AlertCourier | None,
    at_ms: int,
) -> None:
    """Announce what the audit can no longer hold, on every channel that needs no disk."""
    alert = unwritable_alert(error, at_ms)
    announce(alert)
    if courier is not None:
        await courier.last_word(alert)
