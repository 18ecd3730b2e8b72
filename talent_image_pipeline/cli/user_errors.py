"""What is printed for an error that a person can mend.

Errors of our own say it themselves (``errors.py``); this adds what the operating system and the database driver raise.
"""

import errno

from talent_image_pipeline.cli.plain_text import single_line
from talent_image_pipeline.errors import UserError

_INSUFFICIENT_PRIVILEGE = "42501"
_UNUSABLE_PATH = {
    errno.EACCES: "this user may not: choose another place, or grant the right",
    errno.EPERM: "this user may not: choose another place, or grant the right",
    errno.EROFS: "the file system is read-only: choose another place",
    errno.ENOENT: "there is no such file or directory: create it, or choose another place",
    errno.ENOTDIR: "a part of the path is a file: choose another place",
    errno.EISDIR: "it is a directory: choose a file",
    errno.ENOSPC: "the disk is full: free some space",
    errno.EDQUOT: "the disk quota is used up: free some space",
}


def message_for(error: Exception) -> str | None:
    """Return what to print for an error, or None if it is a defect of ours."""
    if isinstance(error, UserError):
        return "\n".join(single_line(line) for line in str(error).splitlines())
    if isinstance(error, OSError) and error.filename is not None and error.errno in _UNUSABLE_PATH:
        return f"Cannot use {single_line(str(error.filename))}: {_UNUSABLE_PATH[error.errno]}."
    if getattr(getattr(error, "orig", None), "pgcode", None) == _INSUFFICIENT_PRIVILEGE:
        # SQLAlchemy's own text shows the whole statement.
        return f"The database refuses this: {single_line(' '.join(str(getattr(error, 'orig', '')).split()))}."
    return None
