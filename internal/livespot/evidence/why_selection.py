"""How far selection let a symbol come at an instant: universe, ranking, deep scan, watch list."""

from livespot.contracts.codes import ReasonCode
from livespot.evidence import measures
from livespot.evidence.links import Link, Passage, Question, codes_of, listed, tree_of
from livespot.evidence.measures import share
from livespot.evidence.moments import instant


async def selection_links(ask: Question) -> tuple[Link, ...]:
    """Return the stages in order, up to the first that stopped the symbol."""
    links: list[Link] = []
    for stage in (_universe, _rank, _deep, _watch):
        link = await stage(ask)
        links.append(link)
        if link.passage is not Passage.PASSED:
            break
    return tuple(links)


async def _universe(ask: Question) -> Link:
    scan = await ask.cycle("UNIVERSE_ELIGIBILITY", "UNIVERSE_SCAN")
    if scan is None:
        return Link(
            stage="UNIVERSE_SCAN",
            passage=Passage.NOT_REACHED,
            text="the universe had not been scanned yet in this run",
        )
    row = await ask.newest("eligible, reasons, features_json, at_ms, cycle_id", "universe_scans")
    if row is None:
        asset = ask.settings.venue.quote_asset
        return Link(
            stage="UNIVERSE_SCAN",
            passage=Passage.NOT_REACHED,
            text=f"no scan of this run listed it: it is no spot symbol quoted in {asset}",
            codes=(),
        )
    eligible, reasons, features_json, at_ms, cycle_id = row
    if eligible:
        return Link(
            stage="UNIVERSE_SCAN",
            passage=Passage.PASSED,
            text=f"eligible, last looked at {instant(scan[1])}",
            since_ms=at_ms,
            ids=(cycle_id,),
        )
    codes, features = codes_of(reasons), tree_of(features_json)
    said = [measures.failed(code, measures.UNIVERSE, features, ask.settings) for code in codes]
    return Link(
        stage="UNIVERSE_SCAN",
        passage=Passage.STOPPED,
        text=f"not eligible: {listed(said)}; last looked at {instant(scan[1])}",
        codes=codes,
        since_ms=at_ms,
        ids=(cycle_id,),
    )


async def _rank(ask: Question) -> Link:
    row = await ask.newest(
        "rank, score_x10000, dropped, at_ms, cycle_id", "cycle_rankings", "kind = 'TOPN'"
    )
    ranking = await ask.cycle("RANK_TOPN", "RANK_TOPN")
    if row is None or ranking is None:
        return Link(
            stage="RANK_TOPN", passage=Passage.NOT_REACHED, text="it had not been ranked yet"
        )
    rank, score, dropped, at_ms, cycle_id = row
    topn = ask.settings.selection.topn
    if not dropped:
        return Link(
            stage="RANK_TOPN",
            passage=Passage.PASSED,
            text=f"rank {rank}, score {share(score)}, within the best {topn}",
            ids=(cycle_id,),
        )
    last = await ask.first(
        "SELECT symbol, score_x10000 FROM cycle_rankings WHERE cycle_id = ? AND kind = 'TOPN' "
        "AND dropped = 0 ORDER BY rank DESC LIMIT 1",
        ranking[0],
    )
    behind = f"; the last within was {last[0]} with {share(last[1])}" if last else ""
    return Link(
        stage="RANK_TOPN",
        passage=Passage.STOPPED,
        text=(
            f"{ReasonCode.UNIVERSE_RANK_LOW}: rank {rank}, score {share(score)}, "
            f"outside the best {topn}{behind}"
        ),
        codes=(ReasonCode.UNIVERSE_RANK_LOW,),
        since_ms=at_ms,
        ids=(cycle_id,),
    )


