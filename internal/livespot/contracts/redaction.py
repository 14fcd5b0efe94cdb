"""Keeps secrets and outside text out of every sink: by key, by pattern, by value, by size."""

import base64
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec

from livespot.contracts.canonical import canonical_json

MASK = "<REDACTED>"

_SHORTEST_SECRET = 6
_EXACT_KEYS = frozenset(
    {
        "key",
        "pem",
        "env",
        "environ",
        "environment",
        "prompt",
        "rawprompt",
        "rawanswer",
        "rawtext",
        "signedurl",
        "query",
        "querystring",
        "username",
        "user",
        "hostname",
    }
)
_KEY_PARTS = (
    "secret",
    "signature",
    "authorization",
    "apikey",
    "mbxapi",
    "privatekey",
    "password",
    "passphrase",
    "cookie",
    "token",
    "listenkey",
    "credential",
)
# Hashes of secrets may be shown: they are all that is left to compare by.
_HARMLESS_ENDINGS = ("hash", "sha256")
_SHAPES = (
    # Text with a signature is a signed query or URL, and all of it is masked.
    re.compile(r"[^\s\"'<>]*\bsignature=[^\s\"'<>]*", re.IGNORECASE),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|\Z)", re.DOTALL),
    re.compile(r"\b(?:Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE),
    re.compile(
        r"(?:X-MBX-APIKEY|Authorization|Set-Cookie|Cookie|listenKey|apiKey|api_key|secretKey)"
        r"[\"']?\s*[:=]\s*[\"']?[^\s\"'&,;]+",
        re.IGNORECASE,
    ),
)
# The user name in a home path: the system's errors quote paths.
_HOME = re.compile(r"(/home/|/Users/|\b[A-Z]:[\\/]+Users[\\/]+)[^/\\\s\"'<>:]+", re.IGNORECASE)
_OWNER = r"\1<USER>"
# Every pattern above needs one of these, so most text passes after a few searches.
_HINTS = ("signature", "private key", "bearer", "basic", "mbx", "authoriz", "cookie", "key")


class Redactor:
    """Knows the live secret values; keeps them in memory only and never shows them.

    Values shorter than six characters are ignored: nobody could keep them secret, and masking them
    would mangle harmless text.
    """

    def __init__(self, secret_values: Iterable[str] = ()) -> None:
        forms: set[str] = set()
        for value in secret_values:
            forms |= forms_of(value)
        self._forms = tuple(sorted(forms, key=lambda form: (-len(form), form)))

    def __repr__(self) -> str:
        return f"Redactor({len(self._forms)} forms)"

    def __reduce__(self) -> str:
        raise TypeError("a Redactor holds secrets and is not pickled")

    def values(self, text: str) -> str:
        """Mask the live secret values, in any of their encodings, and nothing else."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return text

    def text(self, text: str) -> str:
        """Mask secret values, everything that looks like one, and the user in a home path."""
        text = self.values(text)
        lowered = text.lower()
        if any(hint in lowered for hint in _HINTS):
            for shape in _SHAPES:
                text = shape.sub(MASK, text)
        if "/home/" in lowered or "users" in lowered:
            text = _HOME.sub(_OWNER, text)
        return text

    def data(self, value: Any) -> Any:
        """A copy of JSON-like data with sensitive keys masked and all text filtered."""
        match value:
            case str():
                # Enum values are the program's own words.
                return self.text(value) if type(value) is str else value
            case dict():
                return {
                    self.text(str(key)): MASK
                    if is_sensitive(str(key)) and item
                    else self.data(item)
                    for key, item in value.items()
                }
            case list() | tuple():
                return [self.data(item) for item in value]
            case msgspec.Struct():
                return self.data(msgspec.structs.asdict(value))
            case _:
                return value

    def event_data(self, data: dict[str, Any], max_bytes: int) -> bytes:
        """Canonical JSON of an event's `data{}`, redacted and bounded.

        Beyond `max_bytes` it becomes the JSON text `<TRUNCATED len_bytes=N>` and nothing else.
        Raises `TypeError` or `ValueError` when the data has no canonical form.
        """
        encoded = canonical_json(self.data(data)) if data else b"{}"
        if len(encoded) > max_bytes:
            return canonical_json(truncated(len(encoded)))
        return encoded


def truncated(len_bytes: int) -> str:
    """The text that replaces something too long to keep."""
    return f"<TRUNCATED len_bytes={len_bytes}>"


def is_sensitive(key: str) -> bool:
    """Whether the name of a key alone says that its value must not be shown."""
    name = re.sub(r"[^a-z0-9]", "", key.lower())
    if name.endswith(_HARMLESS_ENDINGS):
        return False
    return name in _EXACT_KEYS or any(part in name for part in _KEY_PARTS)


def forms_of(value: str) -> set[str]:
    """How a secret may appear: raw, reversed, URL, hex, base64 at any offset, inside JSON.

    Empty for a value too short to be a secret.
    """
    if len(value) < _SHORTEST_SECRET:
        return set()
    raw = value.encode()
    forms = {value, value[::-1], quote(value, safe=""), quote_plus(value)}
    forms |= {raw.hex(), raw.hex().upper()}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):
            # The characters at both ends depend on the neighbouring bytes, so they are cut off.
            encoded = encode(b"\0" * shift + raw).decode().rstrip("=")
            core = encoded[(0, 2, 3)[shift] : len(encoded) - 1]
            if len(core) >= _SHORTEST_SECRET:
                forms.add(core)
    forms.add(msgspec.json.encode(value).decode()[1:-1])
    return forms
