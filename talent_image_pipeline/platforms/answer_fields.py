"""Values taken out of answers that nobody vouches for.

What belongs here: checks of type, size and spelling that hold for every network.
What does not: which fields a network has (one file per network beside this one).
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from pydantic import SecretStr

# The longest signed picture address on record has under 1,000 characters.
LONGEST_ADDRESS = 8_192
LONGEST_IDENTIFIER = 200
# No text that a client reads comes near this; searching through a megabyte of one would hold everything else up.
LONGEST_TEXT = 64 * 1_024
# No documented window is longer than a rolling day, so a longer wait is a mistake of the sender.
LONGEST_WAIT = timedelta(hours=24)


def mapping_in(value: Any, *path: str) -> Mapping[str, Any] | None:
    """Follow keys through nested JSON objects; none where one is missing or is no object."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value if isinstance(value, dict) else None


def list_in(value: Any, key: str) -> list[Any]:
    """Return the list under a key of a JSON object; an empty one where there is none."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def text_in(value: Mapping[str, Any], key: str) -> str | None:
    """Return a text that a database can store, stripped; none where it is missing, empty or of another type."""
    found = value.get(key)
    if not isinstance(found, str) or len(found) > LONGEST_TEXT or "\0" in found:
        return None
    try:
        # JSON can spell half of a surrogate pair, which no encoding can write.
        found.encode()
    except UnicodeEncodeError:
        return None
    return found.strip() or None


def identifier_in(value: Mapping[str, Any], key: str) -> str | None:
    """Return an id, which networks write as text or as a number."""
    number = whole_number_in(value, key)
    found = str(number) if number is not None else text_in(value, key)
    return found if found and len(found) <= LONGEST_IDENTIFIER else None


def whole_number_in(value: Mapping[str, Any], key: str) -> int | None:
    """Return a whole number of at most 20 digits; none for anything else."""
    found = value.get(key)
    if isinstance(found, int) and not isinstance(found, bool) and abs(found) < 10**20:
        return found
    return None


def number_in(value: Mapping[str, Any], key: str) -> float | None:
    """Return a finite number that is not negative, also where it is spelled as text; none for anything else."""
    found = value.get(key)
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        return None
    try:
        number = float(found)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0 else None


def time_after(now: datetime, *, seconds: float) -> datetime | None:
    """Return the time so many seconds from now; none where no calendar reaches that far."""
    try:
        return now + timedelta(seconds=seconds)
    except OverflowError:
        return None


def retry_after(headers: Mapping[str, str], *, now: datetime) -> datetime | None:
    """Read ``Retry-After`` in either spelling (RFC 9110, seconds or a date), at most 24 hours ahead."""
    written = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", written):
        return now + min(timedelta(seconds=int(written)), LONGEST_WAIT)
    try:
        date = parsedate_to_datetime(written)
    except (ValueError, IndexError, OverflowError):
        return None
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return min(max(aware, now), now + LONGEST_WAIT)


def address_parts(url: str | None) -> SplitResult | None:
    """Take a web address apart; none where it is no http(s) address of a sane length."""
    if not url or len(url) > LONGEST_ADDRESS or not url.isprintable():
        return None
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname)
    except ValueError:
        return None
    return parts if has_host and parts.scheme in {"http", "https"} else None


def expiry_in(address: SplitResult, parameter: str, *, base: int) -> datetime | None:
    """Read the expiry that a signed address carries: seconds since 1970 in base 10 or 16; the earliest of several.

    More digits than 11 or 9 are beyond the year 4000, and no expiry.
    """
    try:
        spelled = parse_qs(address.query, max_num_fields=100).get(parameter, [])
    except ValueError:
        return None
    digits = r"[0-9a-fA-F]{1,9}" if base == 16 else r"[0-9]{1,11}"
    seconds = [int(text, base) for text in spelled if re.fullmatch(digits, text)]
    return datetime.fromtimestamp(min(seconds), tz=UTC) if seconds else None


def usable_token(token: SecretStr | None) -> str | None:
    """Return the token where a header can carry it: visible ASCII and nothing else."""
    spelled = token.get_secret_value().strip() if token else ""
    return spelled if re.fullmatch(r"[!-~]+", spelled) else None


def page_path(profile_url: str | None, *, hosts: tuple[str, ...]) -> list[str]:
    """Return the decoded path segments of a public page's address, where it is on one of the hosts; else nothing."""
    spelled = (profile_url or "").strip()
    parts = address_parts(spelled if "://" in spelled else f"https://{spelled}")
    if parts is None or (parts.hostname or "").removeprefix("www.").removeprefix("m.") not in hosts:
        return []
    return [unquote(segment).strip() for segment in parts.path.split("/") if segment]
