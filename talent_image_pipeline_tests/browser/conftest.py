"""One Chromium for all tests of the pages, a fresh profile for each test, and what npm brings.

What belongs here: fixtures. What does not: what a test expects of a page.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from talent_image_pipeline_tests.browser.people import Person
from talent_image_pipeline_tests.programs import find_program
from talent_image_pipeline_tests.service.live_service import LiveService, live_service

# A refresh takes a second or two, and far more on a busy machine.
expect.set_options(timeout=20_000)

_HERE = Path(__file__).parent
#: As root there is no sandbox, and nothing outside may be contacted.
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path) -> Iterator[LiveService]:
    """The service on SQLite, with the sandbox; every test adds talents of its own."""
    home = tmp_path_factory.mktemp("service")
    database = shutil.copy(migrated_sqlite_file, home / "talents.db")
    with live_service(home=home, database_url=f"sqlite:///{database}") as running:
        yield running


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window; closed before other tests, because Playwright occupies the event loop."""
    chromium = find_program("chromium", what_for="the pages in a browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser, service: LiveService) -> Iterator[BrowserContext]:
    """A profile of its own."""
    context = browser.new_context(base_url=service.address, viewport={"width": 1100, "height": 900})
    context.set_default_timeout(20_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """An empty tab."""
    return context.new_page()


@pytest.fixture
def person(page: Page) -> Iterator[Person]:
    """Somebody who is logged in; whatever the console complained of by the end fails the test."""
    person = Person(page=page)
    person.log_in()
    yield person
    assert person.complaints == []


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``package.json`` names, installed once from npm, as locked."""
    npm = find_program("npm", what_for="accessibility and the element in React")
    directory = tmp_path_factory.mktemp("npm")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(_HERE / name, directory / name)
    command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(command, cwd=directory, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return directory / "node_modules"


@pytest.fixture(scope="session")
def axe(node_modules: Path) -> str:
    """The source of axe-core."""
    return (node_modules / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
