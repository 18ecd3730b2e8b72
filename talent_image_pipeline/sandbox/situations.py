"""What can be the matter with an account or a platform of the sandbox, each with a sentence for a newcomer.

What belongs here: the closed lists of networks, hosts and situations.
What does not: how a network answers in a situation (its own file beside this one).
"""

from enum import StrEnum


class Network(StrEnum):
    """The networks whose accounts the sandbox holds."""

    INSTAGRAM = "instagram"
    TIKTOK = "tiktok"
    YOUTUBE = "youtube"


class Platform(StrEnum):
    """The APIs that the sandbox speaks. Instagram has two: own token, and Facebook's for reading by handle or id."""

    INSTAGRAM = "instagram"
    FACEBOOK = "facebook"
    TIKTOK = "tiktok"
    YOUTUBE = "youtube"


class Situation(StrEnum):
    """What is the matter with one account, or with a whole platform."""

    OK = "ok"

    NO_PICTURE = "no_picture"
    NO_PICTURE_FLAG = "no_picture_flag"
    SILHOUETTE = "silhouette"
    PICTURE_LEFT_OUT = "picture_left_out"
    PICTURE_PROMISED = "picture_promised"

    TOKEN_EXPIRED = "token_expired"  # noqa: S105
    TOKEN_INVALID = "token_invalid"  # noqa: S105
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    APP_REMOVED = "app_removed"
    CHECKPOINT = "checkpoint"
    UNCONFIRMED = "unconfirmed"
    SCOPE_MISSING = "scope_missing"
    WRONG_ACCOUNT = "wrong_account"
    WRONG_KIND_OF_TOKEN = "wrong_kind_of_token"  # noqa: S105
    NEW_OPEN_ID = "new_open_id"
    ID_LEFT_OUT = "id_left_out"
    APP_BLOCKED = "app_blocked"

    DELETED = "deleted"
    PRIVATE = "private"
    CHANNEL_REFUSED = "channel_refused"
    WRONG_HANDLE = "wrong_handle"
    REORDERED = "reordered"

    RATE_LIMITED = "rate_limited"
    USER_LIMIT = "user_limit"
    PAGE_LIMIT = "page_limit"
    CUSTOM_LIMIT = "custom_limit"
    POLICY_BLOCK = "policy_block"
    ADS_LIMITED = "ads_limited"

    API_ERROR = "api_error"
    FIELD_REMOVED = "field_removed"
    KEY_INVALID = "key_invalid"
    API_NOT_ENABLED = "api_not_enabled"

    OUTAGE = "outage"
    BAD_GATEWAY = "bad_gateway"
    SERVER_ERROR = "server_error"
    TRANSIENT = "transient"
    ERROR_IN_200 = "error_in_200"
    SLOW = "slow"
    RESET = "reset"
    NONSENSE = "nonsense"
    TRUNCATED_BODY = "truncated_body"
    HUGE_BODY = "huge_body"
    API_REDIRECT = "api_redirect"
    COMPRESSED = "compressed"

    REFRESH_ANSWER_LOST = "refresh_answer_lost"
    REFRESH_ANSWER_SLOW = "refresh_answer_slow"
    REFRESH_REQUEST_LOST = "refresh_request_lost"
    REFRESH_REFUSED = "refresh_refused"
    REFRESH_OUTAGE = "refresh_outage"
    REFRESH_ERROR = "refresh_error"

    PICTURE_TRUNCATED = "picture_truncated"
    PICTURE_IS_HTML = "picture_is_html"
    PICTURE_IS_SVG = "picture_is_svg"
    PICTURE_OVERSIZED = "picture_oversized"
    PICTURE_OVERSIZED_UNDECLARED = "picture_oversized_undeclared"
    PICTURE_WRONG_TYPE = "picture_wrong_type"
    PICTURE_REDIRECT = "picture_redirect"
    PICTURE_EXPIRED = "picture_expired"
    PICTURE_MISMATCH = "picture_mismatch"
    PICTURE_NOT_FOUND = "picture_not_found"
    PICTURE_TRICKLE = "picture_trickle"
    PICTURE_SLOW = "picture_slow"
    PICTURE_RESET = "picture_reset"
    PICTURE_OUTAGE = "picture_outage"
    PICTURE_EMPTY = "picture_empty"


