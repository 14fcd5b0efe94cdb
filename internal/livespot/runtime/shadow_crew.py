"""Builds the actors of a run that only watches: nobody in it can sign or send."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from livespot.actors.ai_gate import AiGate
from livespot.actors.audit import AuditWriter
from livespot.actors.clock_keeper import ClockKeeper
from livespot.actors.governor import ControlFiles, Governor
from livespot.actors.health import Health, HostFigures
from livespot.actors.limits_keeper import LimitsKeeper
from livespot.actors.mail import SymbolDropped
from livespot.actors.market_feed import MarketFeed
from livespot.actors.market_state import MarketState
from livespot.actors.rest_age import RestAge
from livespot.actors.risk import RiskOfficer
from livespot.actors.scanner import Scanner
from livespot.actors.shadow_desk import ShadowDesk, TradesHeard
from livespot.actors.signaller import Signaller
from livespot.actors.stream_age import StreamAge
from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import AggTrade
from livespot.contracts.ports import Clock, Entropy
from livespot.contracts.queries import LedgerReader
from livespot.contracts.settings import Settings
from livespot.contracts.system import Alert, ModeChanged
from livespot.gate.client import Completion, GateFailed
from livespot.gate.prompts import Prompt
from livespot.rules.backoff import backoff_seconds
from livespot.runtime.checklist import Checklist, Point
from livespot.runtime.cycles import CycleIds
from livespot.runtime.mailboxes import Mailbox
from livespot.runtime.public_link import PublicLink
from livespot.runtime.run_records import Birth
from livespot.runtime.send_gate import SendGate
from livespot.runtime.strategy_file import chosen_strategy
from livespot.runtime.supervisor import Actor
from livespot.runtime.watchdog import Heartbeats
from livespot.runtime.wiring import Wires, lay_wires
from livespot.venue.frames import decode_frame

_DEEP = 4096
_TRADES = 20_000


class NoModel:
    """A `GateModel` that is never asked: a run without keys has its gate off."""

    async def complete(self, request: bytes) -> Completion:
        """Raises `GateFailed`."""
        del request
        raise GateFailed(ReasonCode.AIGATE_DISABLED, "a shadow run asks no model")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowPlan:
    """What this run is, and the little of the world it touches."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowHouse:
    """The shared inside of the run. `trades` is what the desk hears of the market."""

    wires: Wires
    trades: Mailbox[AggTrade | SymbolDropped]
    gate: SendGate
    cycles: CycleIds
    heartbeats: Heartbeats
    rest_age: RestAge
    stream_age: StreamAge = field(default_factory=StreamAge)


def furnish(plan: ShadowPlan) -> ShadowHouse:
    """A fresh inside for one run; market state's mailbox tells the desk of every trade."""
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


def governor(plan: ShadowPlan, house: ShadowHouse, leave: Callable[[ModeChanged], None]) -> Actor:
    """The owner of SysMode; it governs what is proposed, since nothing is sent."""
    wires = house.wires
    return Governor(
        run_id=plan.birth.run_id,
        start_mode=plan.birth.start_mode,
        settings=plan.settings.health,
        clock=plan.clock,
        audit=plan.writer,
        gate=house.gate,
        inbox=wires.governor,
        receivers=[wires.scanner, wires.signal, wires.gate, wires.risk, wires.execution],
        risk=wires.risk,
        control=plan.control,
        cycles=lambda: house.cycles.count,
        announce=plan.announce,
        leave=leave,
        beat=house.heartbeats.beat_of("governor"),
    )


def crew(
    plan: ShadowPlan, house: ShadowHouse, loop_worst_ms: Callable[[], int]
) -> Sequence[tuple[str, Actor]]:
    """Everybody else, in the order of their start: who listens before who speaks."""
    return [
        ("shadow desk", _desk(plan, house)),
        ("risk", _risk(plan, house)),
        ("ai gate", _gate(plan, house)),
        ("signal", _signal(plan, house)),
        ("market state", _market_state(plan, house)),
        ("market feed", _feed(plan, house)),
        ("scanner", _scanner(plan, house)),
        ("clock keeper", _clock_keeper(plan, house)),
        ("limits keeper", _limits_keeper(plan, house)),
        ("health", _health(plan, house, loop_worst_ms)),
    ]


