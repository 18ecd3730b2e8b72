"""The sample talents of the demo: every situation that a newcomer should see, each with a note that says which.

What belongs here: the rows that the demo puts into the app's tables, and the accounts behind them.
What does not: how the situations come about (``world.py`` and the platforms beside it).

Handles are the talents' own on each network; an account that its talent connected has tokens that the sandbox knows,
whichever process of it wrote them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from talent_image_pipeline.sandbox.photographs import Framing
from talent_image_pipeline.sandbox.portraits import Picture
from talent_image_pipeline.sandbox.situations import Network, PictureKind, Situation
from talent_image_pipeline.sandbox.world import (
    Credentials,
    World,
    account_id_of,
    connected_credentials,
    utc_now,
)

_PICTURE_SIDE = 540
#: Who is not in the middle of the own picture, so that there is something to crop.
_FRAMINGS = {
    "talent_jose_nunez": Framing.OFF_CENTER,
    "talent_kenji_sato": Framing.OFF_CENTER,
    "talent_mei_chen": Framing.FULL_BODY,
    "talent_noa_levi": Framing.FULL_BODY,
}
_CONNECTED = timedelta(days=20)
_LONG_AGO = timedelta(days=400)
_MANUAL_PICTURE = "https://pictures.example/olga-petrova.jpg"


@dataclass(frozen=True, kw_only=True)
class SampleAccount:
    """One social account of a sample talent.

    Attributes:
        platform: As the app's row says, in the app's own spelling.
        handle: As the app's row says.
        situation: What is the matter with it upstream.
        consented: How long ago the talent connected it; none when only its handle is known.
        is_connected: Whether the app still shows it as connected.
        letter: The letter of the avatar that the network drew; none for a portrait.
    """

    platform: str
    handle: str
    situation: Situation = Situation.OK
    consented: timedelta | None = None
    is_connected: bool = True
    letter: str | None = None

    @property
    def network(self) -> Network | None:
        """The network that the platform names, or none where the sandbox has no such network."""
        name = self.platform.lower()
        return Network(name) if name in list(Network) else None


@dataclass(frozen=True, kw_only=True)
class SampleTalent:
    """One sample talent: who it is, what it shows, and its accounts."""

    id: str
    name: str
    note: str
    accounts: tuple[SampleAccount, ...] = ()
    display_name: str | None = None
    manual_picture: str | None = None


def _instagram(
    handle: str, situation: Situation = Situation.OK, *, platform: str = "instagram", consented: timedelta = _CONNECTED
) -> SampleAccount:
    return SampleAccount(platform=platform, handle=handle, situation=situation, consented=consented)


def _instagram_handle(handle: str, situation: Situation = Situation.OK) -> SampleAccount:
    return SampleAccount(platform="instagram", handle=handle, situation=situation)


def _tiktok(
    handle: str, situation: Situation = Situation.OK, *, consented: timedelta = timedelta(minutes=1)
) -> SampleAccount:
    return SampleAccount(platform="tiktok", handle=handle, situation=situation, consented=consented)


def _youtube(handle: str, situation: Situation = Situation.OK, *, letter: str | None = None) -> SampleAccount:
    return SampleAccount(platform="youtube", handle=handle, situation=situation, letter=letter)


def _channel(handle: str, situation: Situation = Situation.OK) -> SampleAccount:
    channel_id = account_id_of(Network.YOUTUBE, handle)
    return SampleAccount(platform="youtube", handle=channel_id, situation=situation)


SAMPLES: tuple[SampleTalent, ...] = (
    SampleTalent(
        id="talent_ana_lima",
        name="Ana Lima",
        note="All three networks: Instagram comes first.",
        accounts=(_instagram("ana.lima"), _tiktok("analima"), _youtube("@AnaLima")),
    ),
    SampleTalent(
        id="talent_jose_nunez",
        name="José Núñez",
        note="Instagram alone, its platform in capitals; a token with ten days left is renewed; accented letters.",
        accounts=(_instagram("jose.nunez", platform="INSTAGRAM", consented=timedelta(days=50)),),
    ),
    SampleTalent(
        id="talent_mei_chen",
        name="陈美",
        note="TikTok alone; Chinese.",
        accounts=(_tiktok("meichen"),),
    ),
    SampleTalent(
        id="talent_dmitri_volkov",
        name="Дмитрий Волков",
        note="YouTube alone, by channel id; Cyrillic.",
        accounts=(_channel("dmitrivolkov"),),
    ),
    SampleTalent(
        id="talent_eleni_papadaki",
        name="Ελένη Παπαδάκη",
        note="YouTube alone, by handle; Greek.",
        accounts=(_youtube("@elenipapadaki"),),
    ),
    SampleTalent(
        id="talent_sam_rivers",
        name="Sam Rivers",
        note="A silhouette on Instagram: TikTok is next.",
        accounts=(_instagram("sam.rivers", Situation.SILHOUETTE), _tiktok("samrivers")),
    ),
    SampleTalent(
        id="talent_lucia_romano",
        name="Lucia Romano",
        note="Silhouettes on Instagram and TikTok: YouTube is next.",
        accounts=(
            _instagram("lucia.romano", Situation.NO_PICTURE_FLAG),
            _tiktok("luciaromano", Situation.SILHOUETTE),
            _youtube("@LuciaRomano"),
        ),
    ),
    SampleTalent(
        id="talent_omar_haddad",
        name="عمر حداد",
        note="Instagram's token has expired: the talent must connect again; Arabic.",
        accounts=(SampleAccount(platform="instagram", handle="omar.haddad", consented=timedelta(days=90)),),
    ),
    SampleTalent(
        id="talent_noa_levi",
        name="נועה לוי",
        note="Instagram by handle alone, looked up with the agency's account; Hebrew.",
        accounts=(_instagram_handle("noa.levi"),),
    ),
    SampleTalent(
        id="talent_freya_holm",
        name="Freya Holm",
        note="Instagram by handle alone, written with an @.",
        accounts=(_instagram_handle("@freya.holm"),),
    ),
    SampleTalent(
        id="talent_minjun_kim",
        name="김민준",
        note="The YouTube channel was deleted; Hangul.",
        accounts=(_channel("minjunkim", Situation.DELETED),),
    ),
    SampleTalent(
        id="talent_arjun_mehta",
        name="अर्जुन मेहता",
        note="A personal Instagram account, which a look-up by handle cannot see; Devanagari.",
        accounts=(_instagram_handle("arjun.mehta", Situation.PRIVATE),),
    ),
    SampleTalent(
        id="talent_zoe_martin",
        name="Zoé Martin",
        note="Instagram says that there were too many calls; TikTok's picture shows meanwhile.",
        accounts=(_instagram("zoe.martin", Situation.RATE_LIMITED), _tiktok("zoemartin")),
    ),
    SampleTalent(
        id="talent_liam_oconnor",
        name="Liam O'Connor",
        note="Instagram answers with an error page.",
        accounts=(_instagram("liam.oconnor", Situation.OUTAGE),),
    ),
    SampleTalent(
        id="talent_olga_petrova",
        name="Olga Petrova",
        note="A picture that a person set by hand: never touched.",
        accounts=(_instagram("olga.petrova"),),
        manual_picture=_MANUAL_PICTURE,
    ),
    SampleTalent(
        id="talent_kenji_sato",
        name="佐藤健二",
        note="Instagram was just disconnected: TikTok is next; Japanese.",
        accounts=(
            SampleAccount(platform="instagram", handle="kenji.sato", consented=_CONNECTED, is_connected=False),
            _tiktok("kenjisato"),
        ),
    ),
    SampleTalent(id="talent_maya_stone", name="Maya Stone", note="No account at all: initials."),
    SampleTalent(
        id="talent_paul_weber",
        name="Paul Weber",
        note="LinkedIn alone, which the pipeline does not read: ignored.",
        accounts=(SampleAccount(platform="LINKEDIN", handle="paul-weber"),),
    ),
    SampleTalent(
        id="talent_grace_adeyemi",
        name="Grace Adeyemi",
        note="YouTube's letter avatar counts as no picture: initials.",
        accounts=(_youtube("@GraceAdeyemi", letter="G"),),
    ),
    SampleTalent(
        id="talent_siriporn_chai",
        name="ศิริพร ใจดี",
        note="TikTok's token has run out and is renewed before the read; Thai.",
        accounts=(_tiktok("siripornchai", consented=timedelta(days=3)),),
    ),
    SampleTalent(
        id="talent_bruno_costa",
        name="Bruno Costa",
        note="The talent's consent on TikTok has ended: the talent must connect again.",
        accounts=(_tiktok("brunocosta", consented=_LONG_AGO),),
    ),
    SampleTalent(
        id="talent_cher",
        name="Cherie",
        note="A single name; Instagram has no picture, nothing else is connected.",
        accounts=(_instagram("cherie", Situation.NO_PICTURE),),
    ),
    SampleTalent(
        id="talent_emoji",
        name="🦊🌟",
        note="Nothing but emoji for a name; a TikTok account without a token.",
        accounts=(SampleAccount(platform="tiktok", handle="foxstar"),),
    ),
    SampleTalent(
        id="talent_ines_duarte",
        name="Inês Duarte",
        note="TikTok was connected without the permission to read the profile: the talent must connect again.",
        accounts=(_tiktok("inesduarte", Situation.SCOPE_MISSING),),
    ),
    SampleTalent(
        id="talent_tom_becker",
        name="Tom Becker",
        note="The app was removed on Instagram; the YouTube channel shows meanwhile.",
        accounts=(_instagram("tom.becker", Situation.APP_REMOVED), _youtube("@TomBecker")),
        display_name="DJ Becker",
    ),
)


def sample_talents() -> list[dict[str, Any]]:
    """Return the rows for the app's ``"Talent"`` table, by column name; moments are aware."""
    now = utc_now()
    return [_talent_row(sample, now) for sample in SAMPLES]


