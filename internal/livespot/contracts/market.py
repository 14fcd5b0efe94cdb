"""Market data messages and the snapshot a decision may look at."""

from decimal import Decimal, InvalidOperation

from livespot.contracts.base import (
    Message,
    refuse,
    require,
    require_amount,
    require_positive,
    require_x10000,
)
from livespot.contracts.vocabulary import Direction, FilterPolicy, Interval, RegimeLabel


class Candle(Message, frozen=True, gc=False):
    """One closed or forming kline; `open_time_ms` is aligned to its interval."""

    open_time_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal

    def __post_init__(self) -> None:
        if not _is_whole(self):
            self._refuse()

    def _refuse(self) -> None:
        """Raises `ValueError` for the first field that is wrong."""
        require_positive(open=self.open, high=self.high, low=self.low, close=self.close)
        require_amount(volume=self.volume)
        require(
            self.low <= min(self.open, self.close) and self.high >= max(self.open, self.close),
            "candle",
            (self.open, self.high, self.low, self.close),
            "low <= open, close <= high",
        )


def _is_whole(candle: Candle) -> bool:
    """Whether everything is right: the common case, three times faster than naming each field."""
    low, high = candle.low, candle.high
    try:
        return (
            0 < low <= candle.open <= high < _INFINITE
            and low <= candle.close <= high
            and 0 <= candle.volume < _INFINITE
        )
    except InvalidOperation:
        # NaN cannot be ordered.
        return False


_INFINITE = Decimal("Infinity")


class BookTicker(Message, frozen=True, forbid_unknown_fields=False, gc=False):
    """Best bid and ask. The exchange stamps no event time; `update_id` orders it."""

    symbol: str
    update_id: int
    bid: Decimal
    bid_qty: Decimal
    ask: Decimal
    ask_qty: Decimal
    local_received_ms: int

    def __post_init__(self) -> None:
        if not (
            0 < self.bid <= self.ask < _HUGE
            and 0 <= self.bid_qty < _HUGE
            and 0 <= self.ask_qty < _HUGE
        ):
            raise ValueError(f"book of {self.symbol!r} is insane: {self.bid!r} / {self.ask!r}")


_HUGE = Decimal("1e18")


class AggTrade(Message, frozen=True, gc=False):
    """An aggregate trade; gives the last price and the latency of the stream."""

    symbol: str
    trade_id: int
    price: Decimal
    qty: Decimal
    buyer_is_maker: bool
    exchange_time_ms: int
    local_received_ms: int


class KlineUpdate(Message, frozen=True):
    """A kline frame of the stream; only `closed` ones ever reach a snapshot."""

    symbol: str
    interval: Interval
    candle: Candle
    closed: bool
    exchange_time_ms: int
    local_received_ms: int


class KlineHistory(Message, frozen=True):
    """Closed candles read by REST, oldest first, to attach a symbol or to close a gap."""

    symbol: str
    interval: Interval
    candles: tuple[Candle, ...]


class DepthLevel(Message, frozen=True, gc=False):
    price: Decimal
    qty: Decimal


class DepthBook(Message, frozen=True):
    """Order book levels, best first on both sides."""

    symbol: str
    last_update_id: int
    bids: tuple[DepthLevel, ...]
    asks: tuple[DepthLevel, ...]
    local_received_ms: int


class Ticker24h(Message, frozen=True, gc=False):
    """The rolling day of one symbol; bid and ask are zero when the book was empty."""

    symbol: str
    last_price: Decimal
    bid: Decimal
    ask: Decimal
    quote_volume: Decimal
    price_change_bps: int
    trades: int
    close_time_ms: int


class TrailingDeltaBounds(Message, frozen=True):
    """Limits of `trailingDelta` in basis points, by side of the trigger."""

    min_above: int
    max_above: int
    min_below: int
    max_below: int


class PercentPriceBand(Message, frozen=True):
    """PERCENT_PRICE(_BY_SIDE) multipliers against the reference price, as decimals."""

    bid_up: Decimal
    bid_down: Decimal
    ask_up: Decimal
    ask_down: Decimal


class Constraints(Message, frozen=True):
    """What the exchange enforces for one symbol, in the form the quantizer uses."""

    tick_size: Decimal
    step_size: Decimal
    min_qty: Decimal
    max_qty: Decimal
    min_notional: Decimal
    max_notional: Decimal | None
    market_step_size: Decimal | None
    market_min_qty: Decimal | None
    market_max_qty: Decimal | None
    min_price: Decimal
    max_price: Decimal
    price_decimals: int
    qty_decimals: int
    max_num_orders: int
    max_num_algo_orders: int
    trailing_delta_bounds: TrailingDeltaBounds | None
    percent_price: PercentPriceBand | None
    filters_hash: str
    policy: FilterPolicy

    def __post_init__(self) -> None:
        require_positive(tick_size=self.tick_size, step_size=self.step_size)
        require_amount(min_qty=self.min_qty, max_qty=self.max_qty, min_notional=self.min_notional)
        require(self.min_qty <= self.max_qty, "max_qty", self.max_qty, "must reach min_qty")


