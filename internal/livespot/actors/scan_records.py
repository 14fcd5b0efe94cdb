"""The audit entries and rows of a scan: every list, score, feature and cut."""

from collections.abc import Collection, Mapping, Sequence

from livespot.contracts.audit import AuditDraft, AuditEntry
from livespot.contracts.canonical import canonical_json
from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import Returns, SymbolInfo, Ticker24h
from livespot.contracts.records import CycleRanking, CycleSelection, UniverseScan
from livespot.contracts.vocabulary import EventType, Stage
from livespot.rules.choice import Choice
from livespot.rules.correlation import likeness_x10000
from livespot.rules.selection import Eligibility, Ranked

# Enough for the watch list and the next candidates; costs about a millisecond per selection.
_CORRELATED = 12
_SPELLED_OUT = 10


def filters_entry(
    infos: Mapping[str, SymbolInfo],
    before: Mapping[str, SymbolInfo],
    unknown: Mapping[str, Sequence[str]],
    *,
    cause: str,
    at_ms: int,
) -> AuditEntry:
    """Which symbols' filters were learnt or changed; a long list is counted, not named.

    A symbol in `before` is named with the hashes of its old and new rules. `unknown` are filters
    that this program does not know, by symbol.
    """
    names = sorted(infos)
    data: dict[str, object] = {"cause": cause, "count": len(names), "symbols": names[:20]}
    changed = [name for name in names if name in before and infos[name] != before[name]]
    if changed:
        data["changed"] = {
            name: {"old": _rules_hash(before[name]), "new": _rules_hash(infos[name])}
            for name in changed[:_SPELLED_OUT]
        }
    reasons = [ReasonCode.FILTERS_REFRESHED]
    if unknown:
        reasons.append(ReasonCode.FILTERS_DRIFT_DETECTED)
        data["unknown"] = {name: list(unknown[name]) for name in sorted(unknown)[:_SPELLED_OUT]}
    return AuditEntry(
        draft=AuditDraft(
            event_type=EventType.FILTERS_REFRESHED,
            stage=Stage.UNIVERSE_SCAN,
            ts_ms=at_ms,
            symbol=names[0] if len(names) == 1 else "",
            reasons=tuple(reasons),
            data=data,
        )
    )


def _rules_hash(info: SymbolInfo) -> str:
    """Empty when the rules cannot be used."""
    return info.constraints.filters_hash if info.constraints is not None else ""


def universe_entry(
    listed: Sequence[Eligibility], changed: Sequence[Eligibility], cycle_id: str, at_ms: int
) -> AuditEntry:
    """The universe in counts, with a row for every symbol whose standing changed.

    The newest row of a symbol before an instant therefore tells why it was out at that instant.
    """
    counts: dict[str, int] = {}
    for item in listed:
        for reason in item.reasons:
            counts[reason.value] = counts.get(reason.value, 0) + 1
    return AuditEntry(
        draft=AuditDraft(
            event_type=EventType.UNIVERSE_ELIGIBILITY,
            stage=Stage.UNIVERSE_SCAN,
            ts_ms=at_ms,
            cycle_id=cycle_id,
            data={
                "symbols": len(listed),
                "eligible": sum(item.is_eligible for item in listed),
                "excluded_by": counts,
            },
        ),
        records=tuple(
            UniverseScan(
                cycle_id=cycle_id,
                symbol=item.symbol,
                eligible=item.is_eligible,
                reasons=item.reasons,
                features_json=canonical_json(_day(item.ticker)).decode(),
                at_ms=at_ms,
            )
            for item in changed
        ),
    )


def ranking_entry(
    ranked: Sequence[Ranked],
    kind: str,
    cycle_id: str,
    config_hash: str,
    at_ms: int,
    *,
    newly_cut: Collection[str] = (),
) -> AuditEntry:
    """A ranking (`kind` TOPN or DEEP) with the features behind each score.

    Of the symbols cut from a TOPN ranking only those in `newly_cut` get a row: the newest row of a
    symbol before an instant tells where it stood, and the last wanted row of that instant's ranking
    tells how far it was from being wanted.
    """
    deep = kind == "DEEP"
    wanted = [item for item in ranked if not item.dropped]
    data: dict[str, object] = {"ranked": {item.symbol: item.score_x10000 for item in wanted}}
    if deep:
        data["dropped"] = {
            item.symbol: [reason.value for reason in item.reasons]
            for item in ranked
            if item.dropped
        }
    else:
        data["cut"] = len(ranked) - len(wanted)
    return AuditEntry(
        draft=AuditDraft(
            event_type=EventType.DEEP_SCAN if deep else EventType.RANK_TOPN,
            stage=Stage.DEEP_SCAN if deep else Stage.RANK_TOPN,
            ts_ms=at_ms,
            cycle_id=cycle_id,
            data=data,
        ),
        records=tuple(
            CycleRanking(
                cycle_id=cycle_id,
                kind=kind,
                rank=item.rank,
                symbol=item.symbol,
                score_x10000=item.score_x10000,
                dropped=item.dropped,
                reasons=item.reasons,
                features_json=canonical_json(item.features).decode(),
                config_hash=config_hash,
                at_ms=at_ms,
            )
            for item in ranked
            if deep or not item.dropped or item.symbol in newly_cut
        ),
    )


def selection_entry(
    choices: Sequence[Choice],
    cycle_id: str,
    config_hash: str,
    at_ms: int,
    returns: Mapping[str, Returns] | None = None,
) -> AuditEntry:
    """The watch list, who was kept off it, and how the best candidates correlate."""
    return AuditEntry(
        draft=AuditDraft(
            event_type=EventType.TOPK_SELECTION,
            stage=Stage.WATCHLIST_ATTACH,
            ts_ms=at_ms,
            cycle_id=cycle_id,
            data={
                "chosen": [choice.symbol for choice in choices if choice.chosen],
                "correlations": _correlations([item.symbol for item in choices], returns or {}),
            },
        ),
        records=tuple(
            CycleSelection(
                cycle_id=cycle_id,
                rank=choice.rank,
                symbol=choice.symbol,
                score_x10000=choice.score_x10000,
                chosen=choice.chosen,
                incumbent_cycles=choice.incumbent_cycles,
                reasons=choice.reasons,
                features_json=canonical_json(choice.features).decode(),
                config_hash=config_hash,
                at_ms=at_ms,
            )
            for choice in choices
        ),
    )


def _correlations(symbols: Sequence[str], returns: Mapping[str, Returns]) -> dict[str, object]:
    """The upper triangle of the matrix, row by row, of the first symbols that have returns."""
    known = [symbol for symbol in symbols if symbol in returns][:_CORRELATED]
    series = [returns[symbol] for symbol in known]
    return {
        "symbols": known,
        "missing": [returns[symbol].missing_count for symbol in known],
        "x10000": [
            [likeness_x10000(left, right) for right in series[row + 1 :]]
            for row, left in enumerate(series)
        ],
    }


def _day(ticker: Ticker24h | None) -> dict[str, object]:
    if ticker is None:
        return {}
    return {
        "quote_volume": ticker.quote_volume,
        "trades": ticker.trades,
        "price_change_bps": ticker.price_change_bps,
        "bid": ticker.bid,
        "ask": ticker.ask,
    }
