"""Splits and weights as the options of a command say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import click
import pandas as pd

from ecoval_core.runs.opened import complete_split
from ecoval_core.tables import Split, read_frame
from ecoval_core.tables.split_columns import PART_NAMES, Part, suggest_splits
from ecoval_core.tables.splitting import RANDOM, Kind
from ecoval_core.tables.table import content_digest
from ecoval_core.terminal import plain
from ecoval_core.text import join
from ecoval_core.workspace.schema import OwnFile, SplitSpec


def read_files(validation: Path | None, test: Path | None) -> dict[str, pd.DataFrame]:
    """Read the files with validation and test rows, by the name of the part."""
    paths = {"validation": validation, "test": test}
    return {part: read_frame(path) for part, path in paths.items() if path is not None}


def describe_split(
    frame: pd.DataFrame, files: Mapping[str, pd.DataFrame], *, groups: str | None, time: str | None,
    split: str | None, part: Sequence[str], weights: str | None, validation: Path | None,
    test: Path | None, **chance: Any,
) -> SplitSpec:  # fmt: skip
    """Return the split that the options say; `chance` holds its proportions and seed."""
    ways = {"--time": time, "--split": split, "--validation and --test": validation or test}
    given = [name for name, value in ways.items() if value is not None]
    if len(given) > 1:
        raise ValueError(
            f"{join(given)} exclude each other: rows are split by time, by a column or by files of their own."
        )
    if time is not None and groups is not None:
        raise ValueError(
            "--time and --groups exclude each other, since rows of one group may be of many times."
        )
    if part and split is None:
        raise ValueError("--part names the parts of a column: give that with --split.")
    for option, column in (("--groups", groups), ("--time", time), ("--split", split),
                           ("--weights", weights)):  # fmt: skip
        if column is not None and column not in frame:
            raise ValueError(
                f"{option} is {column!r}, which the table does not have: choose one of "
                f"{join([str(name) for name in frame.columns[:12]], frame.shape[1])}."
            )
    kind: Kind = "time" if time else "column" if split else "files" if files else "random"

    def own(part: str, path: Path | None) -> OwnFile | None:
        if path is None:
            return None
        return OwnFile(name=path.name, content=content_digest(files[part]))

    spec = SplitSpec(
        kind=kind, column=time or split, words=_read_parts(part), groups=groups, weights=weights,
        validation=own("validation", validation), test=own("test", test), **chance,
    )  # fmt: skip
    return complete_split(spec, frame)


def _read_parts(given: Sequence[str]) -> dict[str, Part]:
    parts: dict[str, Part] = {}
    for one in given:
        value, _, part = one.rpartition("=")
        if not value or part not in PART_NAMES:
            raise ValueError(f"--part is {one!r}: write VALUE=train, =validation, =test or =none.")
        parts[value] = cast("Part", part)
    return parts


def print_split(spec: SplitSpec, split: Split) -> None:
    """Print on stderr how rows were split, what was come upon, and what else could be meant."""
    sizes = {"train": split.y_train, "validation": split.y_val, "test": split.y_test}
    counts = join([f"{len(y):,} {name}" for name, y in sizes.items()])
    if spec.rule != RANDOM:
        click.echo(f"Split {plain(spec.describe())}: {counts} rows.", err=True)
    if spec.kind == "column":
        words = join([f"{plain(repr(value))} is {part}" for value, part in spec.words.items()])
        click.echo(f"In {plain(repr(spec.column))}, {words} (--part to change that).", err=True)
    for note in split.notes:
        click.echo(f"Note: {plain(note)}", err=True)
    options = {"groups": "--groups", "time": "--time", "column": "--split"}
    used = spec.rule.reserved()
    for hint in suggest_splits(split.table.frame, split.table.target):
        taken = spec.groups if hint.kind == "groups" else spec.kind != "random"
        if hint.column in used or taken:
            continue
        word = "Warning" if hint.kind == "groups" else "Hint"
        how = f"{options[hint.kind]} {plain(repr(hint.column))}"
        click.echo(f"{word}: {plain(hint.sentence)} Split with {how}.", err=True)
