"""Encodings in which a secret may stand in a file, and the files of a run that hold one."""

import base64
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

# The exchange's own files: it may know what it is told.
_NOT_OURS = ("exchange",)
_SHORTEST = 6
# A signature beside its name is as good as the request it signs.
_SIGNED = re.compile(rb"signature=[0-9A-Za-z%+/]{16}")


def encodings(secret: str) -> dict[str, bytes]:
    """A secret as it may stand in a file, by the name of the encoding.

    In base64 it is looked for at each of the three offsets, without the letters that depend on
    what stands beside it.
    """
    raw = secret.encode()
    found = {
        "plain": raw,
        "in a URL": quote(secret, safe="").encode(),
        "in hex": raw.hex().encode(),
        "in upper hex": raw.hex().upper().encode(),
        "backwards": raw[::-1],
    }
    for offset in range(3):
        text = base64.b64encode(b"?" * offset + raw)
        found[f"in base64 at {offset}"] = text[4 if offset else 0 : -4]
    return found


def files_below(directory: Path) -> list[Path]:
    """What the process wrote, in a fixed order."""
    return sorted(
        path
        for path in directory.rglob("*")
        if path.is_file() and not path.name.startswith(_NOT_OURS)
    )


def leaks(files: Iterable[Path], secrets: Iterable[str]) -> Iterator[str]:
    """Each file that holds a secret or a signature, and in what form."""
    forms = [
        form for secret in secrets if len(secret) >= _SHORTEST for form in encodings(secret).items()
    ]
    for path in files:
        data = path.read_bytes()
        found = sorted({name for name, form in forms if form in data})
        if _SIGNED.search(data):
            found.append("as a signature")
        if found:
            yield f"{path.name} holds a secret {' and '.join(found)}"
