"""A governor for tests, with its mailboxes, gate and trail, on fast time."""

from collections.abc import Callable
from dataclasses import dataclass, field

from livespot.actors.governor import Governor
from livespot.actors.letter_box import ControlFiles
from livespot.actors.mail import GovernorInbox
from livespot.contracts.codes import ReasonCode
from livespot.contracts.settings import HealthSettings
from livespot.contracts.system import (
    Alert,
    ExposureWanted,
    HealthSignal,
    ModeChanged,
    OperatorCommand,
    ReleaseWanted,
)
from livespot.contracts.vocabulary import SignalKind, SignalLevel, SysMode
from livespot.runtime.clock import ClockAnchor, ScaledClock
from livespot.runtime.mailboxes import Mailbox
from livespot.runtime.send_gate import SendGate
from livespot.testing.audit import RecordingAudit

FAST = ScaledClock(ClockAnchor(wall_ms=0, market_ms=0, speed=100))
_PATIENCE_S = 500
"""Market time: five seconds on the wall."""


def a_signal(
    level: SignalLevel,
    *,
    kind: SignalKind = SignalKind.WS_STALE,
    source: str = "",
    code: ReasonCode = ReasonCode.WS_STALE_DEGRADE,
) -> HealthSignal:
    return HealthSignal(kind=kind, level=level, reason=code, source=source, value=9, threshold=2)


@dataclass
class Control:
    """The operator's commands, and whether the STOP file exists."""

    commands: list[OperatorCommand] = field(default_factory=list)
    stop: bool = False

    def read_commands(self, now_ms: int) -> list[OperatorCommand]:
        del now_ms
        return list(self.commands)

    def remove(self, nonce: str) -> bool:
        self.commands = [command for command in self.commands if command.nonce != nonce]
        return True

    @property
    def may_change(self) -> bool:
        return True

    def stop_file_present(self) -> bool:
        return self.stop


@dataclass
class Outcomes:
    """What the audit says of commands; `error` is raised once instead."""

    by_nonce: dict[str, str] = field(default_factory=dict)
    error: Exception | None = None

    async def command_outcome(self, nonce: str) -> str | None:
        error, self.error = self.error, None
        if error is not None:
            raise error
        return self.by_nonce.get(nonce)


@dataclass(kw_only=True)
class House:
    """Everything around a governor that a test can observe."""

    inbox: Mailbox[GovernorInbox] = field(default_factory=lambda: Mailbox("governor", 64, FAST))
    heard: Mailbox[ModeChanged] = field(default_factory=lambda: Mailbox("listener", 64, FAST))
    risk: Mailbox[ReleaseWanted | ExposureWanted] = field(
        default_factory=lambda: Mailbox("risk", 1, FAST)
    )
    audit: RecordingAudit = field(default_factory=RecordingAudit)
    gate: SendGate = field(default_factory=SendGate)
    control: Control = field(default_factory=Control)
    files: ControlFiles | None = None
    """Instead of `control`, where real ones matter."""
    outcomes: Outcomes = field(default_factory=Outcomes)
    announced: list[Alert] = field(default_factory=list)
    left: list[ModeChanged] = field(default_factory=list)

    def governor(self, start: SysMode, cycles: Callable[[], int]) -> Governor:
        """Build a governor that needs one quiet second to leave DEGRADE."""
        return Governor(
            run_id="run_test",
            start_mode=start,
            settings=HealthSettings(degrade_exit_stable_window_ms=1000),
            clock=FAST,
            audit=self.audit,
            gate=self.gate,
            inbox=self.inbox,
            receivers=[self.heard],
            risk=self.risk,
            control=self.files or self.control,
            ledger=self.outcomes,
            cycles=cycles,
            announce=self.announced.append,
            leave=self.left.append,
            beat=lambda: None,
        )

    async def until(self, mode: SysMode) -> ModeChanged:
        """Return the change to `mode`, skipping those before it."""
        with FAST.fail_after(_PATIENCE_S):
            while True:
                change = await self.heard.receive()
                if change.mode is mode:
                    return change

    async def boot(self) -> None:
        for kind, source in ((SignalKind.RECOVERY, "boot"), (SignalKind.CHECKLIST, "checklist")):
            await self.inbox.send(a_signal(SignalLevel.CLEAR, kind=kind, source=source))
        await self.until(SysMode.NORMAL)
