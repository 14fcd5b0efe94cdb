"""An HTTP transport that answers from a script and remembers what it was asked."""

from collections import deque
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from livespot.contracts.transport import HttpAnswer


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it would have left the process."""

    method: str
    url: str
    headers: dict[str, str] = field(repr=False)
    content: bytes = field(default=b"", repr=False)

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def params(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.url).query, keep_blank_values=True))


def answer(body: bytes, status: int = 200, **headers: str) -> HttpAnswer:
    """An answer; header names are written with `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpAnswer(status=status, headers=named, body=body)


class ScriptedHttp:
    """Gives out the scripted answers (or raises the scripted errors) in order."""

    def __init__(self, *script: HttpAnswer | Exception) -> None:
        self._script = deque(script)
        self.asked: list[Asked] = []

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str],
        content: bytes,
        timeout_seconds: float,
    ) -> HttpAnswer:
        self.asked.append(Asked(method, url, headers, content))
        step = self._script.popleft()
        if isinstance(step, Exception):
            raise step
        return step
