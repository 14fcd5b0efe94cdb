"""Draws a soak: a thin market for weeks, some faults a day, restarts and deaths early on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from livespot.exchange.candle import Activity
from livespot.exchange.data_sets import DataOrder, open_market
from livespot.exchange.faults.plan import (
    AcceptThen,
    Delay,
    DropRequest,
    DropResponse,
    Duplicate,
    EndUserStreams,
    Fault,
    Match,
    ReadLag,
    Reply,
    Reset,
    Verb,
    When,
)
from livespot.exchange.sources import MarketSource
from livespot.exchange.synthetic_market import SyntheticMarket
from livespot.runtime.replay_course import Death
from livespot.testing.search.dice import Dice
from livespot.testing.search.fault_kinds import ORDERS
from livespot.testing.search.plan import DeathPlan, RunPlan

DAY_MS = 86_400_000
# Bought on five days of six, as a month on minute candles showed.
_MARKET, _MARKET_SEED, _SYMBOL = "synthetic-41", 1, "ZAPORUSDT"
_START_MS = 1_772_409_600_000
_PARTS = 30
RESTARTS = 8
_DEATHS = 3
# More than two runs that end without a word within ten minutes pause the next one for good.
_APART_MS = 660_000
# A quote at least every two seconds, or the market would count as stale all along; hardly more.
_THIN = Activity(least_trades=8, spread=4, quiet_quotes=62)
_FAULTS_A_DAY = 2
_LIVENESS_MS = 180_000
_SETTLE_MS = 60_000
_DOWN_MS = 5000
_READS = Match(method="GET", path="/api/v3/*")
_SETTINGS: dict[str, str | int] = {
    # Otherwise it would buy on few days, and three losses in a row would end a day's trading.
    "strategy.min_edge_bps": 8,
    "strategy.pullback_min": 5,
    "risk.max_trades_per_day": 10,
    "risk.max_consecutive_losses": 20,
    "risk.max_trades_per_window": 20,
    "risk.cooldown_seconds": 60,
    # So that whole days leave the trail within the soak, and the copies do not fill the disk.
    "audit.jsonl_keep_days": 7,
    "audit.backup_keep": 2,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakPlan:
    """`run` is what the checks know of it.

    A soak has thirty parts of `part_ms`. At each of `orderly_ms`, counted from its beginning, the
    life of the moment is restarted in order. `deaths` are those of the lives by number: none at
    all for each of these, then a few that are killed; the next one lasts to the end.
    """

    run: RunPlan
    part_ms: int
    orderly_ms: tuple[int, ...]
    deaths: tuple[Death, ...]


def draw_soak(seed: int, span_ms: int) -> SoakPlan:
    """The soak of a seed. A shorter span has as many lives, but shorter ones."""
    part_ms = span_ms // _PARTS
    deaths = _DEATHS if part_ms > _APART_MS else 1
    killed = DeathPlan(after_ms=part_ms, down_ms=_DOWN_MS)
    run = RunPlan(
        seed=seed,
        start_ms=_START_MS,
        safety_ms=span_ms,
        liveness_ms=_LIVENESS_MS,
        settle_ms=_SETTLE_MS,
        symbols=(_SYMBOL,),
        settings=_SETTINGS,
        faults=tuple(_faults(seed, span_ms)),
        deaths=(killed,) * deaths,
    )
    return SoakPlan(
        run=run,
        part_ms=part_ms,
        orderly_ms=tuple(part * part_ms for part in range(1, RESTARTS + 1)),
        # A life that is restarted in order dies no other death.
        deaths=(Death(),) * RESTARTS + (Death(after_ms=part_ms, down_ms=_DOWN_MS),) * deaths,
    )


def soak_market(plan: SoakPlan) -> MarketSource:
    """The market of a soak, quoted as thinly as a runtime accepts; it has no end."""
    names = frozenset(plan.run.symbols)
    order = DataOrder(name=_MARKET, seed=_MARKET_SEED, now_ms=plan.run.start_ms, only=names)
    market = open_market(order)
    if not isinstance(market, SyntheticMarket):
        raise TypeError("a soak needs a made-up market")
    thin = {name: replace(series, activity=_THIN) for name, series in market.series.items()}
    return replace(market, series=thin)


def _faults(seed: int, span_ms: int) -> Iterator[Fault]:
    """At least two, spread evenly over the span with some chance."""
    dice = Dice(f"soak {seed}")
    number = max(2, span_ms * _FAULTS_A_DAY // DAY_MS)
    share_ms = span_ms // number
    for index in range(number):
        name = dice.pick(tuple(_KINDS))
        what, match, for_ms, count = _KINDS[name](dice)
        after_ms = index * share_ms + dice.between(share_ms // 10, share_ms * 8 // 10)
        when = When(after_ms=after_ms, for_ms=for_ms, count=count)
        yield Fault(id=f"{index}-{name}", what=what, match=match, when=when)


_Drawn = tuple[Verb, Match, int | None, int | None]


def _streams_cut(dice: Dice) -> _Drawn:
    return Reset(target=dice.pick(("ws_md", "ws_user"))), Match.NOTHING, 5000, None


def _reads_fail(dice: Dice) -> _Drawn:
    return Reply(status=dice.pick((500, 502, 503))), _READS, dice.between(2000, 20_000), None


def _reads_lost(dice: Dice) -> _Drawn:
    del dice
    return DropRequest(target="rest", then="hang"), _READS, 8000, None


def _reads_lag(dice: Dice) -> _Drawn:
    return ReadLag(ms=dice.between(500, 8000)), Match.NOTHING, 60_000, None


def _rest_slow(dice: Dice) -> _Drawn:
    slow = Delay(target="rest", ms=dice.between(300, 2500), leg="reply")
    return slow, Match.NOTHING, 30_000, None


def _frames_again(dice: Dice) -> _Drawn:
    del dice
    return Duplicate(target="ws_md"), Match.NOTHING, 30_000, None


def _reply_lost(dice: Dice) -> _Drawn:
    del dice
    return AcceptThen(then=DropResponse(target="rest", then="hang")), ORDERS, None, 1


def _user_streams_ended(dice: Dice) -> _Drawn:
    del dice
    return EndUserStreams(), Match.NOTHING, None, None


_KINDS: dict[str, Callable[[Dice], _Drawn]] = {
    "streams-cut": _streams_cut,
    "reads-fail": _reads_fail,
    "reads-lost": _reads_lost,
    "reads-lag": _reads_lag,
    "rest-slow": _rest_slow,
    "frames-again": _frames_again,
    "reply-lost": _reply_lost,
    "user-streams-ended": _user_streams_ended,
}
