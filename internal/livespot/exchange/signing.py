"""Who sent a request: key, signature and the age of its timestamp."""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from decimal import Decimal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from livespot.exchange.model import Rejection
from livespot.exchange.settings import ApiKey
from livespot.exchange.time_units import as_milliseconds

OLDEST_MS = 1_483_228_800_000
_AHEAD_MS = 1000
_DEFAULT_WINDOW = Decimal(5000)
_LONGEST_WINDOW = Decimal(60000)
_STAMP = re.compile(r"[0-9]{1,20}")
_WINDOW = re.compile(r"[0-9]{1,20}(?:\.([0-9]{1,20}))?")
_WINDOW_PLACES = 3
_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}")
# What percent-encoding leaves as it is, the separators of a form, and whole escapes.
_ENCODED = re.compile(rb"(?:[A-Za-z0-9._~&=-]|%[0-9A-Fa-f]{2})*")


def missing(name: str) -> Rejection:
    """-1102 for a parameter that is absent, empty or unreadable."""
    return Rejection(
        -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    )


def known_key(keys: Mapping[str, ApiKey], key: str | None) -> ApiKey:
    """The key of a request; -2014 when it is no key at all, -2015 when nobody knows it."""
    if not key or _KEY.fullmatch(key) is None:
        raise Rejection(-2014, "API-key format invalid.", 401)
    found = keys.get(key)
    if found is None:
        raise denied()
    return found


def denied() -> Rejection:
    """-2015: the key is unknown or lacks the right."""
    return Rejection(-2015, "Invalid API-key, IP, or permissions for action.", 401)


def check_time(params: Mapping[str, str], now_ms: int) -> None:
    """Refuse a request whose timestamp is missing, too old or ahead of the exchange's clock."""
    stamp = params.get("timestamp", "")
    if _STAMP.fullmatch(stamp) is None:
        raise missing("timestamp")
    sent_ms = as_milliseconds(int(stamp))
    window = _window(params.get("recvWindow"))
    if sent_ms >= now_ms + _AHEAD_MS:
        raise Rejection(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if sent_ms < OLDEST_MS or now_ms - sent_ms > window:
        raise Rejection(-1021, "Timestamp for this request is outside of the recvWindow.")


def _window(text: str | None) -> Decimal:
    """The receive window in ms; up to three decimals."""
    if text is None:
        return _DEFAULT_WINDOW
    match = _WINDOW.fullmatch(text)
    if match is None or Decimal(text) == 0:
        raise missing("recvWindow")
    if len(match[1] or "") > _WINDOW_PLACES:
        raise Rejection(-1111, "Parameter 'recvWindow' has too much precision.")
    window = Decimal(text)
    if window > _LONGEST_WINDOW:
        raise Rejection(-1131, "recvWindow must be less than 60000.")
    return window


def check_encoding(payload: bytes) -> None:
    """Refuse with -1022 what was signed without having been percent-encoded first."""
    if _ENCODED.fullmatch(payload) is None:
        raise _bad_signature()


def check_signature(key: ApiKey, payload: bytes, signature: str | None) -> None:
    """Refuse with -1022 unless the signature is the key's over exactly these bytes."""
    if not signature:
        raise missing("signature")
    if not _matches(key, payload, signature):
        raise _bad_signature()


def _bad_signature() -> Rejection:
    return Rejection(-1022, "Signature for this request is not valid.")


def _matches(key: ApiKey, payload: bytes, signature: str) -> bool:
    if key.hmac_secret:
        expected = hmac.digest(key.hmac_secret.encode(), payload, "sha256").hex()
        return signature.isascii() and hmac.compare_digest(expected, signature.lower())
    try:
        raw = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    public = load_pem_public_key(key.public_key_pem.encode())
    try:
        if isinstance(public, Ed25519PublicKey):
            public.verify(raw, payload)
        elif isinstance(public, RSAPublicKey):
            public.verify(raw, payload, PKCS1v15(), SHA256())
        else:
            return False
    except InvalidSignature:
        return False
    return True


def may_log_on(key: ApiKey) -> bool:
    """Sessions are for Ed25519 keys only."""
    if not key.public_key_pem:
        return False
    return isinstance(load_pem_public_key(key.public_key_pem.encode()), Ed25519PublicKey)


def signed_text(params: Mapping[str, str]) -> bytes:
    """What a WebSocket API request signs: all but the signature, sorted, not percent-encoded."""
    pairs = sorted((name, value) for name, value in params.items() if name != "signature")
    return "&".join(f"{name}={value}" for name, value in pairs).encode()
