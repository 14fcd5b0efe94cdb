"""Builds every actor of a run from its plan, its seams and its house."""

from collections.abc import Callable

from livespot.actors.account_feed import AccountFeed
from livespot.actors.ai_gate import AiGate
from livespot.actors.clock_keeper import ClockKeeper
from livespot.actors.execution import Execution
from livespot.actors.governor import Governor
from livespot.actors.health import Health
from livespot.actors.limits_keeper import LimitsKeeper
from livespot.actors.market_feed import MarketFeed
from livespot.actors.market_state import MarketState
from livespot.actors.position import PositionKeeper
from livespot.actors.reconciler import Reconciler
from livespot.actors.recovery import BootRecovery
from livespot.actors.risk import RiskOfficer
from livespot.actors.scanner import Scanner
from livespot.actors.signaller import Signaller
from livespot.contracts.system import ModeChanged
from livespot.rules.backoff import backoff_seconds
from livespot.runtime.checklist import Checklist, Point
from livespot.runtime.plan import House, Plan, Seams
from livespot.runtime.reconnecting import RememberedPauses
from livespot.runtime.strategy_file import chosen_strategy
from livespot.runtime.supervisor import Actor
from livespot.venue.frames import decode_frame
from livespot.venue.reconnect import ReconnectPolicy


def governor(plan: Plan, seams: Seams, house: House, leave: Callable[[ModeChanged], None]) -> Actor:
    """The owner of SysMode; starts before and ends after everybody it governs."""
    wires = house.wires
    return Governor(
        run_id=plan.birth.run_id,
        start_mode=plan.birth.start_mode,
        settings=plan.settings.health,
        clock=seams.clock,
        audit=seams.writer,
        gate=house.gate,
        inbox=wires.governor,
        receivers=[
            wires.scanner,
            wires.signal,
            wires.gate,
            wires.risk,
            wires.execution,
            wires.position,
            wires.reconciler,
        ],
        risk=wires.risk,
        control=seams.control,
        cycles=lambda: house.cycles.count,
        announce=seams.announce,
        leave=leave,
        beat=house.heartbeats.beat_of("governor"),
    )


def crew(
    plan: Plan, seams: Seams, house: House, loop_worst_ms: Callable[[], int]
) -> list[tuple[str, Actor]]:
    """Everybody else, in the order of their start: who listens before who speaks."""
    return [
        ("execution", _execution(plan, seams, house)),
        ("position", _position(plan, seams, house)),
        ("risk", _risk(plan, seams, house)),
        ("ai gate", _gate(plan, seams, house)),
        ("signal", _signal(plan, seams, house)),
        ("market state", _market_state(plan, seams, house)),
        ("market feed", _feed(plan, seams, house)),
        ("scanner", _scanner(plan, seams, house)),
        ("reconciler", _reconciler(plan, seams, house)),
        ("account feed", _account_feed(seams, house)),
        ("clock keeper", _clock_keeper(plan, seams, house)),
        ("limits keeper", _limits_keeper(seams, house)),
        ("health", _health(plan, seams, house, loop_worst_ms)),
    ]


def recovery(plan: Plan, seams: Seams, house: House) -> Actor:
    """Leads the boot once the others run."""
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
    )


def checklist(plan: Plan, seams: Seams, house: House) -> Actor:
    """What must hold before the first entry."""
    clock, venue, writer = seams.clock, seams.venue, seams.writer
    stale_ms = plan.settings.health.ws_stale_ms_degrade
    lag_ms = plan.settings.audit.writer_max_lag_ms
    return Checklist(
        points=[
            Point(name="time measured", holds=lambda: venue.server_clock.synced),
            Point(
                name="market stream flowing",
                holds=lambda: house.stream_age.is_fresh(clock.monotonic_ms(), stale_ms),
            ),
            Point(name="account events subscribed", holds=lambda: venue.account_events.connected),
            Point(
                name="account reconciled",
                holds=lambda: house.rest_age.last_success_ms is not None,
            ),
            Point(
                name="audit writable and not lagging",
                holds=lambda: writer.stats().oldest_age_ms < lag_ms,
            ),
        ],
        manage_only=plan.manage_only,
        proven=plan.proven,
        clock=clock,
        audit=writer,
        governor=house.wires.governor,
    )


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
    )


