"""The token that opens the HTTP API: from the settings, or made once for the embedded default.

What belongs here: finding or making the token, and comparing with it.
What does not: where a request carries it (``callers.py``).
"""

import hmac
import os
import secrets
from hashlib import sha256
from pathlib import Path

from pydantic import SecretStr

from talent_image_pipeline.errors import UserError
from talent_image_pipeline.settings import Settings

API_TOKEN_FILE = "api-token"  # noqa: S105 - the file's name
SHORTEST_TOKEN = 16


class MissingApiTokenError(UserError):
    """There is no usable API token; the message says how to set one."""


def load_api_token(settings: Settings) -> SecretStr:
    """Return the API token; in the embedded default it is made on the first call and kept, readable by its owner alone.

    Raises:
        MissingApiTokenError: when a real database is configured and no token, or when the token is too short to be one.
    """
    if settings.talent_api_token is not None:
        token = settings.talent_api_token.get_secret_value().strip()
        if len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
            raise MissingApiTokenError(
                f"TALENT_API_TOKEN must have at least {SHORTEST_TOKEN} printable ASCII characters and no blanks: "
                "make one with `openssl rand -hex 32`"
            )
        return SecretStr(token)
    if not settings.is_embedded:
        raise MissingApiTokenError(
            "TALENT_API_TOKEN is not set: the HTTP API needs a token as soon as TALENT_DATABASE_URL is set. "
            "Make one with `openssl rand -hex 32`"
        )
    return _token_kept_in(settings.talent_data_dir / API_TOKEN_FILE)


def is_token(candidate: str, token: SecretStr) -> bool:
    """Whether a text is the token, in a time that does not depend on where they differ, nor on their lengths."""
    return hmac.compare_digest(_digest(candidate), _digest(token.get_secret_value()))


def _token_kept_in(file: Path) -> SecretStr:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Written in full under another name first: whoever finds the file finds a whole token in it.
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as opened:  # noqa: PTH123
        opened.write(secrets.token_urlsafe(32) + "\n")
    try:
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    token = file.read_text(encoding="ascii").strip()
    if len(token) < SHORTEST_TOKEN:
        raise MissingApiTokenError(f"{file} holds no token: delete it, and a new one is made")
    return SecretStr(token)


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogateescape")).digest()