def checklist(plan: ShadowPlan, house: ShadowHouse) -> Actor:
    """What must hold before the first proposal; there is no account to look at."""
    clock, writer = plan.clock, plan.writer
    stale_ms = plan.settings.health.ws_stale_ms_degrade
    lag_ms = plan.settings.audit.writer_max_lag_ms
    return Checklist(
        points=[
            Point(name="time measured", holds=lambda: plan.venue.server_clock.synced),
            Point(
                name="market stream flowing",
                holds=lambda: house.stream_age.is_fresh(clock.monotonic_ms(), stale_ms),
            ),
            Point(
                name="audit writable and not lagging",
                holds=lambda: writer.stats().oldest_age_ms < lag_ms,
            ),
        ],
        manage_only=(),
        clock=clock,
        audit=writer,
        governor=house.wires.governor,
    )


def _desk(plan: ShadowPlan, house: ShadowHouse) -> Actor:
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


def _risk(plan: ShadowPlan, house: ShadowHouse) -> Actor:
    wires = house.wires
    return RiskOfficer(
        settings=plan.settings,
        clock=plan.clock,
        audit=plan.writer,
        ledger=plan.ledger,
        counts=plan.venue.budget,
        inbox=wires.risk,
        execution=wires.execution,
        signal=wires.signal,
        governor=wires.governor,
        market=wires.state,
        health_to=(wires.scanner, wires.state),
    )


def _gate(plan: ShadowPlan, house: ShadowHouse) -> Actor:
    wires = house.wires
    return AiGate(
        settings=plan.settings,
        prompt=plan.prompt,
        client=NoModel(),
        clock=plan.clock,
        audit=plan.writer,
        ledger=plan.ledger,
        inbox=wires.gate,
        risk=wires.risk,
        signal=wires.signal,
        governor=wires.governor,
    )


def _signal(plan: ShadowPlan, house: ShadowHouse) -> Actor:
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


def _market_state(plan: ShadowPlan, house: ShadowHouse) -> Actor:
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
        marks_to=[wires.risk],
        alerts=wires.governor,
        beat=house.heartbeats.beat_of("market state"),
    )


def _feed(plan: ShadowPlan, house: ShadowHouse) -> Actor:
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


def _scanner(plan: ShadowPlan, house: ShadowHouse) -> Actor:
    wires = house.wires
    return Scanner(
        settings=plan.settings,
        clock=plan.clock,
        reader=plan.venue.reads,
        account=None,
        audit=plan.writer,
        cycles=house.cycles,
        inbox=wires.scanner,
        state=wires.state,
        feed=wires.feed,
        signal=wires.signal,
        infos_to=[wires.risk],
        governor=wires.governor,
        beat=house.heartbeats.beat_of("scanner"),
    )


def _clock_keeper(plan: ShadowPlan, house: ShadowHouse) -> Actor:
    return ClockKeeper(
        settings=plan.settings.time,
        clock=plan.clock,
        server_clock=plan.venue.server_clock,
        audit=plan.writer,
        governor=house.wires.governor,
        beat=house.heartbeats.beat_of("clock keeper"),
    )


def _limits_keeper(plan: ShadowPlan, house: ShadowHouse) -> Actor:
    return LimitsKeeper(
        clock=plan.clock,
        server_clock=plan.venue.server_clock,
        audit=plan.writer,
        governor=house.wires.governor,
        budget=plan.venue.budget,
        key=plan.venue.key,
        beat=house.heartbeats.beat_of("limits keeper"),
    )


def _health(plan: ShadowPlan, house: ShadowHouse, loop_worst_ms: Callable[[], int]) -> Actor:
    wires = house.wires
    return Health(
        settings=plan.settings,
        clock=plan.clock,
        audit=plan.writer,
        governor=wires.governor,
        mailboxes=wires.measured(),
        overdue_ms=lambda: (
            house.heartbeats.overdue_ms()
            | {"risk": wires.risk.busy_ms, "ai gate": wires.gate.busy_ms}
        ),
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
    )
