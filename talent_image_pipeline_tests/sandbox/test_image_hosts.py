"""The image hosts: signed addresses that expire, unsigned ones that do not, and pictures that are broken.

What belongs here: what comes back for a picture's address. What does not: what the APIs say.
"""

import io
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from PIL import Image

from talent_image_pipeline.sandbox.portraits import Picture
from talent_image_pipeline.sandbox.server import RunningSandbox
from talent_image_pipeline.sandbox.situations import Network, PictureKind, Platform, Situation
from talent_image_pipeline.sandbox.world import World, account_id_of
from talent_image_pipeline_tests.sandbox.calling import list_channels, read_instagram, read_tiktok


@pytest.fixture(autouse=True)
def _ana_everywhere(world: World) -> None:
    for network in Network:
        world.add_account(network, "ana", picture=Picture(seed=7, size=320))


def instagram(sandbox: RunningSandbox, client: httpx.Client) -> str:
    return str(read_instagram(sandbox, client, "ana").json()["profile_picture_url"])


def tiktok(sandbox: RunningSandbox, client: httpx.Client, field: str = "avatar_large_url") -> str:
    return str(read_tiktok(sandbox, client, "ana").json()["data"]["user"][field])


def youtube(sandbox: RunningSandbox, client: httpx.Client, size: str = "high") -> str:
    answer = list_channels(sandbox, client, id=account_id_of(Network.YOUTUBE, "ana"))
    return str(answer.json()["items"][0]["snippet"]["thumbnails"][size]["url"])


SIGNED = pytest.mark.parametrize("address_of", [instagram, tiktok])
EVERY = pytest.mark.parametrize("address_of", [instagram, tiktok, youtube])


def image_in(answer: httpx.Response) -> Image.Image:
    image = Image.open(io.BytesIO(answer.content))
    image.load()
    return image


@EVERY
def test_an_address_leads_to_a_real_picture(
    sandbox: RunningSandbox, client: httpx.Client, address_of: Callable[..., str]
) -> None:
    answer = client.get(address_of(sandbox, client))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert (image_in(answer).format, image_in(answer).size) == ("JPEG", (320, 320))


@SIGNED
def test_every_read_signs_anew_while_the_pictures_own_name_stays(
    sandbox: RunningSandbox, client: httpx.Client, address_of: Callable[..., str]
) -> None:
    addresses = {address_of(sandbox, client) for _ in range(5)}
    assert len(addresses) == 5
    assert len({urlsplit(address).path.rpartition("/")[2] for address in addresses}) == 1


@SIGNED
def test_an_altered_address_is_refused(
    sandbox: RunningSandbox, client: httpx.Client, address_of: Callable[..., str]
) -> None:
    address = address_of(sandbox, client)
    other_host = address.replace("cdninstagram", "x.cdninstagram").replace("p77-sign", "p16-sign")
    altered = [address + "&stp=dst-webp", other_host.replace("1080x1080", "720x720") + "0"]
    for one in altered:
        answer = client.get(one)
        assert (answer.status_code, answer.text) == (403, "URL signature mismatch")
        assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("address_of", "lifetime"), [(instagram, timedelta(days=4, hours=12)), (tiktok, timedelta(hours=48))]
)
def test_an_address_expires_when_it_says_so(
    sandbox: RunningSandbox, client: httpx.Client, address_of: Callable[..., str], lifetime: timedelta
) -> None:
    address = address_of(sandbox, client)
    query = parse_qs(urlsplit(address).query)
    expires = int(query["oe"][0], 16) if "oe" in query else int(query["x-expires"][0])
    left = timedelta(seconds=expires - sandbox.world.now().timestamp())
    assert lifetime - timedelta(hours=1) <= left <= lifetime
    sandbox.world.clock_offset = left - timedelta(seconds=30)
    assert client.get(address).status_code == 200
    sandbox.world.clock_offset = left + timedelta(seconds=30)
    answer = client.get(address)
    assert (answer.status_code, answer.text) == (403, "URL signature expired")


def test_tiktoks_addresses_expire_on_a_full_hour(sandbox: RunningSandbox, client: httpx.Client) -> None:
    query = parse_qs(urlsplit(tiktok(sandbox, client)).query)
    assert int(query["x-expires"][0]) % 3_600 == 0


