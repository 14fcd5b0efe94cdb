"""Asks every "why" that a database can be asked, and checks that each has a sound answer."""

from livespot.evidence.findings import Finding, judged
from livespot.evidence.links import Passage
from livespot.evidence.moments import instant, spans
from livespot.evidence.pruned import pruned
from livespot.evidence.recompute import recompute
from livespot.evidence.why import PRUNED, WhyNot, known_symbols, why_not
from livespot.store.reader import Reader

# The snapshot of a proposal without an order may have been pruned at its age.
_RECOMPUTED = """
SELECT DISTINCT decision_id FROM decisions d WHERE decision_id <> ''
AND (at_ms >= ? OR EXISTS (SELECT 1 FROM snapshots s WHERE s.snapshot_id = d.snapshot_id)
     OR EXISTS (SELECT 1 FROM order_intents i WHERE i.decision_id = d.decision_id))
ORDER BY id
"""
# Stages that may be empty at an instant, because the next cycle has not reached them yet.
_MAY_BE_SILENT = frozenset({"UNIVERSE_SCAN", "RANK_TOPN", "DEEP_SCAN", "STRATEGY_PROPOSE"})


async def check_recomputed(reader: Reader) -> Finding:
    """Every stored decision, change by the gate and risk verdict can be recomputed identically."""
    found = await reader.rows(_RECOMPUTED, ((await pruned(reader)).snapshots_ms,))
    looked, problems = 0, list[str]()
    for (decision_id,) in found:
        told = await recompute(reader, decision_id)
        looked += len(told.compared)
        problems += [
            f"{decision_id[:16]} {item.subject}: {item.problem or item.field}"
            for item in told.compared
            if not item.identical
        ]
    title = "Every decision and verdict follows from what is stored"
    return judged("recompute", title, looked, problems)


async def check_answers(reader: Reader, *, every_ms: int) -> Finding:
    """Every symbol of the universe has an answer at each step of every run.

    `every_ms` is the length of a step. An answer names the codes that stood in the way, or the
    trade. It may say that the records of the time are pruned, or that a stage had not been reached
    yet.
    """
    symbols = await known_symbols(reader)
    looked, early, problems = 0, 0, list[str]()
    for run in await spans(reader):
        for at_ms in range(run.started_at_ms, run.last_event_ms + 1, every_ms):
            for symbol in symbols:
                looked += 1
                told = await why_not(reader, symbol, at_ms)
                early += _is_early(told)
                if not (_is_answered(told) or _is_early(told)):
                    problems.append(f"{symbol} at {instant(at_ms)}: {told.headline}")
    title = "Every symbol has an answer at every instant"
    note = f"{early} of them: a stage had not spoken yet"
    return judged("answers", title, looked, problems, note=note)


def _is_answered(told: WhyNot) -> bool:
    traded = any(link.passage is Passage.TRADED for link in told.links)
    return bool(told.codes) or traded or PRUNED in told.notes


def _is_early(told: WhyNot) -> bool:
    silent = [link for link in told.links if link.passage is Passage.NOT_REACHED]
    return not _is_answered(told) and bool(silent) and silent[0].stage in _MAY_BE_SILENT
