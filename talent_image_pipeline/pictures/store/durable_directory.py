"""A local directory in which a set of files appears whole or not at all, also when the power fails.

What belongs here: temporary names, flushing and renaming.
What does not: what the files are (``picture_store.py``).

obstore writes a local object under a temporary name and renames it, but never flushes it (seen in its system calls,
version 0.12.1), so after a power cut a name could point at an empty file.
"""

import errno
import os
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from uuid import uuid4

_STAGING = ".incoming"
# Each try fails only when a deletion of the same group fell exactly between two of our calls.
_TRIES = 5
_IS_THERE_ALREADY = {errno.ENOTEMPTY, errno.EEXIST}


class DurableDirectory:
    """Publishes groups of files below one root, each group as a subdirectory.

    Args:
        root: Created when it does not exist.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._staging = root / _STAGING
        self._staging.mkdir(parents=True, exist_ok=True)

    def exists(self) -> bool:
        """Whether the root is still there: a disk can be unmounted."""
        return self._root.is_dir()

    def publish(self, group: str, files: Mapping[str, bytes], *, overwrite: bool) -> bool:
        """Write and flush every file, then make them visible under the group's name.

        A group that is not there yet appears with one rename. In a group that is there, missing files are added, and
        with ``overwrite`` the others are replaced, each file by one rename.

        Returns:
            Whether anything became visible that was not there before.

        Raises:
            OSError: when the disk is full or not writable; nothing became visible then, except whole files.
        """
        staged = self._staging / uuid4().hex
        staged.mkdir(parents=True)
        try:
            for name, content in files.items():
                _write_flushed(staged / name, content)
            _flush(staged)
            return self._make_visible(staged, self._root / group, list(files), overwrite=overwrite)
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def touch(self, path: str) -> bool:
        """Set a file's time of change to now; return whether the file is there."""
        try:
            os.utime(self._root / path)
        except FileNotFoundError:
            return False
        return True

    def delete_leftovers(self, *, older_than: datetime) -> int:
        """Remove what interrupted writers left behind before the given time; return how many there were."""
        limit = older_than.timestamp()
        leftovers = [path for path in self._staging.iterdir() if path.stat().st_mtime < limit]
        for path in leftovers:
            shutil.rmtree(path, ignore_errors=True)
        return len(leftovers)

    def _make_visible(self, staged: Path, group: Path, names: list[str], *, overwrite: bool) -> bool:
        for _ in range(_TRIES):
            try:
                # Replaces nothing but an empty directory: that is what makes this put-if-absent.
                staged.rename(group)
            except OSError as error:
                if error.errno not in _IS_THERE_ALREADY:
                    raise
            else:
                _flush(self._root)
                return True
            try:
                return _merge(staged, group, names, overwrite=overwrite)
            except FileNotFoundError:
                continue
        raise FileNotFoundError(f"{group.name} is being deleted again and again while it is written")


def _merge(staged: Path, group: Path, names: list[str], *, overwrite: bool) -> bool:
    chosen = [name for name in names if (staged / name).exists() and (overwrite or not (group / name).exists())]
    for name in chosen:
        (staged / name).replace(group / name)
    _flush(group)
    return bool(chosen)


def _write_flushed(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _flush(directory: Path) -> None:
    if os.name == "nt":  # Windows opens no directories, and keeps renames in its journal.
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