def test_tiktoks_sizes_are_what_their_paths_say(sandbox: RunningSandbox, client: httpx.Client) -> None:
    assert image_in(client.get(tiktok(sandbox, client, "avatar_url_100"))).size == (100, 100)
    assert image_in(client.get(tiktok(sandbox, client, "avatar_url"))).size == (168, 168)


def test_youtubes_sizes_are_a_directive_and_nothing_is_scaled_up(sandbox: RunningSandbox, client: httpx.Client) -> None:
    address = youtube(sandbox, client, "default")
    assert image_in(client.get(address)).size == (88, 88)
    assert image_in(client.get(address.replace("=s88", "=s200"))).size == (200, 200)
    assert image_in(client.get(address.replace("=s88", "=s0"))).size == (320, 320)
    assert image_in(client.get(address.replace("-no-rj", "-no-rj-rw"))).format == "WEBP"


def test_youtubes_addresses_stay_the_same_and_never_expire(sandbox: RunningSandbox, client: httpx.Client) -> None:
    address = youtube(sandbox, client)
    sandbox.world.clock_offset = timedelta(days=2_000)
    assert youtube(sandbox, client) == address
    assert client.get(address).status_code == 200


def test_a_picture_that_is_known_by_its_etag_is_not_sent_again(sandbox: RunningSandbox, client: httpx.Client) -> None:
    address = youtube(sandbox, client)
    etag = client.get(address).headers["etag"]
    again = client.get(address, headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    sandbox.world.upload_new_picture(Network.YOUTUBE, "ana")
    assert client.get(youtube(sandbox, client), headers={"If-None-Match": etag}).status_code == 200


@EVERY
def test_a_new_upload_has_another_id_and_other_bytes(
    sandbox: RunningSandbox, client: httpx.Client, address_of: Callable[..., str]
) -> None:
    before = address_of(sandbox, client)
    old = client.get(before)
    for network in Network:
        sandbox.world.upload_new_picture(network, "ana")
    after = address_of(sandbox, client)
    assert urlsplit(after).path.rpartition("/")[2] != urlsplit(before).path.rpartition("/")[2]
    assert client.get(after).content != old.content
    assert client.get(before).content == old.content


def test_ids_that_nobody_has_are_not_found(sandbox: RunningSandbox, client: httpx.Client) -> None:
    for path in ("yt3.ggpht.com/ytc/AMLnZuNobody=s88-c-k", "yt3.ggpht.com/ytc/AMLnZuNobody", "other.example/a/b"):
        assert client.get(f"{sandbox.origin}/{path}").status_code == 404


def test_pictures_are_not_posted_to(sandbox: RunningSandbox, client: httpx.Client) -> None:
    answer = client.post(instagram(sandbox, client))
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (400, "text/html")


def trouble(sandbox: RunningSandbox, client: httpx.Client, situation: Situation) -> httpx.Response:
    sandbox.world.set_situation(Network.INSTAGRAM, "ana", situation, redirect_to="http://127.0.0.1:1/elsewhere")
    return client.get(instagram(sandbox, client))


def test_a_truncated_picture_cannot_be_decoded_although_its_length_matches(
    sandbox: RunningSandbox, client: httpx.Client
) -> None:
    answer = trouble(sandbox, client, Situation.PICTURE_TRUNCATED)
    assert int(answer.headers["content-length"]) == len(answer.content)
    with pytest.raises(OSError, match="truncated"):
        image_in(answer)


@pytest.mark.parametrize(
    ("situation", "status", "content_type", "beginning"),
    [
        (Situation.PICTURE_IS_HTML, 200, "image/jpeg", b"<!DOCTYPE html>"),
        (Situation.PICTURE_IS_SVG, 200, "image/png", b"<svg"),
        (Situation.PICTURE_WRONG_TYPE, 200, "application/octet-stream", b"\xff\xd8\xff"),
        (Situation.PICTURE_EXPIRED, 403, "text/plain", b"URL signature expired"),
        (Situation.PICTURE_MISMATCH, 403, "text/plain", b"URL signature mismatch"),
        (Situation.PICTURE_NOT_FOUND, 404, "text/plain", b""),
        (Situation.PICTURE_OUTAGE, 503, "text/html", b"<!DOCTYPE html>"),
        (Situation.PICTURE_EMPTY, 200, "image/jpeg", b""),
    ],
)
def test_each_broken_picture_is_broken_as_it_says(
    sandbox: RunningSandbox,
    client: httpx.Client,
    situation: Situation,
    status: int,
    content_type: str,
    beginning: bytes,
) -> None:
    answer = trouble(sandbox, client, situation)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (status, content_type)
    assert answer.content.startswith(beginning)
    assert situation is not Situation.PICTURE_EMPTY or answer.content == b""


def test_a_redirect_leads_where_it_was_told(sandbox: RunningSandbox, client: httpx.Client) -> None:
    answer = trouble(sandbox, client, Situation.PICTURE_REDIRECT)
    assert (answer.status_code, answer.headers["location"]) == (302, "http://127.0.0.1:1/elsewhere")


def test_a_cut_picture_ends_before_its_length(sandbox: RunningSandbox, client: httpx.Client) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        trouble(sandbox, client, Situation.PICTURE_RESET)


@pytest.mark.parametrize("is_declared", [True, False])
def test_an_oversized_picture_goes_on_for_64_mib(
    sandbox: RunningSandbox, client: httpx.Client, is_declared: bool
) -> None:
    situation = Situation.PICTURE_OVERSIZED if is_declared else Situation.PICTURE_OVERSIZED_UNDECLARED
    sandbox.world.set_situation(Network.INSTAGRAM, "ana", situation)
    with client.stream("GET", instagram(sandbox, client)) as answer:
        assert answer.headers.get("content-length") == ("67108864" if is_declared else None)
        assert sum(len(chunk) for chunk in answer.iter_bytes()) == 64 * 1024 * 1024


def test_a_trickling_picture_comes_byte_by_byte_and_does_not_hold_up_the_end(
    sandbox: RunningSandbox, client: httpx.Client
) -> None:
    sandbox.world.set_situation(Network.INSTAGRAM, "ana", Situation.PICTURE_TRICKLE)
    with client.stream("GET", instagram(sandbox, client)) as answer:
        assert len(next(answer.iter_raw())) == 1


def test_thousands_of_accounts_get_distinct_pictures(sandbox: RunningSandbox, client: httpx.Client) -> None:
    sandbox.world.add_bulk(Network.INSTAGRAM, 3_000, prefix="many", picture_size=320)
    bodies = set()
    for number in range(0, 3_000, 100):
        user = read_instagram(sandbox, client, f"many_{number:05d}").json()
        bodies.add(client.get(user["profile_picture_url"]).content)
    assert len(bodies) == 30


def test_a_letter_avatar_has_no_mark_of_its_own(sandbox: RunningSandbox, client: httpx.Client) -> None:
    picture = Picture(kind=PictureKind.LETTER, letter="B", size=800, image_format="PNG")
    sandbox.world.add_account(Network.YOUTUBE, "ben", picture=picture)
    answer = list_channels(sandbox, client, id=account_id_of(Network.YOUTUBE, "ben"))
    address = answer.json()["items"][0]["snippet"]["thumbnails"]["high"]["url"]
    assert "/ytc/AMLnZu" in address
    assert image_in(client.get(address)).format == "PNG"


def test_latency_is_what_it_is_set_to(sandbox: RunningSandbox, client: httpx.Client) -> None:
    address = instagram(sandbox, client)
    sandbox.world.platforms[Platform.INSTAGRAM].image_latency = 0.5
    with pytest.raises(httpx.ReadTimeout):
        client.get(address, timeout=0.1)
    assert client.get(address, timeout=30).status_code == 200


@EVERY
def test_downloads_are_counted_for_their_account(
    sandbox: RunningSandbox, client: httpx.Client, address_of: Callable[..., str]
) -> None:
    client.get(address_of(sandbox, client))
    network = {instagram: "instagram", tiktok: "tiktok", youtube: "youtube"}[address_of]
    assert sandbox.world.calls.counts()[f"{network}.picture"] == {"ana": 1}
