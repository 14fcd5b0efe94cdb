"""Signatures that the exchange's documentation prints, and some of our own, are accepted."""

import json
from pathlib import Path
from typing import Any

import pytest

from livespot.exchange.model import Rejection
from livespot.exchange.read_params import without_signature
from livespot.exchange.settings import ApiKey
from livespot.exchange.signing import check_encoding, check_signature, signed_text
from livespot.exchange.ws_requests import WsRequest, read_request

FILE = json.loads(
    (Path(__file__).parent / "payloads" / "signature_vectors.json").read_text("utf-8")
)
KEYS = {
    name: ApiKey(
        key=row["key"],
        account_id="a",
        hmac_secret=row["hmac_secret"],
        public_key_pem=row["public_key_pem"],
    )
    for name, row in FILE["signers"].items()
}
REST = [row for row in FILE["vectors"] if "query" in row]
FRAMES = [row for row in FILE["vectors"] if "params" in row]


@pytest.mark.parametrize("row", REST, ids=lambda row: row["name"])
def test_a_rest_vector_is_accepted_and_nothing_else(row: dict[str, Any]) -> None:
    query = row["query"].encode()
    payload = without_signature(query + b"&signature=anything") + row["body"].encode()

    check_encoding(payload)
    check_signature(KEYS[row["signer"]], payload, row["signature"])
    with pytest.raises(Rejection, match="-1022"):
        check_signature(KEYS[row["signer"]], payload + b"0", row["signature"])


@pytest.mark.parametrize("row", FRAMES, ids=lambda row: row["name"])
def test_a_frame_vector_is_accepted_in_any_order_of_its_parameters(row: dict[str, Any]) -> None:
    for names in (sorted(row["params"]), sorted(row["params"], reverse=True)):
        params = {"signature": row["signature"]} | {name: row["params"][name] for name in names}
        request = WsRequest()
        read_request(json.dumps({"id": 1, "method": "order.place", "params": params}), request)

        assert signed_text(request.params).decode() == row["payload"]
        check_signature(KEYS[row["signer"]], signed_text(request.params), row["signature"])


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param("symbol=１２".encode(), id="not-ascii"),  # noqa: RUF001  that is the point
        pytest.param(b'symbols=["A"]', id="brackets"),
        pytest.param(b"symbol=A%2", id="half-an-escape"),
        pytest.param(b"symbol=A B", id="blank"),
        pytest.param(b"signed=a+b", id="plus"),
    ],
)
def test_what_was_not_percent_encoded_before_signing_is_refused(payload: bytes) -> None:
    with pytest.raises(Rejection, match="-1022"):
        check_encoding(payload)
