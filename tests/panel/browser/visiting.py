"""What a visitor of the page is: a browser to launch, a page to look at, what went wrong in it."""

import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, Page, Playwright, ViewportSize

_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
MISSING = (
    "Debian's chromium is not installed, so no browser test ran; "
    "install it with: apt-get install --no-install-recommends chromium"
)
# What a browser says by itself of an answer it did not get.
_NETWORK = (
    "net::ERR_CONNECTION",
    "net::ERR_INCOMPLETE",
    "net::ERR_EMPTY",
    "404 (Not Found)",
    "503 (Service Unavailable)",
)
_REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
    console.error(`policy violation: ${event.violatedDirective} ${event.blockedURI}`));
"""


@dataclass(slots=True, kw_only=True)
class Visit:
    """One page as its visitor has it, and everything that went wrong in it."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def watch(self) -> None:
        self.page.on("console", lambda message: self._heard(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))

    def _heard(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not any(words in text for words in _NETWORK):
            self.complaints.append(f"{kind}: {text}")

    async def open(self, address: str) -> Page:
        await self.page.goto(address)
        await self.page.locator('#link[data-state="live"]').wait_for()
        return self.page


Visiting = Callable[..., Awaitable[Visit]]


def installed() -> str | None:
    """Where Debian's browser is; none is ever downloaded."""
    return shutil.which("chromium")


async def launched(playwright: Playwright, chromium: str) -> Browser:
    return await playwright.chromium.launch(
        executable_path=chromium, args=_ARGUMENTS, headless=True
    )


async def context_of(
    browser: Browser, *, width: int = 1280, height: int = 900, scheme: str = "light"
) -> BrowserContext:
    """A fresh profile of one visitor."""
    context = await browser.new_context(
        viewport=ViewportSize(width=width, height=height),
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(10_000)
    await context.add_init_script(_REPORT_VIOLATIONS)
    return context
