"""Signatures are those the exchange's documentation prints."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.errors import ConfigInvalid
from livespot.contracts.secret import Secret
from livespot.venue.query import query_string
from livespot.venue.signing import (
    Signer,
    load_signer,
    signed_params,
    signed_query,
    socket_payload,
)

_CANARY = "canary-5b1f0c7782aa41d9"
_VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "payloads" / "signatures.json").read_text(encoding="utf-8")
)


def _of(transport: str) -> list[Any]:
    return [
        pytest.param(vector, id=vector["name"])
        for vector in _VECTORS
        if vector["transport"] == transport
    ]


def _pem(key: Ed25519PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _signer(vector: dict[str, Any]) -> Signer:
    if "secretKey" in vector:
        return load_signer(Secret(vector["apiKey"]), Secret(vector["secretKey"]))
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vector["privateSeedHex"]))
    return load_signer(Secret(vector["apiKey"]), Secret(_pem(key)))


@pytest.mark.parametrize("vector", _of("rest"))
def test_rest_payload_and_signature_match_the_published_vector(vector: dict[str, Any]) -> None:
    signer = _signer(vector)

    assert signer.sign(vector["payload"].encode()) == vector["expectedSignature"]
    if "queryString" not in vector:
        assert query_string(vector["params"]) == vector["payload"]
        assert signed_query(vector["params"], signer) == (
            f"{vector['payload']}&signature="
            f"{vector.get('signatureAsSent', vector['expectedSignature'])}"
        )


@pytest.mark.parametrize("vector", _of("wsapi"))
def test_socket_payload_and_signature_match_the_published_vector(vector: dict[str, Any]) -> None:
    params = {name: value for name, value in vector["params"].items() if name != "apiKey"}

    signed = signed_params(params, _signer(vector))

    assert socket_payload(vector["params"]).decode() == vector["payload"]
    assert signed["signature"] == vector["expectedSignature"]
    assert signed["apiKey"] == vector["apiKey"]


@given(st.dictionaries(st.from_regex(r"[a-zA-Z]{1,12}", fullmatch=True), st.text(max_size=30)))
def test_an_encoded_query_holds_only_bytes_that_travel_unchanged(params: dict[str, str]) -> None:
    query = query_string(params.items())

    assert query.isascii()
    assert all(letter.isalnum() or letter in "-_.~%=&" for letter in query)
    assert query.count("=") == len(params)


def test_only_an_ed25519_key_may_log_on_to_a_session() -> None:
    signers = {vector["algorithm"]: _signer(vector).may_log_on for vector in _VECTORS}

    assert signers == {"HMAC-SHA256": False, "Ed25519": True}


def test_a_key_of_another_kind_is_refused_without_showing_it() -> None:
    rsa = generate_private_key(public_exponent=65537, key_size=2048)
    pem = rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    with pytest.raises(ConfigInvalid) as caught:
        load_signer(Secret("key"), Secret(pem))

    assert pem.splitlines()[1] not in str(caught.value)


@pytest.mark.parametrize("text", ["", f"-----BEGIN PRIVATE KEY-----\n{_CANARY}\n-----END"])
def test_an_unusable_secret_is_a_configuration_problem_that_keeps_it(text: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        load_signer(Secret("key"), Secret(text))

    error: BaseException | None = caught.value
    while error is not None:
        assert _CANARY not in f"{error!r} {error}"
        error = error.__cause__


def test_no_signer_shows_its_secrets() -> None:
    ed25519 = Ed25519PrivateKey.generate()
    for secret in (_CANARY, _pem(ed25519)):
        signer = load_signer(Secret(f"key-{_CANARY}"), Secret(secret))

        assert _CANARY not in f"{signer!r} {signer}"
        assert ed25519.private_bytes_raw().hex() not in repr(signer)
