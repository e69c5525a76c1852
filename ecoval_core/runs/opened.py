"""A table that was opened: its document, its cells as read, its rows as numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

from ecoval_core.tables import Fix, Split, Table, clean, make_table, prepare
from ecoval_core.tables.match import Matched, match_columns
from ecoval_core.tables.split_columns import complete_words
from ecoval_core.text import shorten
from ecoval_core.workspace.schema import OpenSpec, SplitSpec, TableSpec
from ecoval_core.workspace.workspace import Workspace


def describe_table(table: Table, **more: Any) -> TableSpec:
    """Describe a table; `more` holds its sample, or the digest of its cells before the fixes, and those."""
    more = {"content": table.content, "excluded": dict(table.excluded)} | more
    return TableSpec(name=table.name, target=table.target, task=table.task, **more)


def make_spec_table(spec: TableSpec, frame: pd.DataFrame, name: str = "") -> Table:
    """Make the table that a document describes from its cells as read."""
    fixed = clean(frame, spec.fixes)
    return make_table(fixed, name or spec.name, spec.target, spec.task, spec.excluded)


def split_table(
    table: Table, spec: OpenSpec, files: Mapping[str, pd.DataFrame] | None = None
) -> Opened:
    """Split and vectorise a table as its document says.

    `files` are the cells, as read, of the validation and test file that the document names; they are fixed as
    the table was.
    """
    own, how = {}, spec.split
    for part, file in how.files.items():
        if files is None or part not in files:
            raise ValueError(f"The {part} rows are in the file {file.name!r}: give that as well.")
        fixed = fix_second_file(files[part], spec.table.fixes)
        own[part] = match_columns(table, fixed, name=file.name)
        _check_targets(own[part], part, file.name)
    split = prepare(
        table, proportions=how.proportions, noise=how.noise, random_state=how.random_state,
        rule=how.rule, **own,
    )  # fmt: skip
    return Opened(spec.key, spec, split)


def _check_targets(of: Matched, part: str, name: str) -> None:
    """Refuse a validation or test file without targets, or with some that no model can know."""
    if not of.has_target:
        raise ValueError(
            f"{name} has no column {of.target!r}, the target: {part} rows need it, so add it."
        )
    if len(of.unknown_labels):
        row, label = of.unknown_labels.index[0], of.unknown_labels.iloc[0]
        raise ValueError(
            f"{name} holds {shorten(label, 40)!r} in column {of.target!r}, row {row} (the first row is 0), "
            "which no row of the table has as its target: correct it, or empty the cell to set the row aside."
        )
    if not len(of.ids):
        raise ValueError(f"{name} has no value in column {of.target!r}, the target: fill it in.")


def complete_split(spec: SplitSpec, frame: pd.DataFrame) -> SplitSpec:
    """Return a split with the part of every value of its column, as chosen or as its word is understood."""
    if spec.kind != "column" or spec.column not in frame:
        return spec
    words = complete_words(frame[spec.column], spec.words)
    return spec.model_copy(update={"words": words})


def fix_second_file(frame: pd.DataFrame, fixes: Sequence[Fix]) -> pd.DataFrame:
    """Apply the fixes of a table to another file, whose headers may differ in case and outer spaces."""
    spelled = {str(column).strip().casefold(): str(column) for column in frame.columns}
    spelled |= {str(column): str(column) for column in frame.columns}
    renamed = []
    for one in fixes:
        column = spelled.get(one.column, spelled.get(one.column.strip().casefold(), one.column))
        renamed.append(one.model_copy(update={"column": column}))
    return clean(frame, renamed)


@dataclass(frozen=True)
class Opened:
    """A table that was opened: what it is, and its rows as numbers."""

    key: str
    spec: OpenSpec
    split: Split

    @property
    def table(self) -> Table:
        """The table."""
        return self.split.table


_ARRAYS = tuple(
    f.name for f in fields(Split) if f.name.partition("_")[0] in {"X", "y", "w", "ids", "flipped"}
)


def save_frame(workspace: Workspace, frame: pd.DataFrame, digest: str) -> None:
    """Keep cells under their digest, if they are not here."""
    if workspace.result(digest) is None:
        workspace.save(digest, "frame", frame)


def load_frame(workspace: Workspace, digest: str) -> pd.DataFrame | None:
    """Return the cells with a digest, or None."""
    found: pd.DataFrame | None = workspace.load(digest, pd.DataFrame)
    return found


def save_opened(workspace: Workspace, opened: Opened) -> None:
    """Keep an opened table: its cells after the fixes, and its split arrays, under the latest name."""
    save_frame(workspace, opened.table.frame, opened.table.content)
    arguments: dict[str, Any] = {"spec": opened.spec.dump(), "frame": opened.table.content}
    if opened.split.notes:
        arguments["notes"] = list(opened.split.notes)
    kept = workspace.result(opened.key)
    if kept is None or kept.arguments != arguments:
        found = {name: getattr(opened.split, name) for name in _ARRAYS}
        arrays = {name: array for name, array in found.items() if array is not None}
        workspace.save(opened.key, "split", arrays, arguments=arguments)


def load_opened(workspace: Workspace, key: str) -> Opened | None:
    """Return an opened table, or None if it is not in the workspace."""
    kept = workspace.result(key)
    if kept is None:
        return None
    spec = OpenSpec.model_validate(kept.arguments["spec"])
    digest = kept.arguments["frame"]

    def load() -> tuple[int, Opened] | None:
        arrays, frame = workspace.load(key, dict), load_frame(workspace, digest)
        if arrays is None or frame is None:
            return None
        of = spec.table
        table = Table(of.name, frame, of.target, of.task, dict(of.excluded), digest)
        how = spec.split
        split = Split(
            table=table, vectorizer=None, proportions=how.proportions, noise=how.noise,
            random_state=how.random_state, rule=how.rule,
            notes=tuple(kept.arguments.get("notes", ())), **arrays,
        )  # fmt: skip
        return 0, Opened(key, spec, split)

    return workspace.derive(("opened", key, spec.table.name), load)
