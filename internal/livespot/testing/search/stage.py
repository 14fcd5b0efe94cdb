"""A made-up market in the words of a plan: each symbol's price path and how busy it is."""

from typing import Annotated, Literal, TypeAlias

import msgspec

from livespot.exchange.faults.plan import Millis

Shape: TypeAlias = Literal["rising", "ranging"]
Above: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]


class Leg(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Within `ms` the price moves evenly by `bps` of the price at the curtain."""

    ms: Above
    bps: int


class StagedSymbol(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One symbol. Its past makes the default strategy want it; its legs begin with the plan.

    The price at the beginning lies `below_bps` under the strategy's average. `spread_x100` is in
    hundredths of a basis point; `noise_x100`, the same, is how far a quote may lie off its leg.
    `top_quote` is what both best prices together show, `print_quote` the largest trade, both in
    quote currency; with `even_prints` every trade is the largest. A quote comes every `quote_ms`, a
    trade every `print_ms`, never regularly.
    """

    symbol: str
    shape: Shape
    variant: Annotated[int, msgspec.Meta(ge=0)] = 0
    plain_stops: bool = False
    below_bps: Above = 35
    spread_x100: Above = 200
    noise_x100: int = 100
    buyers_percent: Annotated[int, msgspec.Meta(ge=1, le=99)] = 66
    top_quote: Above = 20_000
    print_quote: Above = 500
    quote_ms: Above = 400
    print_ms: Above = 1500
    even_prints: bool = False
    legs: tuple[Leg, ...] = ()


class StagePlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The market of one run; `seed` draws what the rest leaves open.

    `end_ms` counts from the plan's beginning: minutes after it do not exist.
    """

    seed: int
    end_ms: Millis
    symbols: tuple[StagedSymbol, ...]
