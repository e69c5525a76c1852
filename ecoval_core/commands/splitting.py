"""Splits and weights as the options of a command say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import click
import pandas as pd

from ecoval_core.commands.options import PATH
from ecoval_core.runs.opened import complete_split
from ecoval_core.tables import Split, read_frame
from ecoval_core.tables.split_columns import PART_NAMES, Part
from ecoval_core.tables.split_hints import suggest_splits
from ecoval_core.tables.splitting import RANDOM, Kind
from ecoval_core.tables.table import content_digest
from ecoval_core.terminal import plain
from ecoval_core.text import join
from ecoval_core.workspace.schema import OwnFile, SplitSpec

_FILE = {"type": PATH, "metavar": "FILE"}
_COLUMN = {"metavar": "COLUMN"}
_OPTIONS: list[tuple[str, dict[str, Any], str]] = [
    ("--groups", _COLUMN,
     "Column of groups: rows with the same value, such as those of one patient or customer, stay "
     "in the same part."),
    ("--time", _COLUMN,
     "Column with the time of a row: the earliest rows are used for training, later rows for "
     "validation, the latest for testing."),
    ("--split", {"metavar": "COLUMN"},
     "Column that names the part of a row; words such as train, dev and holdout are understood."),
    ("--part", {"multiple": True, "metavar": "VALUE=PART"},
     "With --split: the part (train, validation, test or none) that a value stands for. May be "
     "repeated."),
    ("--weights", _COLUMN,
     "Column with the weight of each row in the fits and scores behind the values; curves count "
     "every row once."),
]  # fmt: skip
_READING: list[tuple[str, dict[str, Any], str]] = [
    ("--header", {"metavar": "ROW", "show_default": "guessed"},
     "Row with the column names, counted from 1; 1,2 joins two rows; none if the file has no "
     "column names."),
    ("--sheet", {"metavar": "NAME", "show_default": "the first"}, "Sheet of an Excel workbook."),
]  # fmt: skip
_FILES: list[tuple[str, dict[str, Any], str]] = [
    ("--validation", _FILE, "File with the validation rows, with the columns of TABLE."),
    ("--test", _FILE, "File with the test rows, with the columns of TABLE."),
]


def _add(
    command: Callable[..., None], said: Sequence[tuple[str, dict[str, Any], str]]
) -> Callable[..., None]:
    for name, how, text in reversed(said):
        command = click.option(name, **how, help=text)(command)
    return command


def reading_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say how a file is read."""
    return _add(command, _READING)


def file_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that name the files with validation and test rows."""
    return _add(command, _FILES)


def split_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say how rows are split, and what they weigh."""
    return _add(command, [*_OPTIONS, *_FILES])


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
