"""Opening: what a visitor sends becomes a table or a run of the workspace, in a worker with limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ecoval_core.columns.pictures import thumbnail
from ecoval_core.files import read
from ecoval_core.files.header import USUAL, Reading
from ecoval_core.runs import archive
from ecoval_core.runs.opened import (
    complete_split,
    describe_table,
    save_frame,
    save_opened,
    split_table,
)
from ecoval_core.runs.tasks import IMPORTING, READING, Work, plain, task
from ecoval_core.tables import (
    MIN_ROWS,
    Fix,
    clean,
    detect_target,
    empty_words,
    load_sample,
    make_table,
    suggest_exclusions,
    suggest_fixes,
)
from ecoval_core.tables.split_columns import suggest_splits
from ecoval_core.tables.splitting import RANDOM, SPLIT_REASONS
from ecoval_core.tables.table import content_digest
from ecoval_core.target_type import Task as TableTask
from ecoval_core.workspace.schema import DEFAULT_SPLIT, OpenSpec, SplitSpec, key_of

# A larger file is not kept to be read again with another header.
MAX_KEPT_BYTES = 50 * 2**20
KEEP_FEWER = "keep fewer rows or columns, or save it as Parquet."


@task("Reading {name}", quick=True, is_kept=False, limits=READING, advice=KEEP_FEWER)
def read_file(work: Work, upload: str, name: str) -> dict[str, Any]:
    """Read an uploaded file; "frame" is the digest of its cells."""
    return {"frame": _read(work, upload, name)}


def _read(work: Work, upload: str, name: str) -> str:
    """Keep the cells of an uploaded file, and return their digest."""
    frame = read.read_frame(work.uploads / upload, name)
    digest = content_digest(frame)
    save_frame(work.workspace, frame, digest)
    return digest


@task("Opening {name}", quick=True, is_kept=False, limits=READING, advice=KEEP_FEWER)
def open_table(
    work: Work, source: Mapping[str, str], name: str, *, target: str | None = None,
    task: TableTask | None = None, excluded: Mapping[str, str] | None = None,
    left_out: Mapping[str, str] | None = None, fixes: Sequence[Fix] = (),
    split: SplitSpec = DEFAULT_SPLIT, sample: str | None = None,
    own: Mapping[str, tuple[str, str]] | None = None, header: Sequence[int] | None = None,
    sheet: str | None = None, reading: Reading = USUAL,
) -> dict[str, Any]:  # fmt: skip
    """Read or change a table and split it; `own` are uploads, and their names, with the rows of a part.

    `source` names a "sample", an uploaded "file", the cells of a file to read "again" with another `header`
    or `sheet`, or a "frame" of the workspace, for which `reading` says how it was read; `left_out` are
    columns left out besides those that look like ids. Returns "split", the key of the opened table, or
    "refusal" with what may let it open: "frame", "columns", "target", "reading" and "suggested" fixes.
    """
    if "sample" in source:
        table = load_sample(source["sample"])
        spec = describe_table(table, sample=source["sample"])
        return _open(work, OpenSpec(table=spec, split=split), table)
    if "frame" in source:
        frame = work.frame(source["frame"])
    else:
        data = _file_of(work, source)
        frame, reading = read.read_file(data, name, header=header, sheet=sheet)
        if len(data) <= MAX_KEPT_BYTES:
            kept = np.frombuffer(data, np.uint8)
            work.workspace.save(file_key(content_digest(frame)), "file", kept)
    content, suggested = content_digest(frame), suggest_fixes(empty_words(frame, target))
    save_frame(work.workspace, frame, content)
    work.workspace.save(suggestions_key(content), "suggestions", list(suggested), owner=content)
    fixed = clean(frame, fixes)
    target = target or detect_target(fixed)
    try:
        if left_out:
            excluded = suggest_exclusions(fixed, target) | dict(left_out)
        if own:
            split = _with_files(work, split, own)
        reserved = split.rule.reserved(target)
        if excluded is None:
            excluded = suggest_exclusions(fixed, target)
        else:
            # A column that splits no longer is a feature again, unless something else keeps it out.
            free = {c for c, why in excluded.items() if why in SPLIT_REASONS and c not in reserved}
            again = suggest_exclusions(fixed, target) if free else {}
            excluded = {c: why for c, why in excluded.items() if c not in free}
            excluded |= {c: why for c, why in again.items() if c in free}
        excluded = dict(excluded) | reserved
        split = complete_split(split, fixed)
        table = make_table(fixed, name, target, task, excluded)
        spec = describe_table(
            table, content=content, fixes=tuple(fixes), sample=sample, reading=reading
        )
        return _open(work, OpenSpec(table=spec, split=split), table)
    except ValueError as error:
        columns = [str(column) for column in frame.columns]
        # Neither another target nor other columns mend a split.
        if own or split.rule != RANDOM or len(frame) < MIN_ROWS or len(columns) < 2:
            raise
        # Cleaning may be what lets it open: three spellings of a class make a class that is too small.
        offered = [one for one in suggested if one not in fixes]
        return {
            "refusal": str(error), "frame": content, "columns": columns,
            "target": target, "suggested": plain(offered), "reading": plain(reading),
        }  # fmt: skip


def _with_files(work: Work, split: SplitSpec, own: Mapping[str, tuple[str, str]]) -> SplitSpec:
    """Return a split whose validation or test rows are in files that were uploaded."""
    files: dict[str, Any] = {part: file.model_dump() for part, file in split.files.items()}
    for part, (upload, name) in own.items():
        files[part] = {"name": name, "content": _read(work, upload, name)}
    more = {"kind": "files", "column": None, "words": {}, **files}
    return SplitSpec.model_validate(split.model_dump() | more)


def _file_of(work: Work, source: Mapping[str, str]) -> bytes:
    """Return an uploaded file, or one that was kept to be read again."""
    if "file" in source:
        return (work.uploads / source["file"]).read_bytes()
    kept = work.workspace.load(file_key(source["again"]), np.ndarray)
    if kept is None:
        raise ValueError("The file is no longer kept as it was: upload it again.")
    return bytes(kept.tobytes())


def file_key(content: str) -> str:
    """Name the file whose cells have a digest."""
    return key_of("file", content)


@task("Drawing the pictures", quick=True)
def thumbnails(work: Work, content: str, column: str) -> pd.DataFrame:
    """Draw the pictures of a column of some cells small, a missing one where none can be read."""
    drawn = [thumbnail(cell) for cell in work.frame(content)[column]]
    return pd.DataFrame({"picture": pd.Series(drawn, dtype=object)})


def suggestions_key(content: str) -> str:
    """Name the fixes that were suggested for the cells with a digest."""
    return key_of("suggestions", content)


def hints_key(content: str, target: str) -> str:
    """Name the columns by which the rows of a table could be split."""
    return key_of("hints", content, target)


def _open(work: Work, spec: OpenSpec, table: Any) -> dict[str, Any]:
    files = {part: work.frame(file.content) for part, file in spec.split.files.items()}
    opened = split_table(table, spec, files)
    save_opened(work.workspace, opened)
    key, hints = hints_key(table.content, table.target), suggest_splits(table.frame, table.target)
    work.workspace.save(key, "hints", hints, owner=table.content)
    return {"split": opened.key}


@task("Importing {name}", quick=True, is_kept=False, limits=IMPORTING, advice="export fewer rows.")
def import_run(work: Work, upload: str, name: str, visitor: str) -> dict[str, Any]:  # noqa: ARG001
    """Take a run from an uploaded archive into the workspace; "run" is its id."""
    return {"run": archive.import_run(work.workspace, work.uploads / upload, visitor=visitor)}
