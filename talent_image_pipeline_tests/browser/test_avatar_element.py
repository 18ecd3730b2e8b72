"""``<talent-avatar>`` inside other people's pages: plain HTML and React 19, on another origin than the service."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Page, Route, expect

from talent_image_pipeline.pictures.initials.palette import colours_of
from talent_image_pipeline.sandbox.situations import Network
from talent_image_pipeline_tests.conftest import PROJECT_ROOT
from talent_image_pipeline_tests.service.live_service import LiveService

#: One browser, in one process: what drives it keeps that process's event loop to itself meanwhile.
pytestmark = pytest.mark.xdist_group("browser")

_EXAMPLES = PROJECT_ROOT / "docs" / "embedding"
_ADDRESS_IN_EXAMPLES = "http://127.0.0.1:3001"


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name of the base class
        """Say nothing."""


@contextmanager
def _served(directory: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietHandler, directory=str(directory))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def talent_id(service: LiveService) -> str:
    """Somebody with a picture."""
    talent_id = service.add_talent(Network.INSTAGRAM, name="Ada Lovelace")
    assert service.sync(talent_id).status_code == 200
    return talent_id


def _write_plain_page(directory: Path, service: LiveService, talent_id: str) -> None:
    source = (_EXAMPLES / "plain.html").read_text(encoding="utf-8")
    page = source.replace(_ADDRESS_IN_EXAMPLES, service.address).replace("talent_1", talent_id)
    (directory / "index.html").write_text(page, encoding="utf-8")


def _write_react_page(directory: Path, service: LiveService, talent_id: str, node_modules: Path) -> None:
    source = (_EXAMPLES / "react.jsx").read_text(encoding="utf-8")
    example = node_modules.parent / "example.jsx"
    example.write_text(
        source.replace(_ADDRESS_IN_EXAMPLES, service.address).replace("talent_1", talent_id), encoding="utf-8"
    )
    options = ["--bundle", "--format=esm", "--jsx=automatic", "--external:http://*", f"--outfile={directory}/page.js"]
    subprocess.run([node_modules / ".bin" / "esbuild", example, "--log-level=error", *options], check=True)
    (directory / "index.html").write_text(
        '<!doctype html><html lang="en"><title>React</title><div id="root"></div>'
        '<script type="module" src="page.js"></script></html>',
        encoding="utf-8",
    )


def _answer_as_the_apps_backend(service: LiveService, route: Route) -> None:
    """Add the token and pass the request on, as the examples say that an app's own backend does."""
    talent_id = route.request.url.split("/talents/")[1].split("/")[0]
    answer = service.sync(talent_id, force=True)
    route.fulfill(status=answer.status_code, content_type="application/json", body=json.dumps(answer.json()))


@pytest.mark.parametrize("kind", ["plain", "react"])
def test_the_examples_of_the_documentation_show_and_refresh_a_picture(
    kind: str, page: Page, service: LiveService, talent_id: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if kind == "plain":
        _write_plain_page(tmp_path, service, talent_id)
    else:
        _write_react_page(tmp_path, service, talent_id, request.getfixturevalue("node_modules"))
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.route("**/my-backend/**", lambda route: _answer_as_the_apps_backend(service, route))

    with _served(tmp_path) as address:
        page.goto(address, wait_until="networkidle")
        image = page.locator(f"talent-avatar[talent-id={talent_id}] img").first
        assert image.evaluate("image => image.complete && image.naturalWidth > 0")
        assert image.evaluate("image => image.currentSrc").startswith(f"{service.address}/avatars/{talent_id}?size=64")
        expect(image).to_have_attribute("alt", "Ada Lovelace")
        page.get_by_role("button", name="Refresh Photo of Ada Lovelace").click()
        expect(page.locator("output")).to_have_text("Profile photo updated from instagram")

    assert complaints == []


def test_the_element_draws_the_services_initials_where_the_service_cannot_be_reached(
    page: Page, service: LiveService, tmp_path: Path
) -> None:
    names = {"talent_1": "Ada Lovelace", "жук-42": "Жанна Д'Арк", "x" * 70: "山田 太郎"}
    element = (service.anonymous.get("/embed/talent-avatar.js")).text
    (tmp_path / "embed").mkdir()
    (tmp_path / "embed" / "talent-avatar.js").write_text(element, encoding="utf-8")
    avatars = "".join(
        f'<talent-avatar talent-id="{talent_id}" name="{name}" base="http://127.0.0.1:1"></talent-avatar>'
        for talent_id, name in names.items()
    )
    (tmp_path / "index.html").write_text(
        f'<!doctype html><meta charset="utf-8"><script type="module" src="embed/talent-avatar.js"></script>{avatars}',
        encoding="utf-8",
    )

    with _served(tmp_path) as address:
        page.goto(address)
        drawings = page.locator("talent-avatar svg")
        expect(drawings).to_have_count(len(names))
        colours = drawings.locator("rect").evaluate_all("all => all.map((one) => one.getAttribute('fill'))")
        letters = drawings.locator("text").evaluate_all("all => all.map((one) => one.textContent)")
        place = page.locator("talent-avatar").first.bounding_box()

    assert colours == [colours_of(talent_id).background for talent_id in names]
    assert letters == ["AL", "ЖД", "山"]
    assert place is not None
    assert (place["width"], place["height"]) == (64, 64)


def test_the_element_is_small_and_may_be_loaded_from_anywhere(service: LiveService) -> None:
    answer = service.anonymous.get("/embed/talent-avatar.js")

    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert len(answer.content) < 16_000
    again = service.anonymous.get("/embed/talent-avatar.js", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
