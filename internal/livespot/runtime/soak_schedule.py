"""The default faults of a soak: one after another, none of which needs a person to resume."""

from livespot.exchange.faults.plan import (
    Blackhole,
    Delay,
    DropResponse,
    DuplicateEvents,
    EndUserStreams,
    Fault,
    FaultPlan,
    Match,
    Reply,
    Reset,
    Verb,
    When,
)

# Name, fault, traffic, duration (ms; 0 where it has none), number of messages it affects.
_Kind = tuple[str, Verb, Match, int, int | None]
# This fault hits the next order; when that comes is up to the strategy.
_UNTIL_AN_ORDER_MS = 3_600_000
_KINDS: tuple[_Kind, ...] = (
    ("market-stream-cut", Reset(target="ws_md"), Match(), 1, None),
    (
        "order-answer-lost",
        DropResponse(target="ws_api"),
        Match(method="order*"),
        _UNTIL_AN_ORDER_MS,
        1,
    ),
    ("rest-fails", Reply(target="rest", status=503, code=-1000), Match(), 5_000, None),
    ("user-stream-ends", EndUserStreams(), Match(), 0, None),
    ("rest-is-slow", Delay(target="rest", ms=800), Match(), 20_000, None),
    ("market-is-silent", Blackhole(target="ws_md"), Match(), 4_000, None),
    ("events-come-twice", DuplicateEvents(times=1), Match(), 120_000, None),
    ("account-stream-cut", Reset(target="ws_user"), Match(), 1, None),
)


def schedule(span_ms: int, every_ms: int, *, seed: int) -> FaultPlan:
    """Return a fault every `every_ms` of market time, in turn; the last such span has none."""
    begins = range(every_ms, span_ms - every_ms, every_ms)
    return FaultPlan(
        seed=seed,
        heal_after_ms=max(1, span_ms - every_ms),
        faults=tuple(_fault(number, begin) for number, begin in enumerate(begins)),
    )


def _fault(number: int, begin_ms: int) -> Fault:
    name, what, match, for_ms, count = _KINDS[number % len(_KINDS)]
    return Fault(
        id=f"{number + 1:04d}-{name}",
        what=what,
        match=match,
        when=When(after_ms=begin_ms, for_ms=for_ms or None, count=count),
    )