def sample_accounts() -> list[dict[str, Any]]:
    """Return the rows for the app's ``"SocialAccountConnection"`` table, by column name; moments are aware."""
    now = utc_now()
    return [_account_row(sample, account, now) for sample in SAMPLES for account in sample.accounts]


def sample_notes() -> dict[str, str]:
    """Return what each sample talent shows, by the talent's id."""
    return {sample.id: sample.note for sample in SAMPLES}


def build_sample_world(state_file: Path | None = None) -> World:
    """Return a world with the sample talents' accounts.

    Args:
        state_file: Where rotated tokens are kept over restarts; none keeps them in memory alone.
    """
    world = World(state_file=state_file)
    for sample in SAMPLES:
        for account in sample.accounts:
            _add(world, sample, account)
    return world


def _add(world: World, sample: SampleTalent, account: SampleAccount) -> None:
    network = account.network
    if network is None:
        return
    handle = _upstream_handle(account)
    seed = SAMPLES.index(sample) * 3 + list(Network).index(network) + 1
    framing = _FRAMINGS.get(sample.id, Framing.CLOSE)
    picture = Picture(kind=PictureKind.PHOTOGRAPH, seed=seed, size=_PICTURE_SIDE, framing=framing)
    if account.letter is not None:
        picture = Picture(kind=PictureKind.LETTER, seed=seed, size=800, letter=account.letter, image_format="PNG")
    world.add_account(network, handle, name=sample.name, picture=picture, situation=account.situation)


