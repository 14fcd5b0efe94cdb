"""What an embedded exchange is started with."""

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from livespot.exchange.faults.plan import FaultPlan
from livespot.exchange.model import AccountSpec, OrderLimits
from livespot.exchange.model_gate import ScriptedAnswer

# Worthless by design: they open an account that exists only inside this program.
DEMO_KEY = "livespot-demo-key-opens-nothing-but-the-embedded-exchange"
DEMO_SECRET = "livespot-demo-secret-is-not-a-secret"  # noqa: S105  see above
DEMO_ACCOUNT = AccountSpec(account_id="demo", uid=1, balances={"USDT": Decimal(10_000)})


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key and what proves its possession: an HMAC secret or a public key in PEM."""

    key: str
    account_id: str
    hmac_secret: str = field(default="", repr=False)
    public_key_pem: str = ""
    can_trade: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """What one address may ask for, and how a client that ignores 429 is banned.

    `raw_requests` and `connections` count per five minutes, and so do the stream connections cut
    off for talking too much, of which an address may have `cuts_before_ban`.
    """

    weight_per_minute: int = 6000
    raw_requests: int = 300_000
    connections: int = 300
    refusals_before_ban: int = 20
    cuts_before_ban: int = 10
    first_ban_ms: int = 120_000
    longest_ban_ms: int = 3 * 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedClock:
    """How another process can run on the exchange's time; see the state file."""

    wall_ms: int
    market_ms: int
    speed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeSettings:
    """One embedded exchange. Empty `symbols` means every symbol of the data.

    `data`: a directory or the name of a data set; `shifted` moves a record to the present and
    repeats its last days; `scenario`: the timeline of a made-up market. See `DataOrder`.
    `read_lag_ms`: account queries show changes this much later. `plan`: faults from the start;
    `control_port`: where faults can be changed meanwhile, 0 for any free port, None for nowhere.
    `start_ms` and `stop_ms`: when the exchange is planned to begin and end, in market time.
    """

    port: int = 0
    seed: int = 1
    data: Path | None = None
    shifted: bool = False
    scenario: Path | None = None
    symbols: frozenset[str] = frozenset()
    accounts: tuple[AccountSpec, ...] = (DEMO_ACCOUNT,)
    keys: tuple[ApiKey, ...] = (ApiKey(key=DEMO_KEY, account_id="demo", hmac_secret=DEMO_SECRET),)
    order_limits: OrderLimits = field(default_factory=OrderLimits)
    request_limits: RequestLimits = field(default_factory=RequestLimits)
    journal: Path | None = None
    state_file: Path | None = None
    shared_clock: SharedClock | None = None
    queue_size: int = 16_384
    connection_life_ms: int = 86_400_000
    shutdown_notice_ms: int = 1000
    gate_answers: tuple[ScriptedAnswer, ...] = ()
    read_lag_ms: int = 0
    plan: FaultPlan | None = None
    control_port: int | None = None
    start_ms: int | None = None
    stop_ms: int | None = None