def _position(plan: Plan, seams: Seams, house: House) -> Actor:
    wires = house.wires
    return PositionKeeper(
        mode=plan.birth.mode,
        settings=plan.settings,
        clock=seams.clock,
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


def _risk(plan: Plan, seams: Seams, house: House) -> Actor:
    wires = house.wires
    return RiskOfficer(
        settings=plan.settings,
        clock=seams.clock,
        audit=seams.writer,
        ledger=seams.ledger,
        counts=seams.venue.budget,
        inbox=wires.risk,
        execution=wires.execution,
        signal=wires.signal,
        governor=wires.governor,
        market=wires.state,
        health_to=(wires.scanner, wires.state),
        order_cap=plan.order_cap,
    )


def _gate(plan: Plan, seams: Seams, house: House) -> Actor:
    wires = house.wires
    return AiGate(
        settings=plan.settings,
        prompt=plan.prompt,
        client=seams.gate_client,
        clock=seams.clock,
        audit=seams.writer,
        ledger=seams.ledger,
        inbox=wires.gate,
        risk=wires.risk,
        signal=wires.signal,
        governor=wires.governor,
    )


def _signal(plan: Plan, seams: Seams, house: House) -> Actor:
    wires = house.wires
    return Signaller(
        settings=plan.settings,
        mode=plan.birth.mode,
        clock=seams.clock,
        strategy=chosen_strategy(plan.settings),
        audit=seams.writer,
        cycles=house.cycles,
        inbox=wires.signal,
        state=wires.state,
        gate=wires.gate,
        beat=house.heartbeats.beat_of("signal"),
    )


def _market_state(plan: Plan, seams: Seams, house: House) -> Actor:
    wires = house.wires
    return MarketState(
        settings=plan.settings,
        clock=seams.clock,
        server_clock=seams.venue.server_clock,
        inbox=wires.state,
        books=wires.books,
        age=house.stream_age,
        feed=wires.feed,
        signal=wires.signal,
        risk=wires.risk,
        marks_to=[wires.risk, wires.execution, wires.position],
        alerts=wires.governor,
        beat=house.heartbeats.beat_of("market state"),
    )


def _feed(plan: Plan, seams: Seams, house: House) -> Actor:
    wires = house.wires
    return MarketFeed(
        settings=plan.settings,
        clock=seams.clock,
        server_clock=seams.venue.server_clock,
        stream=seams.venue.market_stream,
        decode=decode_frame,
        reader=seams.venue.reads,
        inbox=wires.feed,
        books=wires.books,
        state=wires.state,
        risk=wires.risk,
        alerts=wires.governor,
        age=house.stream_age,
        backoff=lambda failures: backoff_seconds(failures, seams.entropy.uniform(0.0, 1.0)),
        beat=house.heartbeats.beat_of("market feed"),
    )


def _scanner(plan: Plan, seams: Seams, house: House) -> Actor:
    wires = house.wires
    return Scanner(
        settings=plan.settings,
        clock=seams.clock,
        reader=seams.venue.reads,
        account=seams.venue.reads,
        audit=seams.writer,
        cycles=house.cycles,
        inbox=wires.scanner,
        state=wires.state,
        feed=wires.feed,
        signal=wires.signal,
        infos_to=[wires.risk, wires.execution, wires.position, wires.reconciler],
        governor=wires.governor,
        beat=house.heartbeats.beat_of("scanner"),
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
    )


def _clock_keeper(plan: Plan, seams: Seams, house: House) -> Actor:
    return ClockKeeper(
        settings=plan.settings.time,
        clock=seams.clock,
        server_clock=seams.venue.server_clock,
        audit=seams.writer,
        governor=house.wires.governor,
        beat=house.heartbeats.beat_of("clock keeper"),
    )


def _limits_keeper(seams: Seams, house: House) -> Actor:
    return LimitsKeeper(
        clock=seams.clock,
        server_clock=seams.venue.server_clock,
        audit=seams.writer,
        governor=house.wires.governor,
        budget=seams.venue.budget,
        key=seams.venue.key,
        beat=house.heartbeats.beat_of("limits keeper"),
    )


def _health(plan: Plan, seams: Seams, house: House, loop_worst_ms: Callable[[], int]) -> Actor:
    return Health(
        settings=plan.settings,
        clock=seams.clock,
        audit=seams.writer,
        governor=house.wires.governor,
        mailboxes=house.wires.measured(),
        overdue_ms=lambda: _overdue_ms(house),
        loop_worst_ms=loop_worst_ms,
        writer_stats=seams.writer.stats,
        stream_age=house.stream_age,
        rest_age=house.rest_age,
        probe=seams.venue.reads,
        server_clock=seams.venue.server_clock,
        counts=seams.venue.budget,
        host=seams.host,
        beat=house.heartbeats.beat_of("health"),
        close_entries=house.gate.close_entries,
        unprotected=house.unprotected,
    )


def _overdue_ms(house: House) -> dict[str, int]:
    """Also of those without a clock of their own: they are busy, or they wait for a message."""
    wires = house.wires
    busy = {"risk": wires.risk.busy_ms, "ai gate": wires.gate.busy_ms}
    return house.heartbeats.overdue_ms() | busy
