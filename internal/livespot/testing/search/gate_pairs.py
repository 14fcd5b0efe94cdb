"""I35: a position gets its stop as soon while the model hangs as while it answers.

Runs of one market of three symbols are compared in pairs, without any other fault. All three are
wanted at about the same time. In one run of each pair the model answers for the first symbol only,
so the gate waits for the others while the first needs its stop.
"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from math import comb
from pathlib import Path

import click
from msgspec.structs import replace

from livespot.evidence.findings import Finding, judged
from livespot.exchange.faults.plan import DropRequest, Fault, ModelDelay, Verb, When
from livespot.exchange.journal import FillRow
from livespot.testing.search.plan import RunPlan, order_of
from livespot.testing.search.protection_checks import gaps
from livespot.testing.search.running import market_for, run_order
from livespot.testing.search.scenes import drawn_play
from livespot.testing.search.wanted import Wanted
from livespot.testing.search.witness import Witness

# By how much two runs of one market may differ without any cause: latencies are drawn.
SLACK_MS = 500
_STORY_MS = 110_000
_AFTER_MS = 30_000
_MANY = 100
# The probability of so lopsided a result by chance if nothing differed.
_CHANCE = Fraction(1, 1000)
_PATIENCE = 4
MODELS: dict[str, Verb] = {
    "slow": ModelDelay(ms=6000),
    "dead": DropRequest(target="ai", then="hang"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """How long the first position of a market was bare, with a well and with an ill model."""

    seed: int
    model: str
    well_ms: int
    ill_ms: int


def not_on_the_safety_path(pairs: Sequence[Pair]) -> Finding:
    """I35: no position waits longer for its stop, one by one and taken all together.

    Together: of the pairs that differ, too many are slower with the model ill to be chance (sign
    test, one-sided, exact).
    """
    problems = [
        f"seed {pair.seed}: bare for {pair.ill_ms} ms with a {pair.model} model, {pair.well_ms} ms"
        for pair in pairs
        if pair.ill_ms > pair.well_ms + SLACK_MS
    ]
    slower = sum(pair.ill_ms > pair.well_ms for pair in pairs)
    apart = sum(pair.ill_ms != pair.well_ms for pair in pairs)
    chance = Fraction(sum(comb(apart, k) for k in range(slower, apart + 1)), 2**apart)
    if chance < _CHANCE:
        problems.append(f"slower in {slower} of {apart} pairs that differ")
    note = f"slower in {slower} of {apart} that differ"
    return judged("I35", "The model is not on the safety path", len(pairs), problems, note=note)


def plan_of(seed: int) -> RunPlan:
    """Three symbols that are traded again and again, stops placed after the fill, no fault."""
    scene = drawn_play(seed, story_ms=_STORY_MS, after_ms=_AFTER_MS)
    return RunPlan(
        seed=seed,
        start_ms=scene.start_ms,
        safety_ms=_STORY_MS,
        liveness_ms=_AFTER_MS // 2,
        settle_ms=_AFTER_MS // 4,
        symbols=tuple(staged.symbol for staged in scene.stage.symbols),
        stage=scene.stage,
        settings={"exit.attach": "SEPARATE", "risk.cooldown_seconds": 10},
    )


def with_model(plan: RunPlan, model: str) -> RunPlan:
    """The same market, and the model as named from its second question on."""
    when = When(nth=2, count=_MANY)
    return replace(plan, faults=(Fault(id=f"model-{model}", what=MODELS[model], when=when),))


def first_bare(witness: Witness) -> tuple[str, int] | None:
    """The symbol that was wanted first, and for how long its first fill was bare; None without."""
    entries = [intent for intent in witness.facts.intents if intent.is_entry]
    first = min(entries, key=lambda intent: intent.created_at_ms, default=None)
    if first is None or first.symbol not in {fill.sym for fill in _bought(witness)}:
        return None
    bare = next((gap for gap in gaps(witness) if gap.symbol == first.symbol), None)
    return first.symbol, 0 if bare is None else bare.end_ms - bare.begin_ms


def _bought(witness: Witness) -> Iterator[FillRow]:
    own = {alias.client_order_id for alias in witness.facts.aliases}
    for row in witness.rows:
        if isinstance(row, FillRow) and row.side == "BUY" and row.cid in own:
            yield row


def pairs_of(seed: int, models: Iterable[str] = tuple(MODELS)) -> tuple[Pair, ...]:
    """Run one market with the model well, and with each kind of ill one; none without a trade."""
    plan = plan_of(seed)
    well = _run(plan)
    bare = first_bare(well)
    if bare is None:
        return ()
    found = []
    for model in models:
        run = _run(with_model(plan, model))
        ill = first_bare(run)
        # An ill model may have kept the entry from being filled at all, or was never asked.
        if ill is not None and ill[0] == bare[0] and run.fired().total():
            found.append(Pair(seed=seed, model=model, well_ms=bare[1], ill_ms=ill[1]))
    return tuple(found)


def _run(plan: RunPlan) -> Witness:
    with tempfile.TemporaryDirectory(prefix="livespot-pairs-") as scratch:
        outcome, witness = run_order(plan, order_of(plan, Path(scratch), market_for(plan)))
    if witness is None:
        raise RuntimeError(outcome.findings[0].detail)
    return witness


def search_pairs(wanted: Wanted) -> int:
    """Run markets until as many as were asked for had a position; 0 when nothing differed."""
    pairs: list[Pair] = []
    tried = 0
    for seed in count(wanted.first):
        if len({pair.seed for pair in pairs}) >= wanted.seeds or tried >= wanted.seeds * _PATIENCE:
            break
        tried += 1
        for pair in pairs_of(seed):
            click.echo(f"seed {seed}: bare {pair.well_ms} ms, {pair.ill_ms} ms {pair.model}")
            pairs.append(pair)
    finding = not_on_the_safety_path(pairs)
    click.echo(f"I35 {'VIOLATED' if finding.violated else 'holds'}: {finding.detail}")
    click.echo(f"pairs {len(pairs)} of {tried} markets")
    enough = len({pair.seed for pair in pairs}) >= wanted.seeds
    return 0 if enough and not finding.violated else 1