EXPLANATIONS: dict[Situation, str] = {
    Situation.OK: "Everything works.",
    Situation.NO_PICTURE: "No picture is set: Instagram says has_profile_pic false, the others show their default.",
    Situation.NO_PICTURE_FLAG: "Instagram: has_profile_pic is false, and a silhouette of an unknown file id is sent.",
    Situation.SILHOUETTE: "The network's default silhouette, under its known id.",
    Situation.PICTURE_LEFT_OUT: "Instagram leaves out picture and flag, TikTok the avatars, YouTube the thumbnails.",
    Situation.PICTURE_PROMISED: "Instagram: has_profile_pic is true, and the address of the picture is left out.",
    Situation.TOKEN_EXPIRED: "The access token has expired (Instagram 190/463, TikTok access_token_invalid).",
    Situation.TOKEN_INVALID: "The access token is garbage (Instagram 190 without a subcode).",
    Situation.PASSWORD_CHANGED: "The talent changed the password (Instagram 190/460).",
    Situation.APP_REMOVED: "The talent removed the app (Instagram 190/458; TikTok also kills the refresh token).",
    Situation.CHECKPOINT: "The talent must pass a security check in the network's app (Instagram 190/459).",
    Situation.UNCONFIRMED: "The talent's account is not confirmed (Instagram 190/464).",
    Situation.SCOPE_MISSING: "The talent did not grant the scope (Instagram code 10, TikTok scope_not_authorized).",
    Situation.WRONG_ACCOUNT: "The token answers for another account than before: another user id, open_id, union_id.",
    Situation.WRONG_KIND_OF_TOKEN: "The token is of another product, or of a tester (Graph 100, IGApiException).",
    Situation.NEW_OPEN_ID: "TikTok: another open_id, the same union_id, as under another client key of ours.",
    Situation.ID_LEFT_OUT: "Instagram leaves out user_id, TikTok union_id.",
    Situation.APP_BLOCKED: "Meta blocks our app (Graph 200 API access blocked); TikTok: invalid_grant for every pair.",
    Situation.DELETED: "The account is gone: Instagram 100/33 and 110/2207013, YouTube leaves it out.",
    Situation.CHANNEL_REFUSED: "YouTube refuses every call with this channel: 403 channelSuspended, or `error`.",
    Situation.WRONG_HANDLE: "YouTube answers for the handle with a channel whose customUrl is another.",
    Situation.REORDERED: "The items of a Facebook batch come in another order than they were asked for.",
    Situation.PRIVATE: "A personal account, which Business Discovery cannot see (110/2207013). TikTok reads it.",
    Situation.RATE_LIMITED: "A limit is exhausted: Instagram 80002, Facebook 4, TikTok 429, YouTube quotaExceeded.",
    Situation.USER_LIMIT: "This user's limit is exhausted (Graph code 17; YouTube userRateLimitExceeded).",
    Situation.PAGE_LIMIT: "The page's limit is exhausted (Graph code 32).",
    Situation.CUSTOM_LIMIT: "A custom limit is exhausted (Graph code 613; YouTube rateLimitExceeded as HTTP 429).",
    Situation.POLICY_BLOCK: "Blocked for a breach of policy (Graph code 368).",
    Situation.ADS_LIMITED: "Usage headers report limits of ads_insights and of other accounts that are used up.",
    Situation.API_ERROR: "The error in `error`: Graph `190/467`, TikTok `invalid_params`, YouTube `403 forbidden`.",
    Situation.FIELD_REMOVED: "The platform no longer knows a field asked for (Graph 100, TikTok invalid_params).",
    Situation.KEY_INVALID: "The API key or client id is wrong (YouTube keyInvalid, TikTok invalid_client).",
    Situation.API_NOT_ENABLED: "The project may not use the API (YouTube accessNotConfigured).",
    Situation.OUTAGE: "An HTML error page with status 503.",
    Situation.BAD_GATEWAY: "An HTML error page with status 502.",
    Situation.SERVER_ERROR: "The platform's own error body with status 500.",
    Situation.TRANSIENT: "A temporary error in the platform's own form (Graph code 2, with HTTP 400).",
    Situation.ERROR_IN_200: "A temporary error inside an answer with status 200.",
    Situation.SLOW: "The answer comes, but only after `seconds`.",
    Situation.RESET: "The connection is reset before any answer.",
    Situation.NONSENSE: "Status 200 and a body that is no JSON.",
    Situation.TRUNCATED_BODY: "The connection breaks in the middle of the answer.",
    Situation.HUGE_BODY: "Status 200 and a JSON body of 64 MiB.",
    Situation.API_REDIRECT: "The API redirects to `redirect_to`.",
    Situation.COMPRESSED: "The answer is gzip within gzip, of which 600 bytes stand for 64 MiB; nobody asked for it.",
    Situation.REFRESH_ANSWER_LOST: "The next token refresh rotates the pair, but its answer is lost; then all is well.",
    Situation.REFRESH_ANSWER_SLOW: "TikTok rotates the pair at once, but answers after `seconds`, or once this ends.",
    Situation.REFRESH_REQUEST_LOST: "The next token refresh is lost before anything is rotated; then all is well.",
    Situation.REFRESH_REFUSED: "The refresh token is refused (TikTok invalid_grant, Instagram 190).",
    Situation.REFRESH_OUTAGE: "Token refreshes answer with an HTML error page; reads work while the token lives.",
    Situation.REFRESH_ERROR: "Token refreshes end in the error named in `error`; reads work while the token lives.",
    Situation.PICTURE_TRUNCATED: "The picture ends halfway, with a Content-Length that matches.",
    Situation.PICTURE_IS_HTML: "An HTML page that claims to be image/jpeg.",
    Situation.PICTURE_IS_SVG: "An SVG with a script that claims to be image/png.",
    Situation.PICTURE_OVERSIZED: "A body of 64 MiB that says so.",
    Situation.PICTURE_OVERSIZED_UNDECLARED: "A body of 64 MiB without a Content-Length.",
    Situation.PICTURE_WRONG_TYPE: "A good picture that claims to be application/octet-stream.",
    Situation.PICTURE_REDIRECT: "The picture redirects to `redirect_to`.",
    Situation.PICTURE_EXPIRED: "403 URL signature expired, although the address is fresh.",
    Situation.PICTURE_MISMATCH: "403 URL signature mismatch, although the address is as it was given.",
    Situation.PICTURE_NOT_FOUND: "404 for the picture.",
    Situation.PICTURE_TRICKLE: "The picture comes at one byte a second.",
    Situation.PICTURE_SLOW: "The picture comes after `seconds`.",
    Situation.PICTURE_RESET: "The connection is reset in the middle of the picture.",
    Situation.PICTURE_OUTAGE: "The image host answers with an HTML error page and status 503.",
    Situation.PICTURE_EMPTY: "Status 200 and no bytes at all.",
}


class PictureKind(StrEnum):
    """What a picture of the sandbox shows."""

    PORTRAIT = "portrait"
    PHOTOGRAPH = "photograph"
    CROWD = "crowd"
    SILHOUETTE = "silhouette"
    LETTER = "letter"
