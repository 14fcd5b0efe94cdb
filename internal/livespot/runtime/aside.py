"""Runs an actor that trading does not need: its failure is reported and affects nothing else."""

from dataclasses import dataclass

import structlog

from livespot.actors.mail import GovernorInbox
from livespot.actors.wires import Sink
from livespot.contracts.codes import ReasonCode
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import Severity
from livespot.runtime.supervisor import Actor, describe

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """One such actor. It is not restarted; only the next start of the process tries again."""

    name: str
    actor: Actor
    governor: Sink[GovernorInbox]

    async def run(self) -> None:
        """Run the actor to its end. No error of the actor is passed on; cancellation is."""
        try:
            await self.actor.run()
        except Exception as error:  # noqa: BLE001  the boundary of a part trading does not need
            cause = describe(error)
            _log.error("aside_ended", name=self.name, cause=cause)
            await self.governor.send(
                Alert(
                    severity=Severity.WARN,
                    code=ReasonCode.ALERT_RAISED,
                    reasons=(),
                    text=f"there is no {self.name}: {cause}. Trading goes on without it",
                )
            )
