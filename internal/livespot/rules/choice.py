"""Chooses the watch list from the deep scan: held symbols, then the best uncorrelated ones."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import TypeAlias

import msgspec

from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import Returns
from livespot.contracts.settings import SelectionSettings
from livespot.rules.correlation import has_too_many_missing, likeness_x10000
from livespot.rules.selection import Ranked

Features: TypeAlias = dict[str, int | str]


class Choice(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One candidate for the watch list; `incumbent_cycles` counts selections since it was chosen.

    `features` holds the comparison by which another symbol kept it off the list.
    """

    symbol: str
    rank: int
    score_x10000: int
    chosen: bool
    incumbent_cycles: int
    reasons: tuple[ReasonCode, ...]
    features: Features = msgspec.field(default_factory=dict)


class _Kept(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Why a candidate is kept off the watch list."""

    reasons: tuple[ReasonCode, ...]
    features: Features = msgspec.field(default_factory=dict)


_Left: TypeAlias = tuple[Ranked, _Kept]
_SYMBOL, _SCORE = attrgetter("symbol"), attrgetter("score_x10000")


def choose(
    ranked: Sequence[Ranked],
    returns: Mapping[str, Returns],
    incumbents: Mapping[str, int],
    held: Collection[str],
    settings: SelectionSettings,
) -> tuple[Choice, ...]:
    """The watch list: held symbols, then the best `topk` that are not too correlated.

    `incumbents` maps each symbol of the current list to the selection cycles since it was chosen. A
    young one keeps its place unless a challenger is better by the guard's margin. Held symbols stay
    whatever their score and count towards `topk`.
    """
    young = {s for s, cycles in incumbents.items() if cycles < settings.churn_guard_min_cycles}
    chosen, topk = sorted(held), settings.topk
    on_list = _held(ranked, chosen)
    left: list[_Left] = []
    cut: list[_Left] = []
    picked: list[Ranked] = []
    full: _Kept | None = None
    for item in _by_precedence(ranked, young, settings):
        symbol = item.symbol
        if symbol in held:
            continue
        if item.reasons:
            cut.append((item, _Kept(reasons=item.reasons)))
            continue
        if len(chosen) < topk:
            kept_off = _alike(symbol, chosen, returns, settings)
        else:
            # `picked` no longer changes once all places are taken.
            full = full or _full(picked, settings)
            kept_off = _guarded_from(item, picked, young, incumbents, settings) or full
        if kept_off is None:
            chosen.append(symbol)
            picked.append(item)
        else:
            left.append((item, kept_off))
    if young:
        picked.sort(key=_by_score)
    return _choices((*on_list, *picked), (*left, *cut), incumbents)


def _by_score(item: Ranked) -> tuple[int, str]:
    return -item.score_x10000, item.symbol


def _by_precedence(
    ranked: Iterable[Ranked], young: Collection[str], settings: SelectionSettings
) -> list[Ranked]:
    """Best first; a young incumbent gets the guard's margin on top, but loses a tie."""
    order = sorted(ranked, key=_SYMBOL)
    if not young:
        order.sort(key=_SCORE, reverse=True)
        return order
    margin = settings.churn_guard_min_score_delta_x10000
    order.sort(
        key=lambda item: (
            -item.score_x10000 - margin * (item.symbol in young),
            item.symbol in young,
        )
    )
    return order


def _guarded_from(
    item: Ranked,
    picked: Iterable[Ranked],
    young: Collection[str],
    incumbents: Mapping[str, int],
    settings: SelectionSettings,
) -> _Kept | None:
    """Kept off by the churn guard: the weakest young incumbent that has a lower score, if any."""
    if not young:
        return None
    weaker = [one for one in picked if one.symbol in young and one.score_x10000 < item.score_x10000]
    if not weaker:
        return None
    kept = min(weaker, key=lambda other: (other.score_x10000, other.symbol))
    features: Features = {
        "places": settings.topk,
        "kept": kept.symbol,
        "kept_score_x10000": kept.score_x10000,
        "kept_cycles": incumbents[kept.symbol],
    }
    return _Kept(reasons=(ReasonCode.WATCHLIST_CHURN_GUARD,), features=features)


def _full(picked: Collection[Ranked], settings: SelectionSettings) -> _Kept:
    """Kept off because all places are taken; names the last symbol to get one."""
    features: Features = {"places": settings.topk}
    if picked:
        last = min(picked, key=lambda other: (other.score_x10000, other.symbol))
        features |= {"last": last.symbol, "last_score_x10000": last.score_x10000}
    return _Kept(reasons=(ReasonCode.WATCHLIST_FULL,), features=features)


def _alike(
    symbol: str, chosen: Sequence[str], returns: Mapping[str, Returns], settings: SelectionSettings
) -> _Kept | None:
    """Why a candidate is too correlated with a chosen one, once enough symbols are compared."""
    own = returns.get(symbol)
    if own is None or has_too_many_missing(own, settings.corr_missing_max_pct):
        missing = 0 if own is None else own.missing_count
        return _Kept(reasons=(ReasonCode.DATA_GAP_DETECTED,), features={"returns_missing": missing})
    if len(chosen) + 1 < settings.corr_min_symbols:
        return None
    for other in chosen:
        theirs = returns.get(other)
        if theirs is None:
            continue
        value = likeness_x10000(own, theirs)
        if abs(value) >= settings.corr_max_x10000:
            return _Kept(
                reasons=(ReasonCode.RISK_DIVERSIFY_APPLIED,),
                features={"like": other, "correlation_x10000": value},
            )
    return None


def _held(ranked: Iterable[Ranked], symbols: Collection[str]) -> tuple[Ranked, ...]:
    """Held symbols are always on the list, also when they were cut or not scanned at all."""
    if not symbols:
        return ()
    by_symbol = {item.symbol: item for item in ranked}
    return tuple(
        by_symbol.get(name) or Ranked(symbol=name, rank=0, score_x10000=0, reasons=())
        for name in symbols
    )


def _choices(
    on_list: Sequence[Ranked], left: Iterable[_Left], incumbents: Mapping[str, int]
) -> tuple[Choice, ...]:
    return tuple(
        [
            Choice(
                symbol=item.symbol,
                rank=place,
                score_x10000=item.score_x10000,
                chosen=True,
                incumbent_cycles=incumbents.get(item.symbol, 0),
                reasons=item.reasons,
            )
            for place, item in enumerate(on_list, start=1)
        ]
        + [
            Choice(
                symbol=item.symbol,
                rank=place,
                score_x10000=item.score_x10000,
                chosen=False,
                incumbent_cycles=incumbents.get(item.symbol, 0),
                reasons=kept_off.reasons,
                features=kept_off.features,
            )
            for place, (item, kept_off) in enumerate(left, start=len(on_list) + 1)
        ]
    )
