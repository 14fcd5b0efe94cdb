"""Puts together what risk knows at the moment, and judges one entry by it."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from livespot.actors.mail import FeaturesAsked
from livespot.actors.risk_memory import Judged, RiskMemory
from livespot.actors.wires import Sink
from livespot.contracts.decision import Decision
from livespot.contracts.market import DeepFeatures, Returns, Snapshot
from livespot.contracts.ports import Clock
from livespot.contracts.settings import Settings
from livespot.contracts.venue import OrderCounts, ServerClock
from livespot.rules.risk import RiskView, assess, held_elsewhere
from livespot.runtime.mailboxes import Reply

_FEATURES_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessor:
    settings: Settings
    clock: Clock
    server_clock: ServerClock
    counts: OrderCounts
    market: Sink[FeaturesAsked]
    order_cap: Decimal | None

    async def assess(
        self,
        memory: RiskMemory,
        decision: Decision,
        snapshot: Snapshot,
        *,
        recheck: bool = False,
        before_gate: bool = False,
    ) -> Judged:
        """The verdict with all it looked at; market state is asked for the returns it compares."""
        others = held_elsewhere(memory.counters, memory.book, decision.symbol)
        compared = not recheck and len(others) + 1 >= self.settings.selection.corr_min_symbols
        returns = await self._returns(others) if compared else {}
        view = RiskView(
            settings=self.settings,
            sysmode=memory.mode,
            now_ms=self.clock.now_ms(),
            exchange_ms=self.server_clock.steady_now_ms(),
            counters=memory.counters,
            book=memory.book,
            free_quote=memory.cash.spendable,
            bids=memory.bids,
            faults=memory.faults_of(decision.symbol),
            info=memory.infos.get(decision.symbol),
            latency_p90_ms=memory.latency_p90_ms,
            unfilled_orders_pct=self.counts.unfilled_orders_pct,
            returns=returns,
            recheck=recheck,
            order_cap=self.order_cap,
            manual_exposure=memory.is_exposed(decision.symbol),
            before_gate=before_gate,
        )
        verdict = assess(decision, snapshot, view)
        return Judged(decision=decision, snapshot=snapshot, view=view, verdict=verdict)

    async def _returns(self, symbols: Iterable[str]) -> dict[str, Returns]:
        """Present returns of these symbols; what does not come in time stays unknown."""
        reply: Reply[tuple[DeepFeatures, ...]] = Reply()
        with self.clock.move_on_after(_FEATURES_SECONDS):
            await self.market.send(FeaturesAsked(symbols=tuple(sorted(symbols)), reply=reply))
            features = await reply.wait()
            return {f.symbol: f.returns for f in features if f.returns is not None}
        return {}
