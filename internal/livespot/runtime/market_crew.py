"""Builds the actors that every run has, whether it trades or only watches; none signs or sends."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from livespot.actors.ai_gate import AiGate
from livespot.actors.audit import AuditWriter
from livespot.actors.clock_keeper import ClockKeeper
from livespot.actors.governor import Governor, ModeReceiver
from livespot.actors.health import Health, HostFigures
from livespot.actors.letter_box import ControlFiles
from livespot.actors.limits_keeper import LimitsKeeper
from livespot.actors.mail import Marks, SymbolsLearned
from livespot.actors.market_feed import MarketFeed
from livespot.actors.market_state import MarketState
from livespot.actors.risk import RiskOfficer
from livespot.actors.scanner import Scanner
from livespot.actors.signaller import Signaller
from livespot.actors.wires import Sink
from livespot.contracts.ports import Clock, Entropy
from livespot.contracts.queries import LedgerReader
from livespot.contracts.settings import Settings
from livespot.contracts.system import Alert, ModeChanged
from livespot.contracts.venue import AccountReader
from livespot.contracts.vocabulary import TrailingMode
from livespot.gate.client import GateModel
from livespot.gate.prompts import Prompt
from livespot.rules.backoff import backoff_seconds
from livespot.runtime.checklist import Point
from livespot.runtime.house import House
from livespot.runtime.public_link import PublicLink
from livespot.runtime.run_records import Birth
from livespot.runtime.strategy_file import chosen_strategy
from livespot.runtime.supervisor import Actor
from livespot.venue.frames import decode_frame


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketPlan:
    """What a run is, and the adapters it uses that need no account."""

    birth: Birth
    settings: Settings
    prompt: Prompt
    clock: Clock
    entropy: Entropy
    venue: PublicLink
    writer: AuditWriter
    ledger: LedgerReader
    control: ControlFiles
    host: HostFigures
    announce: Callable[[Alert], None]


def governor(
    plan: MarketPlan,
    house: House,
    receivers: Sequence[ModeReceiver],
    leave: Callable[[ModeChanged], None],
) -> Actor:
    """Build the owner of SysMode; every change of the mode is sent to `receivers`."""
    wires = house.wires
    return Governor(
        run_id=plan.birth.run_id,
        start_mode=plan.birth.start_mode,
        settings=plan.settings.health,
        clock=plan.clock,
        audit=plan.writer,
        gate=house.gate,
        inbox=wires.governor,
        receivers=receivers,
        risk=wires.risk,
        control=plan.control,
        ledger=plan.ledger,
        cycles=lambda: house.cycles.count,
        announce=plan.announce,
        leave=leave,
        beat=house.heartbeats.beat_of("governor"),
    )


def market_points(plan: MarketPlan, house: House) -> list[Point]:
    """Return the checklist's conditions on clock and market."""
    clock, server_clock = plan.clock, plan.venue.server_clock
    stale_ms = plan.settings.health.ws_stale_ms_degrade
    return [
        Point(name="time measured", holds=lambda: server_clock.synced),
        Point(
            name="market stream flowing",
            holds=lambda: house.stream_age.is_fresh(clock.monotonic_ms(), stale_ms),
        ),
    ]


def audit_point(plan: MarketPlan) -> Point:
    """Return the checklist's condition on the audit."""
    writer, lag_ms = plan.writer, plan.settings.audit.writer_max_lag_ms
    return Point(
        name="audit writable and not lagging",
        holds=lambda: writer.stats().oldest_age_ms < lag_ms,
    )


def risk(plan: MarketPlan, house: House, order_cap: Decimal | None = None) -> Actor:
    """Build the risk officer; `order_cap` limits the quote value of one order."""
    wires = house.wires
    return RiskOfficer(
        settings=plan.settings,
        clock=plan.clock,
        server_clock=plan.venue.server_clock,
        audit=plan.writer,
        ledger=plan.ledger,
        counts=plan.venue.budget,
        inbox=wires.risk,
        execution=wires.execution,
        signal=wires.signal,
        governor=wires.governor,
        market=wires.state,
        health_to=(wires.scanner, wires.state),
        order_cap=order_cap,
    )


def gate(plan: MarketPlan, house: House, client: GateModel) -> Actor:
    wires = house.wires
    return AiGate(
        settings=plan.settings,
        prompt=plan.prompt,
        client=client,
        clock=plan.clock,
        audit=plan.writer,
        ledger=plan.ledger,
        inbox=wires.gate,
        risk=wires.risk,
        signal=wires.signal,
        governor=wires.governor,
    )


def signaller(plan: MarketPlan, house: House) -> Actor:
    """Build the signaller. Raises `ConfigInvalid` for a strategy that does not exist."""
    wires = house.wires
    return Signaller(
        settings=plan.settings,
        mode=plan.birth.mode,
        clock=plan.clock,
        strategy=chosen_strategy(plan.settings),
        audit=plan.writer,
        cycles=house.cycles,
        inbox=wires.signal,
        state=wires.state,
        gate=wires.gate,
        beat=house.heartbeats.beat_of("signal"),
    )


