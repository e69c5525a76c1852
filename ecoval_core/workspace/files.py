"""Files that appear whole or not at all: drafts, held by a lock while they are written."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

# A draft this old that nobody holds belongs to a killed process; where the disk knows no locks, one of a day.
ABANDONED_SECONDS, STALE_SECONDS = 60.0, 24 * 3600.0


@contextlib.contextmanager
def draft_in(folder: Path) -> Iterator[Path]:
    """Give a path to write a file or a folder to, which is gone at the end.

    Parameters
    ----------
    folder : Path
        Where drafts are.

    Yields
    ------
    Path
        Nothing is there yet.

    Raises
    ------
    OSError
        If nothing can be written.
    """
    own = folder / uuid4().hex
    own.mkdir()
    handle = os.open(own, os.O_RDONLY)
    try:
        # Tells those who sweep that somebody is at it; ends with the process, however that ends.
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield own / "content"
    finally:
        os.close(handle)
        remove(own)


def is_abandoned(draft: Path) -> bool:
    """Whether the process that wrote a draft has ended."""
    age = time.time() - draft.stat().st_mtime
    if age < ABANDONED_SECONDS:
        return False
    handle = os.open(draft, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return age > STALE_SECONDS
    finally:
        os.close(handle)
    return True


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def copy(path: Path, target: Path) -> None:
    """Copy a file, or a folder with all files in it; an error has the number that the system gives it."""
    if path.is_file():
        shutil.copyfile(path, target)
        return
    target.mkdir()
    for one in path.iterdir():
        copy(one, target / one.name)


def size(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def flush(path: Path, *, inside: bool = True) -> None:
    """Have the disk hold what was written to a file or a folder.

    Parameters
    ----------
    path : Path
        The file or folder.
    inside : bool, default=True
        Of a folder, everything in it too; otherwise only which names it holds.
    """
    for file in [path, *path.rglob("*")] if inside and path.is_dir() else [path]:
        handle = os.open(file, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
