"""Files that hold tokens: for their owner alone."""

import os
from pathlib import Path


def make_private_directory(directory: Path) -> None:
    """Create a directory for its owner alone; one that was created for everybody is closed."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if directory.stat().st_uid == os.geteuid():
        directory.chmod(0o700)


def write_private_file(file: Path, text: str) -> None:
    """Write a file that only its owner can read, from its first byte on, and never half of it."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:  # noqa: PTH123
        opened.write(text)
    draft.replace(file)
