"""What a run is, and all its connections to the outside."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from livespot.actors.alert_courier import AlertCourier
from livespot.actors.audit import AuditWriter
from livespot.actors.day_keeper import DayLedger
from livespot.actors.health import HostFigures
from livespot.actors.letter_box import ControlFiles
from livespot.actors.rest_age import RestAge
from livespot.contracts.ports import Clock, Entropy
from livespot.contracts.queries import LedgerReader
from livespot.contracts.settings import Settings
from livespot.contracts.system import Alert
from livespot.gate.client import GateModel
from livespot.gate.prompts import Prompt
from livespot.runtime.cycles import CycleIds
from livespot.runtime.house import House
from livespot.runtime.run_records import Birth
from livespot.runtime.send_gate import SendGate
from livespot.runtime.supervisor import Actor
from livespot.runtime.venue_link import VenueLink
from livespot.runtime.watchdog import Heartbeats, Watchdog
from livespot.runtime.wiring import lay_wires


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What this run is: decided before anything starts, and never changed.

    `manage_only` gives reasons why the run takes no entries at all, `proven` names what was shown
    before it began, and `order_cap` limits the quote value of one order. `runs_on` goes into the
    first event; it is empty where a replay must give the same events on another interpreter.
    """

    birth: Birth
    settings: Settings
    config_hash: str
    prompt: Prompt
    account_label: str
    manage_only: tuple[str, ...] = ()
    proven: tuple[str, ...] = ()
    order_cap: Decimal | None = None
    runs_on: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seams:
    """The adapters of a run.

    `watchdog`, `panel` and `courier` are None where they are not needed.
    """

    clock: Clock
    entropy: Entropy
    venue: VenueLink
    gate_client: GateModel
    writer: AuditWriter
    ledger: LedgerReader
    days: DayLedger
    control: ControlFiles
    host: HostFigures
    announce: Callable[[Alert], None]
    watchdog: Callable[[Heartbeats, SendGate], Watchdog] | None = None
    panel: Actor | None = None
    courier: AlertCourier | None = None
    begun: Callable[[], None] = lambda: None


def furnish(plan: Plan, clock: Clock) -> House:
    """Create the shared state for one run."""
    return House(
        wires=lay_wires(clock),
        gate=SendGate(),
        cycles=CycleIds(plan.birth.run_id, clock),
        heartbeats=Heartbeats(clock),
        rest_age=RestAge(plan.settings.reconcile.rest_interval_ms),
    )
