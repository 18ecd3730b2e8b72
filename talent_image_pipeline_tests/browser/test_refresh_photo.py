"""What a talent manager sees after accounts were connected and removed, and of "Refresh Photo"."""

from hashlib import sha256

import pytest
import sqlalchemy as sa
from playwright.sync_api import BrowserContext, expect

from talent_image_pipeline.database.tables import talent
from talent_image_pipeline.sandbox.situations import Network
from talent_image_pipeline_tests.browser.people import Person
from talent_image_pipeline_tests.service.live_service import LiveService

#: One browser, in one process: what drives it keeps that process's event loop to itself meanwhile.
pytestmark = pytest.mark.xdist_group("browser")


@pytest.mark.parametrize("network", [Network.INSTAGRAM, Network.TIKTOK, Network.YOUTUBE])
def test_the_picture_of_a_network_appears_after_it_was_connected(
    person: Person, service: LiveService, network: Network
) -> None:
    talent_id = service.add_talent(name="Ada Lovelace")
    service.sync(talent_id)
    person.open_talent(talent_id)
    initials = person.picture_bytes()
    service.connect(talent_id, network)

    person.refresh()

    expect(person.page.get_by_role("status")).to_contain_text(f"Profile photo updated from {network}")
    expect(person.page.locator("article > .head [data-source]")).to_have_text(
        {"instagram": "Instagram", "tiktok": "TikTok", "youtube": "YouTube"}[network]
    )
    source, address = service.columns(talent_id)
    assert source == network
    assert address is not None
    shown = person.picture_bytes()
    assert shown != initials
    assert shown.startswith(b"RIFF")


def test_the_initials_appear_after_every_account_was_removed(person: Person, service: LiveService) -> None:
    talent_id = service.add_talent(Network.INSTAGRAM)
    service.sync(talent_id)
    person.open_talent(talent_id)
    before = person.picture_bytes()
    service.disconnect(talent_id, Network.INSTAGRAM)

    person.refresh()

    expect(person.page.get_by_role("status")).to_contain_text("the initials are shown")
    expect(person.page.locator("article > .head [data-source]")).to_have_text("Initials")
    assert service.columns(talent_id) == ("initials", None)
    assert person.picture_bytes() != before


def test_the_avatar_changes_without_a_reload_and_nothing_moves(person: Person, service: LiveService) -> None:
    talent_id = service.add_talent(Network.INSTAGRAM)
    service.sync(talent_id)
    person.open_talent(talent_id)
    person.page.evaluate("window.wasNotReloaded = true")
    before = sha256(person.picture_bytes()).hexdigest()
    service.world.upload_new_picture(Network.INSTAGRAM, service.handle(talent_id, Network.INSTAGRAM))

    person.refresh()
    person.page.wait_for_load_state("networkidle")

    assert sha256(person.picture_bytes()).hexdigest() != before
    assert person.page.evaluate("window.wasNotReloaded") is True
    assert person.layout_shift() == 0


def test_the_button_is_busy_and_does_nothing_more_while_a_refresh_is_going_on(
    person: Person, service: LiveService
) -> None:
    talent_id = service.add_talent(Network.INSTAGRAM)
    person.open_talent(talent_id)
    held = person.hold_requests("**/profile-image/sync")
    width = person.refresh_button.evaluate("button => button.offsetWidth")

    person.refresh_button.focus()
    person.page.keyboard.press("Enter")
    expect(person.refresh_button).to_have_attribute("aria-busy", "true")
    expect(person.refresh_button).to_have_attribute("aria-disabled", "true")
    expect(person.refresh_button).to_have_accessible_name("Refreshing… photo of Ada Lovelace")
    expect(person.refresh_button.locator(".spinner")).to_be_visible()
    assert person.refresh_button.evaluate("button => button.offsetWidth") == width
    person.refresh_button.click(force=True)
    assert len(held.routes) == 1
    person.page.get_by_role("link", name="Statistics").focus()
    held.let_go()

    expect(person.refresh_button).to_have_attribute("aria-busy", "false")
    expect(person.page.get_by_role("status")).to_contain_text("updated from instagram")


def test_a_refusal_is_said_in_words(person: Person, service: LiveService) -> None:
    talent_id = service.add_talent(Network.INSTAGRAM)
    person.open_talent(talent_id)
    with service.engine.begin() as connection:
        connection.execute(sa.delete(talent).where(talent.c.id == talent_id))

    person.refresh()

    expect(person.page.get_by_role("alert")).to_contain_text("Talent not found")
    # The browser itself says so of any answer that is not a success.
    assert person.complaints.pop().startswith("Failed to load resource")


def test_a_network_error_is_said_in_words_and_the_next_try_works(
    person: Person, service: LiveService, context: BrowserContext
) -> None:
    talent_id = service.add_talent(Network.INSTAGRAM)
    person.open_talent(talent_id)

    context.set_offline(True)
    person.refresh()
    expect(person.page.get_by_role("alert")).to_contain_text("cannot be reached")
    context.set_offline(False)
    person.refresh()

    expect(person.page.get_by_role("status")).to_contain_text("updated from instagram")
    assert all("ERR_INTERNET_DISCONNECTED" in complaint for complaint in person.complaints)
    person.complaints.clear()
