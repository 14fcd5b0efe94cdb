"""A key pair for clients that sign with Ed25519, made once and kept in a private file."""

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from livespot.contracts.errors import PreflightFailed
from livespot.exchange.settings import DEMO_ACCOUNT, ApiKey

# Worthless like the demo key beside it.
ED25519_API_KEY = "livespot-demo-ed25519-key-opens-nothing-but-the-embedded-exchange"


def ed25519_key(path: Path) -> ApiKey:
    """The demo account's second key; its private half is read from `path`, or made there.

    Raises `PreflightFailed` when the file cannot be made or holds something else.
    """
    try:
        if not path.exists():
            _make(path)
        private = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise PreflightFailed(
            f"cannot keep a private key in {path}: {error.strerror}; name another directory "
            "with --keys"
        ) from error
    except (ValueError, TypeError) as error:
        raise PreflightFailed(f"{path} is no private key: {error}; remove it") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise PreflightFailed(f"{path} is no Ed25519 private key; remove it")
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return ApiKey(
        key=ED25519_API_KEY,
        account_id=DEMO_ACCOUNT.account_id,
        public_key_pem=public.decode("ascii"),
    )


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text)
    os.replace(draft, path)
