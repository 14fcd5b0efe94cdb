"""What execution has made durable and not every listener has taken yet."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from livespot.actors.sending import tell
from livespot.contracts.ports import Clock
from livespot.runtime.mailboxes import Mailbox

_LIMIT_SECONDS = 5.0


@dataclass(eq=False, slots=True)
class Lane:
    """Messages for one mailbox, in order; each stays here until the mailbox has taken it.

    A delivery that is cut short may leave a message in both places: a listener may hear it twice.
    `behind`: such a delivery left something over, and nobody waits for room any more.
    """

    mailbox: Mailbox[Any]
    messages: deque[Any] = field(default_factory=deque)
    behind: bool = False

    @property
    def name(self) -> str:
        return self.mailbox.name

    async def fill(self) -> None:
        """Send as far as there is room."""
        while self.messages and not self.mailbox.is_full:
            await self._send_first()

    async def deliver(self) -> None:
        """Send everything, waiting for room as long as it takes."""
        while self.messages:
            await self._send_first()
        self.behind = False

    async def _send_first(self) -> None:
        await tell(self.mailbox, self.messages[0])
        self.messages.popleft()


class Announcements:
    """The lanes of one process; they outlive the actor, since a listener does not ask again.

    A lane that is behind has no bound: it holds what the exchange reports meanwhile. Entries add
    little to that, since a lane that is behind demands DEGRADE.
    """

    def __init__(self) -> None:
        self._lanes: dict[str, Lane] = {}

    def add(self, mailbox: Mailbox[Any], message: object) -> None:
        """Queue a message; a delivery takes it from there."""
        lane = self._lanes.get(mailbox.name)
        if lane is None:
            lane = self._lanes[mailbox.name] = Lane(mailbox)
        lane.messages.append(message)

    async def deliver(self, clock: Clock) -> None:
        """Send what is queued; where there is no room in time, the lane is behind from then on.

        A cancellation from outside has to wait for that. Lanes that are behind already are left to
        whoever catches up on them.
        """
        waiting = [lane for lane in self._lanes.values() if lane.messages and not lane.behind]
        for lane in waiting:
            await lane.fill()
        if not any(lane.messages for lane in waiting):
            return
        with clock.move_on_after(_LIMIT_SECONDS, shield=True):
            for lane in waiting:
                await lane.deliver()
        for lane in waiting:
            lane.behind = bool(lane.messages)

    def behind(self) -> tuple[Lane, ...]:
        """The lanes that hold what their listeners should know by now."""
        return tuple(lane for lane in self._lanes.values() if lane.behind)
