"""Foreign clients, unmodified, against the embedded exchange in a process of its own."""

import itertools
import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

# Imported once, here: python-binance names parts of websockets that are on their way out.
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message=r"websockets\.", category=DeprecationWarning)
    import binance  # noqa: F401

HERE = Path(__file__).parent
SECRET = "a-secret-of-the-conformance-suite"
BALANCES = {"USDT": "1000000", "BTC": "5", "ETH": "50", "BNB": "0"}


@dataclass(frozen=True)
class Identity:
    """One account and its three ways to sign."""

    number: int
    rsa_pem: str
    ed25519_pem: str
    secret: str = SECRET

    @property
    def key(self) -> str:
        return f"hmac-{self.number}"

    @property
    def rsa_key(self) -> str:
        return f"rsa-{self.number}"

    @property
    def ed25519_key(self) -> str:
        return f"ed25519-{self.number}"


@dataclass(frozen=True)
class Venue:
    """A running exchange: its addresses and accounts nobody has used yet."""

    rest_url: str
    stream_url: str
    ws_api_url: str
    identities: Iterator[Identity]


@contextmanager
def running_exchange(
    keys: dict[str, str], *, accounts: int = 100, **request_limits: int
) -> Iterator[Venue]:
    options = {
        "accounts": accounts,
        "balances": BALANCES,
        "secret": SECRET,
        "rsa": keys["rsa_public"],
        "ed25519": keys["ed25519_public"],
        "symbols": ["BTCUSDT", "ETHUSDT"],
        "request_limits": request_limits,
    }
    with subprocess.Popen(
        [sys.executable, str(HERE / "serve.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(options) + "\n")
        process.stdin.flush()
        said = process.stdout.readline()
        assert said, "the exchange did not start; its own words are above"
        address: dict[str, Any] = json.loads(said)
        numbers = itertools.count()
        yield Venue(
            rest_url=address["rest_url"],
            stream_url=address["stream_url"],
            ws_api_url=address["ws_api_url"],
            identities=(Identity(n, keys["rsa"], keys["ed25519"]) for n in numbers),
        )
        process.stdin.close()
        process.wait(timeout=10)


@pytest.fixture(scope="session")
def signing_keys() -> dict[str, str]:
    """Key pairs in PEM; generated, because nothing secret belongs into a repository."""
    rsa = generate_private_key(public_exponent=65537, key_size=2048)
    ed25519 = Ed25519PrivateKey.generate()
    pairs = {}
    for name, private in (("rsa", rsa), ("ed25519", ed25519)):
        pairs[name] = private.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ).decode()
        pairs[f"{name}_public"] = (
            private.public_key()
            .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )
    return pairs


@pytest.fixture(scope="module")
def venue(signing_keys: dict[str, str]) -> Iterator[Venue]:
    """One exchange for the tests of a module."""
    with running_exchange(signing_keys) as running:
        yield running


@pytest.fixture(scope="module")
def strict_venue(signing_keys: dict[str, str]) -> Iterator[Venue]:
    """An exchange that soon says it has been asked too much, and soon bans who goes on."""
    with running_exchange(
        signing_keys, accounts=10, weight_per_minute=100, refusals_before_ban=3
    ) as running:
        yield running


@pytest.fixture
def identity(venue: Venue) -> Identity:
    """An account no test has touched."""
    return next(venue.identities)


# What a client does itself, and we do not judge: only this, and only in this directory. The
# official SDK hands aiohttp a time limit in an older form.
FOREIGN_WARNINGS = (
    r"ignore:parameter 'timeout' of type 'float' is deprecated:DeprecationWarning:binance_common\.",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            for warning in FOREIGN_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))