async def _deep(ask: Question) -> Link:
    cycle = await ask.cycle("DEEP_SCAN", "DEEP_SCAN")
    row = cycle and await ask.first(
        "SELECT rank, score_x10000, dropped, reasons, features_json FROM cycle_rankings "
        "WHERE cycle_id = ? AND kind = 'DEEP' AND symbol = ?",
        cycle[0],
        ask.symbol,
    )
    if not row or not cycle:
        return Link(
            stage="DEEP_SCAN",
            passage=Passage.NOT_REACHED,
            text="no deep scan has looked at it since it entered the ranking",
        )
    rank, score, dropped, reasons, features_json = row
    features, codes = tree_of(features_json), codes_of(reasons)
    if not dropped:
        edge, atr = features.get("edge_estimate_bps"), features.get("atr14_5m_bps")
        return Link(
            stage="DEEP_SCAN",
            passage=Passage.PASSED,
            text=f"rank {rank}, score {share(score)}, estimated edge {edge} bps of ATR {atr} bps",
            ids=(cycle[0],),
        )
    said = [measures.failed(code, measures.DEEP, features, ask.settings) for code in codes]
    return Link(
        stage="DEEP_SCAN",
        passage=Passage.STOPPED,
        text=f"dropped at {instant(cycle[1])}: {listed(said)}",
        codes=codes,
        since_ms=await _dropped_since(ask, reasons, cycle[1]),
        ids=(cycle[0],),
    )


async def _dropped_since(ask: Question, reasons: str, at_ms: int) -> int:
    """Return when the unbroken series of equal drops began; 0 when it began with this scan."""
    other = await ask.first(
        "SELECT max(at_ms) FROM cycle_rankings WHERE symbol = ? AND kind = 'DEEP' AND run_id = ? "
        "AND at_ms <= ? AND reasons <> ?",
        ask.symbol,
        ask.run_id,
        at_ms,
        reasons,
    )
    began = await ask.first(
        "SELECT min(at_ms) FROM cycle_rankings WHERE symbol = ? AND kind = 'DEEP' AND run_id = ? "
        "AND at_ms > ?",
        ask.symbol,
        ask.run_id,
        (other and other[0]) or 0,
    )
    since: int = began[0] if began and began[0] else at_ms
    return since if since < at_ms else 0


async def _watch(ask: Question) -> Link:
    cycle = await ask.cycle("TOPK_SELECTION", "WATCHLIST_ATTACH")
    row = cycle and await ask.first(
        "SELECT rank, score_x10000, chosen, incumbent_cycles, reasons, features_json "
        "FROM cycle_selections WHERE cycle_id = ? AND symbol = ?",
        cycle[0],
        ask.symbol,
    )
    if not row or not cycle:
        return Link(
            stage="TOPK_SELECTION",
            passage=Passage.NOT_REACHED,
            text="no selection had weighed it yet",
        )
    _, score, chosen, cycles, reasons, features_json = row
    if chosen:
        return Link(
            stage="TOPK_SELECTION",
            passage=Passage.PASSED,
            text=f"on the watch list for {cycles + 1} selection cycles, score {share(score)}",
            ids=(cycle[0],),
        )
    codes = codes_of(reasons)
    said = [_kept_off(code, score, tree_of(features_json), ask) for code in codes]
    return Link(
        stage="TOPK_SELECTION",
        passage=Passage.STOPPED,
        text=f"not chosen at {instant(cycle[1])}: {listed(said)}",
        codes=codes,
        ids=(cycle[0],),
    )


def _kept_off(code: str, score: int, features: measures.Features, ask: Question) -> str:
    """Return a reason, with the symbol that stood in the way."""
    selection = ask.settings.selection
    match ReasonCode(code):
        case ReasonCode.RISK_DIVERSIFY_APPLIED if "like" in features:
            found = share(features["correlation_x10000"])
            limit = share(selection.corr_max_x10000)
            return f"{code}: moves like {features['like']}, correlation {found} >= {limit}"
        case ReasonCode.WATCHLIST_FULL if "last" in features:
            last, theirs = features["last"], share(features["last_score_x10000"])
            places = features["places"]
            return f"{code}: score {share(score)}; the last of {places} is {last} with {theirs}"
        case ReasonCode.WATCHLIST_CHURN_GUARD if "kept" in features:
            lead = score - features["kept_score_x10000"]
            needed = share(selection.churn_guard_min_score_delta_x10000)
            return (
                f"{code}: better than {features['kept']} by {share(lead)}, but one chosen "
                f"{features['kept_cycles']} cycles ago yields only to a lead of {needed}"
            )
        case _:
            return measures.meaning(code)
