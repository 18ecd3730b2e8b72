"""Where the platforms are and what we show them: the part of the settings that the clients need.

What belongs here: addresses, keys and the agency's own tokens, as a plain value.
What does not: the talents' tokens (they come with each account), and any use of a key (the clients).
"""

from dataclasses import dataclass

from pydantic import SecretStr

from talent_image_pipeline.settings import Settings


@dataclass(frozen=True, kw_only=True)
class PlatformCredentials:
    """Base addresses and keys of every platform. An address may carry a path, which is kept.

    Attributes:
        instagram_business_account_id: The agency's own Instagram account, for looking up others by their handle.
        instagram_business_token: The token of that account.
    """

    instagram_api_url: str
    facebook_api_url: str
    tiktok_api_url: str
    youtube_api_url: str
    instagram_business_account_id: str | None = None
    instagram_business_token: SecretStr | None = None
    tiktok_client_key: SecretStr | None = None
    tiktok_client_secret: SecretStr | None = None
    youtube_api_key: SecretStr | None = None


def credentials_from(settings: Settings) -> PlatformCredentials:
    """Take the platforms' part out of the settings; a blank value counts as none."""
    account_id = (settings.instagram_business_account_id or "").strip()
    return PlatformCredentials(
        instagram_api_url=settings.instagram_api_url,
        facebook_api_url=settings.facebook_api_url,
        tiktok_api_url=settings.tiktok_api_url,
        youtube_api_url=settings.youtube_api_url,
        instagram_business_account_id=account_id or None,
        instagram_business_token=_unless_blank(settings.instagram_business_token),
        tiktok_client_key=_unless_blank(settings.tiktok_client_key),
        tiktok_client_secret=_unless_blank(settings.tiktok_client_secret),
        youtube_api_key=_unless_blank(settings.youtube_api_key),
    )


def _unless_blank(secret: SecretStr | None) -> SecretStr | None:
    if secret is None or not secret.get_secret_value().strip():
        return None
    return SecretStr(secret.get_secret_value().strip())
