"""Builds the actors of a shadow run: none of them can sign or send."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from livespot.actors.governor import ModeReceiver
from livespot.actors.mail import SymbolDropped
from livespot.actors.rest_age import RestAge
from livespot.actors.shadow_desk import ShadowDesk, TradesHeard
from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import AggTrade
from livespot.contracts.system import ModeChanged
from livespot.gate.client import Completion, GateFailed
from livespot.runtime import market_crew
from livespot.runtime.checklist import Checklist
from livespot.runtime.cycles import CycleIds
from livespot.runtime.house import House
from livespot.runtime.mailboxes import Mailbox
from livespot.runtime.market_crew import MarketPlan
from livespot.runtime.send_gate import SendGate
from livespot.runtime.supervisor import Actor
from livespot.runtime.watchdog import Heartbeats
from livespot.runtime.wiring import lay_wires

_DEEP = 4096
_TRADES = 20_000


class NoModel:
    """A `GateModel` that is never asked: without keys the gate is off."""

    async def complete(self, request: bytes) -> Completion:
        """Raises `GateFailed`."""
        del request
        raise GateFailed(ReasonCode.AIGATE_DISABLED, "a shadow run asks no model")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowHouse(House):
    """The state that the actors share. `trades` brings market trades to the desk."""

    trades: Mailbox[AggTrade | SymbolDropped]


def furnish(plan: MarketPlan) -> ShadowHouse:
    """Create the shared state; every trade sent to market state is also sent to the desk."""
    clock = plan.clock
    trades: Mailbox[AggTrade | SymbolDropped] = Mailbox("shadow trades", _TRADES, clock)
    state = TradesHeard("market state", _DEEP, clock, trades)
    return ShadowHouse(
        wires=replace(lay_wires(clock), state=state),
        trades=trades,
        gate=SendGate(),
        cycles=CycleIds(plan.birth.run_id, clock),
        heartbeats=Heartbeats(clock),
        rest_age=RestAge(plan.settings.reconcile.rest_interval_ms),
    )


def governor(plan: MarketPlan, house: ShadowHouse, leave: Callable[[ModeChanged], None]) -> Actor:
    """Build the owner of SysMode; it governs proposals, since nothing is sent."""
    wires = house.wires
    receivers: list[ModeReceiver] = [
        wires.scanner,
        wires.signal,
        wires.gate,
        wires.risk,
        wires.execution,
    ]
    return market_crew.governor(plan, house, receivers, leave)


def crew(
    plan: MarketPlan, house: ShadowHouse, loop_worst_ms: Callable[[], int]
) -> Sequence[tuple[str, Actor]]:
    """Build all other actors in their order of start: receivers before senders."""
    wires = house.wires
    return [
        ("shadow desk", _desk(plan, house)),
        ("risk", market_crew.risk(plan, house)),
        ("ai gate", market_crew.gate(plan, house, NoModel())),
        ("signal", market_crew.signaller(plan, house)),
        ("market state", market_crew.market_state(plan, house, [wires.risk])),
        ("market feed", market_crew.market_feed(plan, house)),
        ("scanner", market_crew.scanner(plan, house, None, [wires.risk])),
        ("clock keeper", market_crew.clock_keeper(plan, house)),
        ("limits keeper", market_crew.limits_keeper(plan, house)),
        ("health", market_crew.health(plan, house, loop_worst_ms)),
    ]


def checklist(plan: MarketPlan, house: ShadowHouse) -> Actor:
    """Build the checklist for the first proposal; there is no account to check."""
    return Checklist(
        points=[*market_crew.market_points(plan, house), market_crew.audit_point(plan)],
        manage_only=(),
        clock=plan.clock,
        audit=plan.writer,
        governor=house.wires.governor,
    )


def _desk(plan: MarketPlan, house: ShadowHouse) -> Actor:
    wires = house.wires
    return ShadowDesk(
        settings=plan.settings,
        clock=plan.clock,
        server_clock=plan.venue.server_clock,
        audit=plan.writer,
        inbox=wires.execution,
        trades=house.trades,
        risk=wires.risk,
        signal=wires.signal,
        beat=house.heartbeats.beat_of("shadow desk"),
    )
