"""The pages beyond "Refresh Photo": finding talents, pins, the login, and that everybody can use them."""

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, expect

from talent_image_pipeline.database.tables import talent
from talent_image_pipeline.sandbox.situations import Network
from talent_image_pipeline_tests.browser.people import Person
from talent_image_pipeline_tests.service.live_service import LiveService

#: One browser, in one process: what drives it keeps that process's event loop to itself meanwhile.
pytestmark = pytest.mark.xdist_group("browser")

_HOSTILE = '"><script>document.title="taken"</script><img src=x onerror=document.title="taken">'
_SERIOUS = {"serious", "critical"}


def test_the_gallery_finds_talents_by_name_source_and_state(person: Person, service: LiveService) -> None:
    shown = service.add_talent(Network.YOUTUBE, name="Zsófia Gallery")
    service.sync(shown)
    service.add_talent(name="Zsófia Without")

    person.page.goto("/")
    person.page.get_by_label("Name, handle or id").fill("zsófia")
    person.page.get_by_role("button", name="Show").click()
    expect(person.page.locator(".card")).to_have_count(2)
    person.page.get_by_label("Source").select_option("youtube")
    person.page.get_by_role("button", name="Show").click()
    expect(person.page.locator(".card")).to_have_count(1)
    expect(person.page.locator(".card h2")).to_have_text("Zsófia Gallery")
    person.page.goto("/?search=zs%C3%B3fia&state=no_account")

    expect(person.page.locator(".card h2")).to_have_text("Zsófia Without")


def test_the_gallery_goes_on_page_by_page_until_everybody_was_shown_once(person: Person, service: LiveService) -> None:
    with service.engine.begin() as connection:
        rows = [
            {"id": f"paged_{number:03}", "userId": f"user_paged_{number}", "name": f"Paging Person {number:03}"}
            for number in range(100)
        ]
        columns = {"createdAt": sa.func.now(), "updatedAt": sa.func.now()}
        for row in rows:
            connection.execute(sa.insert(talent).values(**row, **columns))

    person.page.goto("/?search=Paging+Person")
    names = person.page.locator(".card h2").all_inner_texts()
    while person.page.get_by_role("link", name="Next page").count():
        person.page.get_by_role("link", name="Next page").click()
        names += person.page.locator(".card h2").all_inner_texts()

    assert names == [f"Paging Person {number:03}" for number in range(100)]


def test_what_changed_today_is_shown_before_and_after(person: Person, service: LiveService) -> None:
    talent_id = service.add_talent(Network.INSTAGRAM, name="Changes Today")
    service.sync(talent_id)

    person.page.goto("/")

    changed = person.page.locator(".changes li").filter(has_text="Changes Today")
    expect(changed.locator(".no-picture")).to_have_text("nothing")
    expect(changed.get_by_role("img")).to_have_accessible_name("after: from Instagram")


def test_a_person_pins_another_networks_picture_and_frees_it_again(person: Person, service: LiveService) -> None:
    talent_id = service.add_talent(Network.INSTAGRAM, Network.TIKTOK)
    service.sync(talent_id)
    person.open_talent(talent_id)

    person.page.get_by_role("button", name="Pin this picture, from TikTok").click()
    expect(person.page.locator("form[data-unpin]")).to_contain_text("Pinned to version")
    assert service.columns(talent_id)[0] == "tiktok"
    person.page.get_by_role("button", name="Unpin").click()
    expect(person.page.locator("form[data-unpin]")).to_have_count(0)

    assert service.columns(talent_id)[0] == "instagram"
    assert [entry.action for entry in service.audit(talent_id)][:2] == ["unpin", "pin"]


def test_the_names_of_strangers_are_text_on_every_page(person: Person, service: LiveService) -> None:
    talent_id = service.add_talent(Network.INSTAGRAM, name=f"Mallory {_HOSTILE}")
    service.sync(talent_id)

    for address in ("/?search=Mallory", f"/talents/{talent_id}", "/talents/%22%3E%3Cscript%3E"):
        person.page.goto(address, wait_until="networkidle")
        assert person.page.title() != "taken"
        assert person.page.locator("script:not([src]), img[onerror]").count() == 0
    person.complaints.clear()


def test_a_page_without_a_session_asks_for_the_token_and_goes_on_where_one_was(page: Page) -> None:
    page.goto("/stats")
    expect(page).to_have_url("/login?next=%2Fstats")
    page.get_by_label("API token").fill("not the token")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("TALENT_API_TOKEN")


def test_after_logging_out_nothing_is_shown_any_more(person: Person) -> None:
    person.page.get_by_role("button", name="Log out").click()
    expect(person.page.get_by_label("API token")).to_be_visible()
    person.page.goto("/stats")
    expect(person.page.get_by_label("API token")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(person: Person, service: LiveService, axe: str, scheme: str) -> None:
    talent_id = service.add_talent(Network.INSTAGRAM, Network.YOUTUBE, name="Axel Accessible")
    service.sync(talent_id)
    person.page.emulate_media(color_scheme="light" if scheme == "light" else "dark")

    for address in ("/", f"/talents/{talent_id}", "/stats", "/talents/nobody", "/login"):
        if address == "/login":
            person.page.context.clear_cookies()
        person.page.goto(address, wait_until="networkidle")
        person.page.evaluate(axe)
        found = person.page.evaluate("axe.run().then((result) => result)")
        assert len(found["passes"]) >= 5, address
        serious = [
            (violation["id"], [node["html"] for node in violation["nodes"]][:3])
            for violation in found["violations"]
            if violation["impact"] in _SERIOUS
        ]
        assert serious == [], address
    person.complaints.clear()


def test_on_a_phone_nothing_needs_to_be_scrolled_sideways(browser: Browser, service: LiveService) -> None:
    talent_id = service.add_talent(Network.INSTAGRAM, name="Phone " + "Longname" * 12)
    service.sync(talent_id)
    context = browser.new_context(
        base_url=service.address, viewport={"width": 360, "height": 740}, device_scale_factor=3, has_touch=True
    )
    person = Person(page=context.new_page())
    person.log_in()

    for address in ("/?search=Phone", f"/talents/{talent_id}", "/stats"):
        person.page.goto(address, wait_until="networkidle")
        assert person.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
        assert person.layout_shift() == 0, address
    person.open_talent(talent_id)
    # 160 CSS pixels at three device pixels each.
    assert person.avatar.locator("img").evaluate("image => image.currentSrc").endswith("size=512")
    context.close()
