"""The networks' image hosts: addresses of pictures, signed where the network signs them, and the pictures behind.

What belongs here: content ids, signatures, expiry, sizes, caching headers and everything that can be wrong with a
picture.
What does not: drawing (``portraits.py``).

Instagram's and TikTok's addresses are signed and expire; another one is handed out at each read, with the same content
id. YouTube's are unsigned, live on, and take a size directive.
"""

import asyncio
import base64
import hashlib
import hmac
import re
import secrets
import zlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qsl, quote, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from talent_image_pipeline.sandbox.answers import CutAnswer, endless, error_page, trickle
from talent_image_pipeline.sandbox.portraits import Picture, encoded
from talent_image_pipeline.sandbox.situations import Network, PictureKind, Platform, Situation
from talent_image_pipeline.sandbox.tokens import digest_number, sign
from talent_image_pipeline.sandbox.world import Account, Trouble, World

INSTAGRAM_LIFETIME = timedelta(days=4, hours=12)
TIKTOK_LIFETIME = timedelta(hours=48)

INSTAGRAM_SILHOUETTE = "44884218_345707102882519_2446069589734326272_n"
TIKTOK_SILHOUETTE = "1594805258216454"
YOUTUBE_SILHOUETTE = "default-user"

_INSTAGRAM_POPS = ("nrt1-1", "ams2-1", "fra5-2", "iad3-1", "gru2-1")
_TIKTOK_HOSTS = ("p16-sign-va.tiktokcdn.com", "p77-sign-va.tiktokcdn.com", "p16-sign-sg.tiktokcdn.com")
_TIKTOK_BUCKET = "tos-maliva-avt-0068"
_TIKTOK_OLD_BUCKET = "musically-maliva-obj"
_TIKTOK_FILE = re.compile(r"(?P<object>[^/~]+)~c5_(?P<side>[0-9]{2,4})x(?P=side)\.jpeg")
_YOUTUBE_FILE = re.compile(r"(?P<id>[A-Za-z0-9_-]+)=s(?P<side>[0-9]{1,4})(?P<directives>(-[A-Za-z0-9]+)*)")
_YOUTUBE_DIRECTIVES = "-c-k-c0x00ffffff-no-rj"
_SILHOUETTES = {
    Network.INSTAGRAM: INSTAGRAM_SILHOUETTE,
    Network.TIKTOK: TIKTOK_SILHOUETTE,
    Network.YOUTUBE: YOUTUBE_SILHOUETTE,
}
_LARGEST = {Network.INSTAGRAM: 1080, Network.TIKTOK: 1080}
_HTML = b"<!DOCTYPE html><html><body><script>alert(1)</script><p>Log in to continue.</p></body></html>"
_SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="256" height="256"><script>alert(1)</script></svg>'


def shown_picture(account: Account) -> Picture:
    """Return the picture that the network shows for an account: its own, or a grey silhouette."""
    if account.trouble.situation in (Situation.SILHOUETTE, Situation.NO_PICTURE, Situation.NO_PICTURE_FLAG):
        return replace(account.picture, kind=PictureKind.SILHOUETTE, seed=0, size=640, upload=0)
    return account.picture


def content_id(account: Account) -> str:
    """Return the id under which the network's image host has the account's picture."""
    picture = shown_picture(account)
    if picture.kind is PictureKind.SILHOUETTE and account.trouble.situation is not Situation.NO_PICTURE_FLAG:
        return _SILHOUETTES[account.network]
    look = f"{account.network}/{account.handle}/{picture.kind}/{picture.seed}/{picture.upload}"
    if account.network is Network.INSTAGRAM:
        return f"{digest_number(look, 9)}_{digest_number('2' + look, 15)}_{digest_number('3' + look, 19)}_n"
    digest = hashlib.sha256(look.encode()).digest()
    if account.network is Network.TIKTOK:
        return digest.hex()[:32]
    return "AMLnZu" + base64.urlsafe_b64encode(digest[:24]).decode()


