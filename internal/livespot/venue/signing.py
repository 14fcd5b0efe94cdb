"""Signs requests with HMAC-SHA256 or Ed25519, over the exact bytes that are sent."""

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from livespot.contracts.errors import ConfigInvalid
from livespot.contracts.secret import Secret
from livespot.venue.query import Pairs, Value, query_string

_PEM = "-----BEGIN"


class Signer(Protocol):
    """Signs with one key. `may_log_on`: whether a session accepts a key of this kind."""

    @property
    def api_key(self) -> Secret: ...

    @property
    def may_log_on(self) -> bool: ...

    def sign(self, payload: bytes) -> str:
        """The signature as text: hex for HMAC, base64 for Ed25519."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HmacSigner:
    api_key: Secret
    secret: Secret = field(repr=False)
    may_log_on: bool = False

    def sign(self, payload: bytes) -> str:
        return hmac.digest(self.secret.reveal().encode(), payload, "sha256").hex()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ed25519Signer:
    api_key: Secret
    private_key: Ed25519PrivateKey = field(repr=False)
    may_log_on: bool = True

    def sign(self, payload: bytes) -> str:
        return base64.b64encode(self.private_key.sign(payload)).decode()


def load_signer(api_key: Secret, secret: Secret) -> Signer:
    """Return an Ed25519 signer for the text of a PEM file, an HMAC signer for any other secret.

    Raises:
        ConfigInvalid: a part is empty, or the PEM holds no unencrypted Ed25519 private key.
    """
    problems = [
        f"{name} is empty"
        for name, value in (("API key", api_key), ("API secret", secret))
        if not value
    ]
    if problems:
        raise ConfigInvalid(problems)
    text = secret.reveal().strip()
    if not text.startswith(_PEM):
        return HmacSigner(api_key=api_key, secret=Secret(text))
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigInvalid(
            ["API secret is a PEM that cannot be read without a password"]
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigInvalid(["API secret is a PEM of another kind than Ed25519"])
    return Ed25519Signer(api_key=api_key, private_key=key)


def signed_query(pairs: Pairs, signer: Signer) -> str:
    """Return the query string with its signature as the last parameter."""
    query = query_string(pairs)
    return f"{query}&signature={quote(signer.sign(query.encode()), safe='')}"


def socket_payload(params: Mapping[str, Value]) -> bytes:
    """Return the bytes a WebSocket API request signs: raw UTF-8, sorted by name, unsigned."""
    return "&".join(
        f"{name}={value}" for name, value in sorted(params.items()) if name != "signature"
    ).encode()


def signed_params(params: Mapping[str, Value], signer: Signer) -> dict[str, Value]:
    """Return the parameters of a WebSocket API request with key and signature added."""
    named: dict[str, Value] = {**params, "apiKey": signer.api_key.reveal()}
    return {**named, "signature": signer.sign(socket_payload(named))}
