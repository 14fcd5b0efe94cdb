"""What trading does not need may break in any way: it is told, and trading goes on."""

from dataclasses import dataclass

import anyio
import pytest
from anyio.abc import TaskStatus

from livespot.actors.mail import GovernorInbox
from livespot.contracts.errors import AuditUnwritable
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import Severity
from livespot.panel.server import PanelUnavailable
from livespot.runtime.aside import Aside
from livespot.runtime.mailboxes import Mailbox
from livespot.testing.clock import ManualClock


@dataclass
class _Breaking:
    """Raises what it is given, or serves for ever."""

    error: Exception | None

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        if self.error is not None:
            raise self.error
        await anyio.sleep_forever()


def _aside(error: Exception | None) -> tuple[Aside, Mailbox[GovernorInbox]]:
    governor: Mailbox[GovernorInbox] = Mailbox("governor", 8, ManualClock())
    return Aside(name="panel", actor=_Breaking(error), governor=governor), governor


@pytest.mark.parametrize(
    ("error", "said"),
    [
        pytest.param(PanelUnavailable("port 8787 is taken"), "port 8787 is taken", id="port-taken"),
        pytest.param(TypeError("a defect"), "TypeError: a defect", id="defect"),
        pytest.param(
            ExceptionGroup("of a task group", [ValueError("inside")]),
            "ValueError: inside",
            id="defect-in-a-task",
        ),
        pytest.param(AuditUnwritable("its own view"), "its own view", id="fatal-elsewhere"),
        pytest.param(OSError("socket"), "socket", id="socket"),
    ],
)
async def test_whatever_breaks_is_an_alert_and_ends_there(error: Exception, said: str) -> None:
    aside, governor = _aside(error)
    others: list[str] = []

    async with anyio.create_task_group() as trading:
        trading.start_soon(aside.run)
        await anyio.lowlevel.checkpoint()
        others.append("went on")

    alert = governor.receive_nowait()
    assert isinstance(alert, Alert)
    assert alert.severity is Severity.WARN
    assert said in alert.text
    assert "Trading goes on" in alert.text
    assert governor.receive_nowait() is None
    assert others == ["went on"]


async def test_the_end_of_the_run_is_no_failure() -> None:
    aside, governor = _aside(None)

    async with anyio.create_task_group() as trading:
        trading.start_soon(aside.run)
        await anyio.lowlevel.checkpoint()
        trading.cancel_scope.cancel()

    assert governor.receive_nowait() is None