def market_state(plan: MarketPlan, house: House, marks_to: Sequence[Sink[Marks]]) -> Actor:
    wires = house.wires
    return MarketState(
        settings=plan.settings,
        clock=plan.clock,
        server_clock=plan.venue.server_clock,
        inbox=wires.state,
        books=wires.books,
        age=house.stream_age,
        feed=wires.feed,
        signal=wires.signal,
        risk=wires.risk,
        marks_to=marks_to,
        alerts=wires.governor,
        beat=house.heartbeats.beat_of("market state"),
    )


def market_feed(plan: MarketPlan, house: House) -> Actor:
    wires = house.wires
    return MarketFeed(
        settings=plan.settings,
        clock=plan.clock,
        server_clock=plan.venue.server_clock,
        stream=plan.venue.market_stream,
        decode=decode_frame,
        reader=plan.venue.reads,
        inbox=wires.feed,
        books=wires.books,
        state=wires.state,
        risk=wires.risk,
        alerts=wires.governor,
        age=house.stream_age,
        backoff=lambda failures: backoff_seconds(failures, plan.entropy.uniform(0.0, 1.0)),
        beat=house.heartbeats.beat_of("market feed"),
    )


def scanner(
    plan: MarketPlan,
    house: House,
    account: AccountReader | None,
    infos_to: Sequence[Sink[SymbolsLearned]],
) -> Actor:
    """Build the scanner. `account` is None without a key; symbols' rules are sent to `infos_to`."""
    wires = house.wires
    swaps = plan.settings.exit.trailing_policy == TrailingMode.VIRTUAL
    return Scanner(
        settings=plan.settings,
        clock=plan.clock,
        server_clock=plan.venue.server_clock,
        reader=plan.venue.reads,
        account=account,
        audit=plan.writer,
        cycles=house.cycles,
        inbox=wires.scanner,
        state=wires.state,
        feed=wires.feed,
        signal=wires.signal,
        infos_to=infos_to,
        governor=wires.governor,
        beat=house.heartbeats.beat_of("scanner"),
        held_to=wires.position if swaps and account is not None else None,
        fees_to=wires.execution if account is not None else None,
    )


def clock_keeper(plan: MarketPlan, house: House) -> Actor:
    return ClockKeeper(
        settings=plan.settings.time,
        clock=plan.clock,
        server_clock=plan.venue.server_clock,
        audit=plan.writer,
        governor=house.wires.governor,
        beat=house.heartbeats.beat_of("clock keeper"),
        reconnections=house.reconnections,
    )


def limits_keeper(plan: MarketPlan, house: House) -> Actor:
    return LimitsKeeper(
        clock=plan.clock,
        server_clock=plan.venue.server_clock,
        audit=plan.writer,
        governor=house.wires.governor,
        budget=plan.venue.budget,
        key=plan.venue.key,
        beat=house.heartbeats.beat_of("limits keeper"),
    )


def health(plan: MarketPlan, house: House, loop_worst_ms: Callable[[], int]) -> Actor:
    """Build the health actor.

    `loop_worst_ms` returns the longest stall of the loop since its last call.
    """
    return Health(
        settings=plan.settings,
        clock=plan.clock,
        audit=plan.writer,
        governor=house.wires.governor,
        mailboxes=house.wires.measured(),
        overdue_ms=lambda: _overdue_ms(house),
        loop_worst_ms=loop_worst_ms,
        writer_stats=plan.writer.stats,
        stream_age=house.stream_age,
        rest_age=house.rest_age,
        probe=plan.venue.reads,
        server_clock=plan.venue.server_clock,
        counts=plan.venue.budget,
        host=plan.host,
        beat=house.heartbeats.beat_of("health"),
        close_entries=house.gate.close_entries,
        announce=plan.announce,
        unprotected=house.unprotected,
    )


def _overdue_ms(house: House) -> dict[str, int]:
    """Return for each actor how long it has shown no sign of life, in milliseconds.

    An actor that waits at its mailbox is alive however old its last beat is. Risk and the gate send
    no beats: they are overdue for as long as they work on one message.
    """
    wires = house.wires
    overdue = house.heartbeats.overdue_ms()
    for name, inbox in (
        ("governor", wires.governor),
        ("scanner", wires.scanner),
        ("signal", wires.signal),
        ("execution", wires.execution),
        ("position", wires.position),
        ("reconciler", wires.reconciler),
    ):
        age_ms = overdue.get(name)
        # With a handler behind it, the reader may return although the handler hangs: its beat
        # counts.
        if age_ms and not inbox.is_worked_on:
            overdue[name] = min(age_ms, inbox.unseen_ms)
    overdue["risk"], overdue["ai gate"] = wires.risk.busy_ms, wires.gate.busy_ms
    return overdue
