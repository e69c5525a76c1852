"""Files that commands write: refused before the work that makes them, explained where they fail."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from ecoval_core.runs.exports import to_csv
from ecoval_core.runs.recipe import FORMATS as DOWNLOAD_FORMATS
from ecoval_core.runs.recipe import WHICH

FORMATS = (".csv", ".parquet")


def check_out(out: Path, sources: Iterable[Path], suffixes: Sequence[str]) -> None:
    """Refuse a file that cannot be written, or that is one of those read."""
    if out.suffix.lower() not in suffixes:
        choice = "choose one of them" if len(suffixes) > 1 else "give the file that ending"
        raise ValueError(f"{out} ends in none of {', '.join(suffixes)}: {choice}.")
    if not out.parent.is_dir():
        raise ValueError(f"{out} cannot be written: there is no folder {out.parent}.")
    if out.is_dir():
        raise ValueError(f"{out} cannot be written: it is a folder.")
    for source in sources:
        if out.exists() and source.exists() and out.samefile(source):
            raise ValueError(f"{out} is the table itself: choose another file to write.")
    if not os.access(out if out.exists() else out.parent, os.W_OK):
        raise ValueError(f"{out} cannot be written (permission denied): choose another place.")


def make_folder(folder: Path, sources: Iterable[Path]) -> None:
    """Make a folder to write into, and refuse one whose files are those read."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file: choose a folder to write into.")
    with _explained(folder, "made"):
        folder.mkdir(exist_ok=True)
    for out in (folder / f"{which}.{kind}" for which in WHICH for kind in DOWNLOAD_FORMATS):
        check_out(out, sources, FORMATS)


def write_bytes(content: bytes, out: Path) -> None:
    """Write a file, or say why it cannot be."""
    with _explained(out):
        out.write_bytes(content)


def write_frame(frame: pd.DataFrame, out: Path) -> None:
    """Write a frame as CSV or Parquet, by the ending of the file."""
    if out.suffix.lower() != ".parquet":
        write_bytes(to_csv(frame), out)
        return
    with _explained(out):
        frame.to_parquet(out, index=False)


@contextmanager
def _explained(path: Path, verb: str = "written") -> Iterator[None]:
    """Raise an error of the file system as a sentence."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(f"{path} cannot be {verb} ({reason}): choose another place.") from error
