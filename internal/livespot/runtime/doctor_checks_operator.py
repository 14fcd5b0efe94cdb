"""Checks what reaches the operator: the alert channels, and the one next step."""

from collections.abc import Iterator

from livespot.actors.alert_courier import Undelivered
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import ConfigInvalid
from livespot.contracts.redaction import Redactor
from livespot.contracts.secret import Secret
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import Severity
from livespot.panel.database import PanelUnreadable
from livespot.rules.alert_webhook import Origin
from livespot.rules.doctor import Check, Outcome
from livespot.runtime.alerting import webhook_line
from livespot.runtime.doctor_plan import DoctorPlan, Need, Probe, quoted
from livespot.runtime.environment import read_webhook, webhook_file
from livespot.runtime.placed import placed
from livespot.runtime.standing import standing

_SLACK_SECONDS = 1.0


def operator_probes(plan: DoctorPlan) -> Iterator[Probe]:
    """Yield the probes in the order of their rows."""

    async def alerts() -> Check:
        return await check_alerts(plan)

    async def step() -> Check:
        return await check_next(plan)

    seconds = plan.settings.alerts.webhook_timeout_ms / 1000 + _SLACK_SECONDS
    yield Probe(id="alerts", title="Alerts", look=alerts, seconds=seconds, on_error=Outcome.WARN)
    if plan.check_standing and plan.disk.exists(plan.paths.database):
        yield Probe(id="next", title="What to do now", look=step, on_error=Outcome.WARN)


async def check_alerts(plan: DoctorPlan) -> Check:
    """Name the channels; unless offline, a configured webhook is sent one real alert."""
    alerts = plan.settings.alerts
    always = f"console, panel{', sound' if alerts.sound else ''}"
    if not alerts.webhook:
        return _alerts(Outcome.PASS, f"{always}; no webhook")
    edit = f"(umask 077 && ${{EDITOR:-vi}} {quoted(webhook_file(alerts, plan.paths.dotenv))})"
    try:
        address = read_webhook(alerts, plan.paths.dotenv)
    except ConfigInvalid as error:
        return _alerts(Outcome.FAIL, "webhook unusable", edit, "; ".join(error.problems))
    if Need.NETWORK not in plan.needs:
        return _alerts(Outcome.PASS, f"{always}; webhook well-formed, not tried")
    before_ms = plan.clock.monotonic_ms()
    try:
        await _send_test(plan, address)
    except Undelivered as failure:
        detail = f"{failure}: alerts will reach {always} only; trading does not depend on it"
        return _alerts(Outcome.WARN, "webhook did not take the test", edit, detail)
    took_ms = (plan.clock.monotonic_ms() - before_ms) // plan.speed
    shape = alerts.webhook_shape
    return _alerts(Outcome.PASS, f"{always}; {shape} webhook took a test after {took_ms} ms")


async def check_next(plan: DoctorPlan) -> Check:
    """The step that the panel, the status and `livespot next` show."""
    try:
        step = (await standing(plan.paths)).next
    except PanelUnreadable as error:
        command = plan.command("livespot migrate --status")
        return _next(Outcome.WARN, "not known", command, str(error))
    urgent = step.urgency == "NOW"
    return _next(
        Outcome.WARN if urgent else Outcome.PASS,
        placed(step.action, plan.paths),
        plan.command("livespot status") if urgent else "",
        placed(step.why, plan.paths),
    )


async def _send_test(plan: DoctorPlan, address: Secret) -> None:
    secrets = (*plan.secrets.all(), address)
    redactor = Redactor(secret.reveal() for secret in secrets)
    origin = Origin(run_id="doctor", mode="DOCTOR")
    test = Alert(
        severity=Severity.INFO,
        code=ReasonCode.ALERT_RAISED,
        reasons=(),
        text="a test by livespot doctor: alerts reach you here",
        at_ms=plan.clock.now_ms(),
    )
    alerts = plan.settings.alerts
    async with webhook_line(address, alerts, origin=origin, redactor=redactor) as line:
        await line.send(test, attempts=1)


def _alerts(outcome: Outcome, measured: str, command: str = "", detail: str = "") -> Check:
    return Check(
        id="alerts",
        title="Alerts",
        outcome=outcome,
        measured=measured,
        limit="a test arrives",
        next_command=command,
        detail=detail,
    )


def _next(outcome: Outcome, measured: str, command: str, detail: str) -> Check:
    return Check(
        id="next",
        title="What to do now",
        outcome=outcome,
        measured=measured,
        next_command=command,
        detail=detail,
    )