def instagram_address(world: World, account: Account, *, origin: str) -> str:
    """Return a freshly signed address; host, expiry and signature differ at each call."""
    name = content_id(account)
    world.keep_upload(account, name, shown_picture(account))
    host = f"scontent-{secrets.choice(_INSTAGRAM_POPS)}.cdninstagram.com"
    path = f"/{host}/v/t51.2885-15/{name}.jpg"
    query = {
        "_nc_cat": "105",
        "ccb": "1-7",
        "_nc_sid": "7d201b",
        "_nc_ohc": secrets.token_urlsafe(17),
        "_nc_ht": host,
        "edm": "AL-3X8kEAAAA",
        "oe": f"{int((world.now() + INSTAGRAM_LIFETIME).timestamp()):X}",
    }
    query["oh"] = _signature(path, query).hex()
    return f"{origin}{path}?{urlencode(query)}"


def tiktok_address(world: World, account: Account, *, origin: str, side: int) -> str:
    """Return a freshly signed address for a side in pixels; it expires on a full hour within 48 hours."""
    name = content_id(account)
    world.keep_upload(account, name, shown_picture(account))
    bucket = _TIKTOK_OLD_BUCKET if name == TIKTOK_SILHOUETTE else _TIKTOK_BUCKET
    path = f"/{secrets.choice(_TIKTOK_HOSTS)}/{bucket}/{name}~c5_{side}x{side}.jpeg"
    expires = int((world.now() + TIKTOK_LIFETIME).timestamp()) // 3_600 * 3_600
    query = {
        "lk3s": "a5d48078",
        "nonce": str(secrets.randbelow(90_000) + 10_000),
        # Named so by TikTok; it is no OAuth token.
        "refresh_token": secrets.token_hex(16),
        "x-expires": str(expires),
        "shp": "a5d48078",
        "idc": "maliva",
    }
    query["x-signature"] = base64.b64encode(_signature(path, query)).decode()
    return f"{origin}{path}?{urlencode(query)}"


def youtube_address(world: World, account: Account, *, origin: str, side: int) -> str:
    """Return the picture's address for a side in pixels: unsigned, without an end."""
    name = content_id(account)
    world.keep_upload(account, name, shown_picture(account))
    folder = "a" if name == YOUTUBE_SILHOUETTE else "ytc"
    return f"{origin}/yt3.ggpht.com/{folder}/{quote(name)}=s{side}{_YOUTUBE_DIRECTIVES}"


async def instagram_picture(world: World, request: Request) -> Response:
    """Answer a request to Instagram's image host."""
    name = request.path_params["file"].removesuffix(".jpg")
    refusal = _refusal(world, request, signature_key="oh", expiry_key="oe", base=16)
    return await _answer(world, Network.INSTAGRAM, name=name, refusal=refusal)


async def tiktok_picture(world: World, request: Request) -> Response:
    """Answer a request to TikTok's image host, at the side that is part of the signed path."""
    match = _TIKTOK_FILE.fullmatch(request.path_params["file"])
    refusal = _refusal(world, request, signature_key="x-signature", expiry_key="x-expires", base=10)
    if match is None:
        return refusal or PlainTextResponse("Not Found", status_code=404)
    return await _answer(world, Network.TIKTOK, name=match["object"], side=int(match["side"]), refusal=refusal)


async def youtube_picture(world: World, request: Request) -> Response:
    """Answer a request to YouTube's image host: any size up to the upload's own, ETag and 304."""
    match = _YOUTUBE_FILE.fullmatch(request.path_params["file"])
    if match is None:
        return PlainTextResponse("Not Found", status_code=404)
    answer = await _answer(
        world,
        Network.YOUTUBE,
        name=match["id"],
        side=int(match["side"]) or 4096,
        wants_webp="-rw" in match["directives"],
    )
    etag = answer.headers.get("etag")
    if etag is not None and request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers={"etag": etag, "cache-control": answer.headers["cache-control"]})
    return answer


async def _answer(
    world: World,
    network: Network,
    *,
    name: str,
    side: int = 1080,
    wants_webp: bool = False,
    refusal: Response | None = None,
) -> Response:
    """Count the request, wait as long as pictures take, and return the picture or what is wrong with it."""
    state = world.platforms[Platform(network)]
    found = world.upload(network, name)
    world.calls.record(f"{network}.picture", found[0].handle if found else "")
    if state.image_latency:
        await asyncio.sleep(state.image_latency)
    if refusal is not None:
        return refusal
    if found is None:
        return PlainTextResponse("Not Found", status_code=404)
    account, picture = found
    picture = replace(picture, image_format="WEBP") if wants_webp else picture
    body = await _encoded(picture, min(side, _LARGEST.get(network, side)))
    wrong = await _faulty_picture(world.trouble_of(Platform(network), account), body, picture.content_type)
    return wrong or Response(body, headers=_caching(network, body), media_type=picture.content_type)


