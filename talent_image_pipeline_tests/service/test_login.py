"""The login of the pages: the cookie, where it leads, and what it refuses."""

import httpx
from hypothesis import given
from hypothesis import strategies as st

from talent_image_pipeline.service.pages.login import safe_path
from talent_image_pipeline.service.sessions import SESSION_COOKIE
from talent_image_pipeline_tests.service.live_service import API_TOKEN, LiveService


def _log_in(service: LiveService, **fields: str) -> httpx.Response:
    return httpx.post(f"{service.address}/login", data={"token": API_TOKEN, **fields}, timeout=60)


def test_the_token_opens_a_session_that_scripts_cannot_read_and_that_ends(service: LiveService) -> None:
    answer = _log_in(service, next="/stats")

    assert answer.status_code == 303
    assert answer.headers["location"] == "/stats"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{SESSION_COOKIE}=")
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
    assert "Max-Age=43200" in cookie
    assert API_TOKEN not in cookie


def test_the_cookie_is_for_https_alone_where_the_service_is(service: LiveService) -> None:
    assert "Secure" not in _log_in(service).headers["set-cookie"]


def test_a_wrong_token_opens_nothing(service: LiveService) -> None:
    answer = _log_in(service, token="guessed")

    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert "guessed" not in answer.text


def test_a_form_larger_than_ours_is_not_read(service: LiveService) -> None:
    assert _log_in(service, next="/" + "x" * 10_000).status_code == 403


def test_another_site_cannot_log_anybody_out(service: LiveService) -> None:
    with httpx.Client(base_url=service.address) as client:
        client.post("/login", data={"token": API_TOKEN})
        client.post("/logout", data={"csrf_token": "guessed"})
        assert client.get("/stats").status_code == 200


def test_pages_allow_nothing_inline_and_nobody_frames_them(service: LiveService) -> None:
    answer = httpx.get(f"{service.address}/login", timeout=60)

    policy = answer.headers["content-security-policy"]
    assert "unsafe-inline" not in policy
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert " style=" not in answer.text


@given(st.text(max_size=40) | st.sampled_from(["//evil.example", "/\\evil.example", "https://evil.example", "/login"]))
def test_the_login_never_leads_to_another_site(wanted: str) -> None:
    path = safe_path(wanted)

    assert httpx.URL("http://service.example").join(path).host == "service.example"
    assert path.startswith("/")