def _upstream_handle(account: SampleAccount) -> str:
    """Return the handle behind an account; a channel that is stored by its id is named as in the talent's list."""
    return _CHANNEL_HANDLES.get(account.handle, account.handle)


_CHANNEL_HANDLES = {account_id_of(Network.YOUTUBE, name): name for name in ("dmitrivolkov", "minjunkim")}


def _talent_row(sample: SampleTalent, now: datetime) -> dict[str, Any]:
    return {
        "id": sample.id,
        "userId": sample.id.replace("talent_", "user_"),
        "name": sample.name,
        "displayName": sample.display_name,
        "status": "ACTIVE",
        "profileImageUrl": sample.manual_picture,
        "profileImageSource": "manual" if sample.manual_picture else "initials",
        "lastProfileImageSyncAt": None,
        "createdAt": now,
        "updatedAt": now,
    }


def _account_row(sample: SampleTalent, account: SampleAccount, now: datetime) -> dict[str, Any]:
    tokens = _tokens(account, now)
    return {
        "id": f"account_{sample.id.removeprefix('talent_')}_{account.platform.lower()}",
        "creatorId": sample.id,
        "platform": account.platform,
        "handle": account.handle,
        "profileUrl": None,
        "connected": account.is_connected,
        "connectionType": "OAUTH" if tokens else "MANUAL",
        "syncStatus": "PENDING",
        "accessToken": tokens.access_token if tokens else None,
        "refreshToken": tokens.refresh_token if tokens else None,
        "expiresAt": tokens.expires_at if tokens else None,
        "createdAt": now,
        "updatedAt": now,
    }


def _tokens(account: SampleAccount, now: datetime) -> Credentials | None:
    if account.network is None or account.consented is None:
        return None
    account_id = account_id_of(account.network, account.handle)
    return connected_credentials(account.network, account_id, consented_at=now - account.consented)