async def _encoded(picture: Picture, side: int) -> bytes:
    if picture.kind is PictureKind.CROWD:
        return encoded(picture, side)
    return await run_in_threadpool(encoded, picture, side)


def _caching(network: Network, body: bytes) -> dict[str, str]:
    if network is Network.YOUTUBE:
        return {
            "cache-control": "public, max-age=86400, no-transform",
            "etag": f'"v{hashlib.sha256(body).hexdigest()[:8]}"',
            "access-control-allow-origin": "*",
            "vary": "Origin",
            "content-disposition": "inline",
        }
    if network is Network.INSTAGRAM:
        return {
            "cache-control": "max-age=1209600, no-transform",
            "last-modified": "Thu, 01 Oct 2026 08:00:00 GMT",
            "content-digest": f"adler32={zlib.adler32(body)}",
        }
    return {"cache-control": "max-age=31536000"}


async def _faulty_picture(trouble: Trouble, body: bytes, content_type: str) -> Response | None:
    """Return what the image host sends in place of a sound picture; none when it is sound, after its delay."""
    situation = trouble.situation
    if not situation.startswith("picture_"):
        return None
    if situation is Situation.PICTURE_SLOW:
        await asyncio.sleep(trouble.seconds)
        return None
    if situation is Situation.PICTURE_REDIRECT:
        return RedirectResponse(trouble.redirect_to, status_code=302)
    if situation is Situation.PICTURE_RESET:
        return CutAnswer(body[: len(body) // 2], promised=len(body), content_type=content_type)
    if situation is Situation.PICTURE_TRICKLE:
        return trickle(body, content_type=content_type)
    if situation in (Situation.PICTURE_OVERSIZED, Situation.PICTURE_OVERSIZED_UNDECLARED):
        is_declared = situation is Situation.PICTURE_OVERSIZED
        return endless(content_type=content_type, beginning=body, says_so=is_declared)
    return _plain_faults(body, content_type).get(situation)


def _plain_faults(body: bytes, content_type: str) -> Mapping[Situation, Response]:
    return {
        Situation.PICTURE_TRUNCATED: Response(body[: len(body) // 2], media_type=content_type),
        Situation.PICTURE_IS_HTML: Response(_HTML, media_type="image/jpeg"),
        Situation.PICTURE_IS_SVG: Response(_SVG, media_type="image/png"),
        Situation.PICTURE_WRONG_TYPE: Response(body, media_type="application/octet-stream"),
        Situation.PICTURE_EXPIRED: _signature_expired(),
        Situation.PICTURE_MISMATCH: _signature_mismatch(),
        Situation.PICTURE_NOT_FOUND: PlainTextResponse("Not Found", status_code=404),
        Situation.PICTURE_OUTAGE: error_page(503),
        Situation.PICTURE_EMPTY: Response(b"", media_type=content_type),
    }


def _signature_expired() -> Response:
    return PlainTextResponse("URL signature expired", status_code=403)


def _signature_mismatch() -> Response:
    return PlainTextResponse("URL signature mismatch", status_code=403)


def _signature(path: str, query: Mapping[str, str]) -> bytes:
    return sign(f"{path}?{urlencode(sorted(query.items()))}")


def _refusal(world: World, request: Request, *, signature_key: str, expiry_key: str, base: int) -> Response | None:
    """Return the refusal of an address that was altered or has expired; none for a good one."""
    query = dict(parse_qsl(request.url.query))
    given = query.pop(signature_key, "")
    signature = _signature(request.url.path, query)
    expected = signature.hex() if base == 16 else base64.b64encode(signature).decode()
    if not hmac.compare_digest(given.encode(), expected.encode()):
        return _signature_mismatch()
    if int(query[expiry_key], base) <= world.now().timestamp():
        return _signature_expired()
    return None
