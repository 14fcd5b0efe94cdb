"""The courier against a real HTTP server: what arrives, what is tried again, what is recorded."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import msgspec
import pytest
import structlog

from livespot.actors.alert_courier import AlertCourier, Undelivered, WebhookLine
from livespot.contracts.codes import ReasonCode
from livespot.contracts.redaction import Redactor
from livespot.contracts.secret import Secret
from livespot.contracts.settings import AlertSettings
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import EventType, Severity, WebhookShape
from livespot.rules.alert_webhook import Origin
from livespot.testing.audit import RecordingAudit
from livespot.testing.clock import ManualClock
from livespot.testing.webhook_catcher import Catcher, catching
from livespot.venue.http_client import HttpxTransport

_KEY = "k" * 64


def _alert(text: str = "NORMAL -> PAUSE", severity: Severity = Severity.CRIT) -> Alert:
    return Alert(severity=severity, code=ReasonCode.ENTER_PAUSE, reasons=(), text=text, at_ms=1)


@dataclass(slots=True)
class _House:
    courier: AlertCourier
    line: WebhookLine
    clock: ManualClock
    catcher: Catcher
    audit: RecordingAudit = field(default_factory=RecordingAudit)
    told: list[Alert] = field(default_factory=list)

    async def arrived(self, count: int) -> list[str]:
        """The texts of the first `count` requests, once they are there."""
        with anyio.fail_after(5):
            while len(self.catcher.caught) < count:
                await anyio.lowlevel.checkpoint()
        return [msgspec.json.decode(it.body)["text"] for it in self.catcher.caught]

    def recorded(self) -> list[str]:
        return [entry.draft.data["text"] for entry in self.audit.of(EventType.ALERT_RAISED)]


@asynccontextmanager
async def _house(
    *answers: str, settings: AlertSettings | None = None, address: str = "", run: bool = True
) -> AsyncIterator[_House]:
    clock = ManualClock()
    async with catching() as catcher, HttpxTransport(clock, pool=2) as http:
        catcher.answers[:] = answers or ("200 OK",)
        line = WebhookLine(
            address=Secret(address or catcher.url),
            settings=settings or AlertSettings(webhook="hook"),
            origin=Origin(run_id="run_1", mode="SIM"),
            http=http,
            clock=clock,
            redactor=Redactor([_KEY]),
        )
        audit, told = RecordingAudit(), list[Alert]()
        courier = AlertCourier(line, audit=audit, market=clock, tell=told.append)
        house = _House(courier, line, clock, catcher, audit, told)
        async with anyio.create_task_group() as tasks:
            if run:
                tasks.start_soon(courier.run)
            yield house
            await courier.finish() if run else None
            tasks.cancel_scope.cancel()


async def test_an_alert_arrives_once_and_without_a_secret() -> None:
    async with _house() as house:
        house.courier.offer(_alert(f"the key {_KEY} and X-MBX-APIKEY: abcdef"))

        (text,) = await house.arrived(1)

        assert text == "the key <REDACTED> and <REDACTED>"
        assert house.recorded() == []
        assert house.told == []


async def test_what_is_too_quiet_stays_here() -> None:
    async with _house() as house:
        house.courier.offer(_alert("quiet", Severity.INFO))
        house.courier.offer(_alert("loud", Severity.WARN))

        assert await house.arrived(1) == ["loud"]


@pytest.mark.parametrize("first", ["500 Oh", "503 Later", "408 Slow", "429 Easy"])
async def test_what_may_still_go_through_is_tried_again(first: str) -> None:
    async with _house(first, first, "204 Fine") as house:
        house.courier.offer(_alert())

        assert len(await house.arrived(3)) == 3
        await house.courier.finish()
        assert house.clock.slept == [1.0, 2.0]
        assert house.recorded() == []


async def test_a_wait_that_is_asked_for_is_kept_up_to_half_a_minute() -> None:
    answers = ("429 Easy\r\nretry-after: 7", "429 Easy\r\nretry-after: 3600", "200 OK")
    async with _house(*answers) as house:
        house.courier.offer(_alert())
        await house.arrived(3)
        await house.courier.finish()

        assert house.clock.slept == [7.0, 30.0]


async def test_a_refusal_is_not_tried_again_and_is_recorded_without_the_address() -> None:
    secret = "A" * 30
    async with _house("403 No") as house:
        house.line.address.reveal()
        line = WebhookLine(
            address=Secret(f"{house.catcher.url}/{secret}"),
            settings=house.line.settings,
            origin=house.line.origin,
            http=house.line.http,
            clock=house.clock,
            redactor=house.line.redactor,
        )
        with pytest.raises(Undelivered, match=r"^HTTP 403$"):
            await line.send(_alert())
        house.courier.offer(_alert())
        await house.arrived(2)
        await house.courier.finish()

        assert house.recorded() == ["ENTER_PAUSE did not reach the webhook: HTTP 403"]
        assert [alert.text for alert in house.told] == house.recorded()


async def test_no_error_quotes_the_address_of_a_webhook_that_is_gone() -> None:
    secret = "A" * 30
    address = f"http://127.0.0.1:9/{secret}"
    with structlog.testing.capture_logs() as logs:
        async with _house(address=address) as house:
            house.courier.offer(_alert())
            await house.courier.finish()

    assert house.recorded() == ["ENTER_PAUSE did not reach the webhook: no answer (NotSent)"]
    assert house.clock.slept == [1.0, 2.0, 4.0]
    assert secret not in str(logs)
    assert secret not in repr(house.line)


async def test_a_silent_webhook_is_given_up_in_time() -> None:
    settings = AlertSettings(webhook="hook", webhook_timeout_ms=100)
    async with _house("", settings=settings) as house:
        with pytest.raises(Undelivered, match="no answer"):
            await house.line.send(_alert(), attempts=1)


async def test_a_webhook_that_stays_down_is_complained_of_once_and_recorded_each_time() -> None:
    async with _house("500 Oh", *["500 Oh"] * 5, "200 OK") as house:
        for _ in range(3):
            house.courier.offer(_alert())
        await house.arrived(6)
        house.courier.offer(_alert())
        await house.arrived(7)
        await house.courier.finish()

        assert len(house.recorded()) == 3
        assert len(house.told) == 1


async def test_a_flood_is_cut_and_what_was_withheld_is_told() -> None:
    settings = AlertSettings(webhook="hook", webhook_max_per_minute=4)
    async with _house(settings=settings, run=False) as house:
        for number in range(10):
            house.courier.offer(_alert(str(number)))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(house.courier.run)
            await house.arrived(4)
            await anyio.wait_all_tasks_blocked()
            house.clock.advance(60_000)
            house.courier.offer(_alert("after"))
            await house.arrived(5)
            await house.courier.finish()

        bodies = [msgspec.json.decode(it.body) for it in house.catcher.caught]
        assert [body["text"] for body in bodies] == ["0", "1", "2", "3", "after"]
        assert bodies[-1]["withheld"] == 6


async def test_after_a_flood_a_digest_comes_without_a_further_alert() -> None:
    settings = AlertSettings(webhook="hook", webhook_max_per_minute=1)
    async with _house(settings=settings, run=False) as house:
        house.courier.offer(_alert("first"))
        house.courier.offer(_alert("second"))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(house.courier.run)
            await house.arrived(1)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        house.clock.advance(60_000)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(house.courier.run)
            texts = await house.arrived(2)
            tasks.cancel_scope.cancel()

        assert texts == ["first", "alerts withheld from the webhook: 1"]
        assert house.recorded() == texts[1:]


async def test_a_full_queue_loses_and_counts_and_never_waits() -> None:
    async with _house(run=False) as house:
        for number in range(70):
            house.courier.offer(_alert(str(number)))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(house.courier.run)
            await house.arrived(1)
            tasks.cancel_scope.cancel()

        assert msgspec.json.decode(house.catcher.caught[0].body)["withheld"] == 6


async def test_an_audit_that_fails_does_not_stop_the_courier() -> None:
    async with _house("403 No", "200 OK") as house:
        house.audit.broken = True
        house.courier.offer(_alert("first"))
        house.courier.offer(_alert("second"))

        assert await house.arrived(2) == ["first", "second"]


async def test_a_finished_courier_takes_nothing_more() -> None:
    async with _house() as house:
        await house.courier.finish()
        house.courier.offer(_alert())

    assert house.catcher.caught == []


async def test_a_last_word_leaves_although_whatever_broke_has_ended_the_courier() -> None:
    async with _house("200 OK", "500 no", run=False) as house:
        await house.courier.finish()
        house.courier.offer(_alert("too late"))
        await house.courier.last_word(_alert("the disk is full"))
        await house.courier.last_word(_alert("quiet", Severity.INFO))
        await house.courier.last_word(_alert("nobody took this"))

        assert await house.arrived(2) == ["the disk is full", "nobody took this"]
        assert house.recorded() == []


async def test_every_shape_arrives_over_the_wire() -> None:
    for shape in WebhookShape:
        settings = AlertSettings(webhook="hook", webhook_shape=shape)
        async with _house(settings=settings, run=False) as house:
            await house.line.send(_alert())
            (caught,) = house.catcher.caught
            assert b"NORMAL" in caught.body
