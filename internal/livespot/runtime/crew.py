"""Builds every actor of a trading run from its plan, its seams and its shared state."""

from collections.abc import Callable

from livespot.actors.account_feed import AccountFeed
from livespot.actors.day_keeper import DayBook, DayKeeper
from livespot.actors.execution import Execution
from livespot.actors.governor import ModeReceiver
from livespot.actors.mail import Marks, SymbolsLearned
from livespot.actors.position import PositionKeeper
from livespot.actors.reconciler import Reconciler
from livespot.actors.recovery import BootRecovery
from livespot.actors.wires import Sink
from livespot.contracts.system import ModeChanged
from livespot.runtime import market_crew
from livespot.runtime.checklist import Checklist, Point
from livespot.runtime.house import House
from livespot.runtime.market_crew import MarketPlan
from livespot.runtime.plan import Plan, Seams
from livespot.runtime.public_link import PublicLink
from livespot.runtime.reconnecting import RememberedPauses
from livespot.runtime.strategy_file import chosen_strategy
from livespot.runtime.supervisor import Actor
from livespot.venue.reconnect import ReconnectPolicy


def governor(plan: Plan, seams: Seams, house: House, leave: Callable[[ModeChanged], None]) -> Actor:
    """Build the owner of SysMode; it starts before, and ends after, the actors it governs."""
    wires = house.wires
    receivers: list[ModeReceiver] = [
        wires.scanner,
        wires.signal,
        wires.gate,
        wires.risk,
        wires.execution,
        wires.position,
        wires.reconciler,
    ]
    return market_crew.governor(_market(plan, seams), house, receivers, leave)


def crew(
    plan: Plan, seams: Seams, house: House, loop_worst_ms: Callable[[], int]
) -> list[tuple[str, Actor]]:
    """Build all other actors in their order of start: receivers before senders.

    `loop_worst_ms` returns the longest stall of the loop since its last call.
    """
    market, wires, reads = _market(plan, seams), house.wires, seams.venue.reads
    marks_to: list[Sink[Marks]] = [wires.risk, wires.execution, wires.position]
    infos_to: list[Sink[SymbolsLearned]] = [
        wires.risk,
        wires.execution,
        wires.position,
        wires.reconciler,
    ]
    return [
        ("execution", _execution(plan, seams, house)),
        ("position", _position(plan, seams, house)),
        ("risk", market_crew.risk(market, house, plan.order_cap)),
        ("ai gate", market_crew.gate(market, house, seams.gate_client)),
        ("signal", market_crew.signaller(market, house)),
        ("market state", market_crew.market_state(market, house, marks_to)),
        ("market feed", market_crew.market_feed(market, house)),
        ("scanner", market_crew.scanner(market, house, reads, infos_to)),
        ("reconciler", _reconciler(plan, seams, house)),
        ("account feed", _account_feed(seams, house)),
        ("day keeper", _day_keeper(plan, seams, house)),
        ("clock keeper", market_crew.clock_keeper(market, house)),
        ("limits keeper", market_crew.limits_keeper(market, house)),
        ("health", market_crew.health(market, house, loop_worst_ms)),
    ]


def recovery(plan: Plan, seams: Seams, house: House, born_ms: int) -> Actor:
    """Build the actor that leads the boot. `born_ms` is when the boot began, monotonic."""
    return BootRecovery(
        mode=plan.birth.mode,
        settings=plan.settings,
        clock=seams.clock,
        audit=seams.writer,
        ledger=seams.ledger,
        previous=plan.birth.last,
        held_by=plan.birth.held_by,
        execution=house.wires.execution,
        position=house.wires.position,
        reconciler=house.wires.reconciler,
        governor=house.wires.governor,
        beat=lambda: None,
        born_ms=born_ms,
    )


def checklist(plan: Plan, seams: Seams, house: House) -> Actor:
    """Build the checklist of what must hold before the first entry."""
    venue, market = seams.venue, _market(plan, seams)
    return Checklist(
        points=[
            *market_crew.market_points(market, house),
            Point(name="account events subscribed", holds=lambda: venue.account_events.connected),
            Point(
                name="account reconciled",
                holds=lambda: house.rest_age.last_success_ms is not None,
            ),
            market_crew.audit_point(market),
        ],
        manage_only=plan.manage_only,
        proven=plan.proven,
        clock=seams.clock,
        audit=seams.writer,
        governor=house.wires.governor,
    )


