"""Takes the screenshots of the README from a running demo, in Debian's Chromium.

What belongs here: which pages are shown, and keeping the files small.

    talent-images demo                                  # in one terminal; it prints the token and both addresses
    python docs/screenshots/make.py --token TOKEN       # in another
"""

import io
from pathlib import Path

import click
from PIL import Image
from playwright.sync_api import Page, sync_playwright

_HERE = Path(__file__).parent
_COLORS = 128
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]


@click.command()
@click.option("--token", required=True, help="The API token that the demo prints.")
@click.option("--gallery", default="http://127.0.0.1:3001", show_default=True)
@click.option("--dagster", default="http://127.0.0.1:3000", show_default=True)
@click.option("--chromium", default="/usr/bin/chromium", show_default=True)
def main(token: str, gallery: str, dagster: str, chromium: str) -> None:
    """Write gallery.png, talent.png and assets.png beside this file."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(90_000)
        _log_in(page, gallery, token)
        _save(page, "gallery")
        page.goto(f"{gallery}/talents/talent_ana_lima")
        page.wait_for_timeout(2_000)
        _save(page, "talent")
        page.goto(f"{dagster}/asset-groups")
        page.get_by_text("resolved_profile_images").first.wait_for()
        page.wait_for_timeout(5_000)
        _save(page, "assets")
        browser.close()


def _log_in(page: Page, gallery: str, token: str) -> None:
    page.goto(f"{gallery}/login")
    page.get_by_label("API token").fill(token)
    page.get_by_role("button", name="Log in").click()
    page.locator("talent-avatar img").first.wait_for()
    page.wait_for_timeout(2_000)


def _save(page: Page, name: str) -> None:
    """Keep a screenshot with few colors: a fifth of the bytes, and nobody sees it."""
    with Image.open(io.BytesIO(page.screenshot())) as shot:
        shot.convert("RGB").quantize(_COLORS).save(_HERE / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
