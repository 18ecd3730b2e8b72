"""Somebody at the pages: what they do and what they see.

What belongs here: steps that several tests share. What does not: expectations.
"""

from dataclasses import dataclass, field

from playwright.sync_api import ConsoleMessage, Locator, Page, Route

from talent_image_pipeline_tests.service.live_service import API_TOKEN

#: Adds up every unexpected move of what was there already, as the browser itself measures it.
_MEASURE_SHIFTS = """
window.layoutShift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.layoutShift += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


@dataclass(kw_only=True)
class Person:
    """Somebody at a page, and what the console complained of meanwhile."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Listen to the console, and measure shifts from the first moment of each page."""
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.add_init_script(_MEASURE_SHIFTS)

    def log_in(self) -> None:
        """Give the token once."""
        self.page.goto("/login")
        self.page.get_by_label("API token").fill(API_TOKEN)
        self.page.get_by_role("button", name="Log in").click()
        self.page.wait_for_url("**/")

    def open_talent(self, talent_id: str) -> None:
        """Open a talent's page, its pictures loaded."""
        self.page.goto(f"/talents/{talent_id}", wait_until="networkidle")

    @property
    def avatar(self) -> Locator:
        """The big avatar of a talent's page."""
        return self.page.locator("article > .head talent-avatar")

    @property
    def refresh_button(self) -> Locator:
        """The button under the big avatar."""
        return self.avatar.locator("button")

    def refresh(self) -> None:
        """Press "Refresh Photo" and wait until it is over."""
        self.refresh_button.click()
        self.page.locator("article > .head talent-avatar button[aria-busy=false]").wait_for()

    def picture_bytes(self) -> bytes:
        """Return what the big avatar shows, as the browser loaded it."""
        address = self.avatar.locator("img").evaluate("image => image.currentSrc")
        return self.page.request.get(address).body()

    def layout_shift(self) -> float:
        """Return how far things moved by themselves since the page began to load."""
        shift: float = self.page.evaluate("window.layoutShift")
        return shift

    def hold_requests(self, pattern: str) -> "HeldRequests":
        """Keep requests from going out until they are let go."""
        held = HeldRequests()
        self.page.route(pattern, held.hold)
        return held

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)


@dataclass(kw_only=True)
class HeldRequests:
    """Requests that wait."""

    routes: list[Route] = field(default_factory=list)

    def hold(self, route: Route) -> None:
        """Keep one."""
        self.routes.append(route)

    def let_go(self) -> None:
        """Send all of them."""
        while self.routes:
            self.routes.pop().continue_()