class SymbolInfo(Message, frozen=True):
    """One symbol of exchangeInfo: identity, permissions and constraints."""

    symbol: str
    status: str
    base_asset: str
    quote_asset: str
    spot_allowed: bool
    order_types: tuple[str, ...]
    oco_allowed: bool
    oto_allowed: bool
    opo_allowed: bool
    trailing_allowed: bool
    cancel_replace_allowed: bool
    constraints: Constraints | None
    unknown_filters: tuple[str, ...] = ()
    problem: str = ""

    @property
    def is_trading(self) -> bool:
        return self.status == "TRADING"


class FrameStrength(Message, frozen=True, gc=False):
    """Wilder's directional readings of one frame, x10000 of the indicator's own unit."""

    adx_x10000: int
    plus_di_x10000: int
    minus_di_x10000: int


class Leaning(Message, frozen=True, gc=False):
    """The regime of the four frames together; both scores are clamped when they are computed."""

    label: RegimeLabel
    direction: Direction
    trend_score_x10000: int
    range_score_x10000: int


class Regime(Leaning, frozen=True, gc=False):
    frames: dict[str, FrameStrength]

    def __post_init__(self) -> None:
        trend, ranging = self.trend_score_x10000, self.range_score_x10000
        if not (0 <= trend <= 10_000 and 0 <= ranging <= 10_000):
            require_x10000(trend_score_x10000=trend, range_score_x10000=ranging)


class Microstructure(Message, frozen=True, gc=False):
    """Readings of the 60 s ring of half-second samples of the best bid and ask."""

    spread_current_bps: int
    spread_bps_p50_60s: int
    spread_bps_p90_60s: int
    delta_spread_bps_p90_10s: int
    bid_ask_imbalance_p50_10s_x10000: int
    microvol_bps_10s: int
    out_of_order_drops: int


class Volatility(Message, frozen=True, gc=False):
    atr14_5m_bps: int
    atr14_15m_bps: int


class Prices(Message, frozen=True):
    best_bid: Decimal
    best_ask: Decimal
    mid_price: Decimal
    last_price: Decimal

    def __post_init__(self) -> None:
        require_positive(
            best_bid=self.best_bid,
            best_ask=self.best_ask,
            mid_price=self.mid_price,
            last_price=self.last_price,
        )
        if self.best_bid > self.best_ask:
            refuse("best_bid", self.best_bid, "must not cross the ask")


class CostInputs(Message, frozen=True, gc=False):
    """Costs in bps: entry fee as maker, exit fee as taker, and what the book says of slippage.

    `base_fee_bps` is the undiscounted fee taken in the base asset of a buy; quantities use it.
    """

    maker_fee_bps: int
    taker_fee_bps: int
    slippage_est_entry_maker_bps: int
    slippage_est_entry_taker_bps: int
    slippage_est_exit_taker_bps: int
    base_fee_bps: int


class Market24h(Message, frozen=True):
    quote_volume: Decimal
    trades: int
    price_change_bps: int
    source_ts_ms: int


class SnapshotHealth(Message, frozen=True):
    filters_ok: bool
    ws_ok: bool
    recent_rejects: int
    quarantined_until_ms: int


class Returns(Message, frozen=True, gc=False):
    """Log returns of 5m closes in bps, oldest first; a missing one is 0 and counted."""

    timeframe: Interval
    window: int
    log_return_bps: tuple[int, ...]
    missing_count: int


class Snapshot(Message, frozen=True):
    """Everything a decision may look at for one symbol in one cycle; hashed, immutable."""

    symbol: str
    symbol_status: str
    regime: Regime
    microstructure: Microstructure
    volatility: Volatility
    prices: Prices
    ema20_5m: Decimal
    volume_ratio_5m_x10000: int
    candles_5m: tuple[Candle, ...]
    cost_inputs: CostInputs
    market_24h: Market24h
    health: SnapshotHealth
    returns: Returns
    depth_top5_bids: tuple[DepthLevel, ...]
    depth_top5_asks: tuple[DepthLevel, ...]
    constraints: Constraints
    filters_hash: str
    config_hash: str
    thresholds_hash: str
    exchange_time_ms: int
    local_received_ms: int
    snapshot_id: str
    snapshot_hash: str


class Rejection(Message, frozen=True):
    """A symbol without a valid snapshot this cycle, and why."""

    symbol: str
    reasons: tuple[str, ...]
    detail: str = ""


class DeepFeatures(Message, frozen=True, gc=False):
    """What the deep scan looks at for one attached symbol."""

    symbol: str
    warm: bool
    regime: Leaning | None
    microstructure: Microstructure | None
    atr14_5m_bps: int
    cost_inputs: CostInputs
    returns: Returns | None