def _market(plan: Plan, seams: Seams) -> MarketPlan:
    """Return the part of the plan that needs no account."""
    venue = seams.venue
    return MarketPlan(
        birth=plan.birth,
        settings=plan.settings,
        prompt=plan.prompt,
        clock=seams.clock,
        entropy=seams.entropy,
        venue=PublicLink(
            reads=venue.reads,
            market_stream=venue.market_stream,
            server_clock=venue.server_clock,
            budget=venue.budget,
            key=venue.key,
        ),
        writer=seams.writer,
        ledger=seams.ledger,
        control=seams.control,
        host=seams.host,
        announce=seams.announce,
    )


def day_book(plan: Plan, seams: Seams) -> DayBook:
    """Build the book in which this run sums up its days."""
    return DayBook(
        run_id=plan.birth.run_id,
        ledger=seams.days,
        audit=seams.writer,
        clock=seams.clock,
        server_clock=seams.venue.server_clock,
    )


def _day_keeper(plan: Plan, seams: Seams, house: House) -> Actor:
    return DayKeeper(book=day_book(plan, seams), clock=seams.clock, governor=house.wires.governor)


def _execution(plan: Plan, seams: Seams, house: House) -> Actor:
    wires = house.wires
    return Execution(
        mode=plan.birth.mode,
        settings=plan.settings,
        clock=seams.clock,
        server_clock=seams.venue.server_clock,
        audit=seams.writer,
        ledger=seams.ledger,
        orders=seams.venue.orders,
        reads=seams.venue.reads,
        market=seams.venue.reads,
        gate=house.gate,
        strategy=chosen_strategy(plan.settings),
        cycles=house.cycles,
        inbox=wires.execution,
        position=wires.position,
        risk=wires.risk,
        signal=wires.signal,
        reconciler=wires.reconciler,
        governor=wires.governor,
        scanner=wires.scanner,
        market_state=wires.state,
        beat=house.heartbeats.beat_of("execution"),
        unprotected=house.unprotected,
        patience=house.patience,
    )


def _position(plan: Plan, seams: Seams, house: House) -> Actor:
    wires = house.wires
    return PositionKeeper(
        mode=plan.birth.mode,
        settings=plan.settings,
        clock=seams.clock,
        server_clock=seams.venue.server_clock,
        audit=seams.writer,
        ledger=seams.ledger,
        reads=seams.venue.reads,
        inbox=wires.position,
        execution=wires.execution,
        risk=wires.risk,
        scanner=wires.scanner,
        signal=wires.signal,
        reconciler=wires.reconciler,
        governor=wires.governor,
        beat=house.heartbeats.beat_of("position"),
        unprotected=house.unprotected,
    )


def _reconciler(plan: Plan, seams: Seams, house: House) -> Actor:
    wires = house.wires
    return Reconciler(
        mode=plan.birth.mode,
        settings=plan.settings,
        clock=seams.clock,
        server_clock=seams.venue.server_clock,
        audit=seams.writer,
        ledger=seams.ledger,
        reads=seams.venue.reads,
        inbox=wires.reconciler,
        execution=wires.execution,
        risk=wires.risk,
        position=wires.position,
        governor=wires.governor,
        rest_age=house.rest_age,
        beat=house.heartbeats.beat_of("reconciler"),
    )


def _account_feed(seams: Seams, house: House) -> Actor:
    wires = house.wires
    return AccountFeed(
        clock=seams.clock,
        connection=seams.venue.account_events,
        pauses=RememberedPauses(ReconnectPolicy(), seams.entropy),
        execution=wires.execution,
        risk=wires.risk,
        position=wires.position,
        reconciler=wires.reconciler,
        governor=wires.governor,
        beat=house.heartbeats.beat_of("account feed"),
        reconnections=house.reconnections,
    )
