"""The shared inside of one run, whatever the run may do."""

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
    """Mailboxes, life signs, the send gate, what may be bare, how long answers are waited for."""

    wires: Wires
    gate: SendGate
    cycles: CycleIds
    heartbeats: Heartbeats
    rest_age: RestAge
    stream_age: StreamAge = field(default_factory=StreamAge)
    unprotected: Unprotected = field(default_factory=Unprotected)
    patience: Patience = field(default_factory=Patience)
    reconnections: Reconnections = field(default_factory=Reconnections)
