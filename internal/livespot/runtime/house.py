"""The state that the actors of one run share."""

from dataclasses import dataclass, field

from livespot.actors.reconnections import Reconnections
from livespot.actors.rest_age import RestAge
from livespot.actors.stream_age import StreamAge
from livespot.runtime.cycles import CycleIds
from livespot.runtime.patience import Patience
from livespot.runtime.send_gate import SendGate
from livespot.runtime.unprotected import Unprotected
from livespot.runtime.watchdog import Heartbeats
from livespot.runtime.wiring import Wires


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Mailboxes, heartbeats, the send gate, the ages of the feeds, and what may lack a stop."""

    wires: Wires
    gate: SendGate
    cycles: CycleIds
    heartbeats: Heartbeats
    rest_age: RestAge
    stream_age: StreamAge = field(default_factory=StreamAge)
    unprotected: Unprotected = field(default_factory=Unprotected)
    patience: Patience = field(default_factory=Patience)
    reconnections: Reconnections = field(default_factory=Reconnections)
