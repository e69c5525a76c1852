"""The recipe of a run: all that makes the same downloads from the same table, and how to follow it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field, ValidationError, model_validator

from ecoval_core.evaluation.pruning import Decision, PruneList
from ecoval_core.models.parallel import Progress
from ecoval_core.runs.exports import Format, Which, export_table
from ecoval_core.runs.opened import Opened, make_spec_table, split_table
from ecoval_core.runs.run import Run, value_split
from ecoval_core.tables import load_sample
from ecoval_core.tables.table import content_digest
from ecoval_core.workspace.schema import (
    DEFAULT_UNIT,
    Document,
    OpenSpec,
    RowId,
    Rules,
    RunSpec,
    Sha256,
    UnitKind,
    Verdict,
    explain,
    versions,
)

VERSION = 3
MAX_BYTES = 64 * 2**20
WHICH: tuple[Which, ...] = ("kept", "removed", "all_values")
FORMATS: tuple[Format, ...] = ("csv", "parquet")


class LabelDecision(Document):
    """What was decided on a label; an accepted suggestion names the new label."""

    decision: Verdict
    label: str | int | float | None = None

    @model_validator(mode="after")
    def _check(self) -> LabelDecision:
        if (self.decision == "accept") != (self.label is not None):
            raise ValueError("a decision has a label where, and only where, it is accept")
        return self


class Expected(Document):
    """What following the recipe gives: digest of the values, surplus, rows that go, digests of the files."""

    values: Sha256 | None = None
    surplus: float | None = None
    pruned: int | None = Field(default=None, ge=0)
    files: dict[str, Sha256] = {}


class Recipe(Document):
    """All that makes the same downloads from the same table."""

    ecoval_recipe: int = VERSION
    name: str = ""
    note: str = ""
    created: str = ""
    run: RunSpec
    rows: int = Field(ge=1)
    columns: int = Field(ge=1)
    prune: Rules = PruneList()
    labels: dict[RowId, LabelDecision] = {}
    # What a recipe of before there was another default means.
    unit: UnitKind = "share"
    expected: Expected = Expected()
    versions: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _check_version(cls, given: Any) -> Any:
        made = given.get("ecoval_recipe") if isinstance(given, dict) else None
        if isinstance(made, int) and made != VERSION:
            raise ValueError(
                f"it is of version {made}, and this EcoVal follows version {VERSION}; install the EcoVal "
                "that made it, or make the recipe again"
            )
        return given

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        self.run.settings.check(self.run.table.task)
        for name, ids in (
            ("prune.picked", self.prune.picked), ("prune.restored", self.prune.restored),
            ("labels", self.labels),
        ):  # fmt: skip
            if any(row < 0 or row >= self.rows for row in ids):
                raise ValueError(
                    f"{name} names a row that a table of {self.rows:,} rows does not have"
                )
        return self

    @property
    def relabelled(self) -> dict[int, Any]:
        """New label of each row whose suggestion was accepted."""
        return {row: made.label for row, made in self.labels.items() if made.decision == "accept"}


def digest_of_values(run: Run) -> str:
    """Return the SHA-256 of row ids, values, standard errors and both parts, in the order of the table."""
    digest = sha256(np.ascontiguousarray(run.ids, dtype="<i8").tobytes())
    for column in ("value", "standard_error", "intrinsic", "extrinsic"):
        digest.update(np.ascontiguousarray(run.frame[column], dtype="<f8").tobytes())
    return digest.hexdigest()


def new_labels(run: Run, decisions: Mapping[int, Verdict]) -> dict[int, Any]:
    """Return the suggested label, or target, of every valued row whose suggestion was accepted."""
    accepted = [row for row, verdict in decisions.items() if verdict == "accept"]
    suggested = run.frame["suggested_label"]
    suggested = suggested[suggested.index.isin(accepted)]
    return dict(zip(suggested.index.tolist(), suggested.tolist(), strict=True))


def make_recipe(
    run: Run, rules: PruneList, decisions: Mapping[int, Verdict] | None = None, *,
    relabelled: Mapping[int, Any] | None = None, unit: UnitKind = DEFAULT_UNIT, with_files: bool = True,
    name: str = "", note: str = "", created: str = "",
) -> Recipe:  # fmt: skip
    """Make the recipe of a run and of what was decided on its rows, with the digests of its downloads.

    `relabelled` holds the new labels, which else follow from the `decisions`. Without `with_files` the recipe
    has no digests of downloads.
    """
    decisions = decisions or {}
    accepted = new_labels(run, decisions) if relabelled is None else relabelled
    labels = {
        row: LabelDecision(decision=decisions[row], label=accepted.get(row))
        for row in sorted(set(run.ids.tolist()).intersection(decisions))
        if decisions[row] == "keep" or row in accepted
    }
    decided = rules.decide(run.frame["value"], run.class_labels, accepted)
    files = {}
    if with_files:
        made = downloads(run, decided, accepted, unit)
        files = {
            one.name: sha256(one.content).hexdigest() for one in made if one.content is not None
        }
    expected = Expected(
        values=digest_of_values(run), surplus=float(run.ecoval.surplus_), pruned=len(decided.reasons),
        files=files,
    )  # fmt: skip
    return Recipe(
        name=name, note=note, created=created, run=run.spec, rows=run.table.n_rows,
        columns=run.table.frame.shape[1], prune=rules, labels=labels, unit=unit, expected=expected,
        versions=versions(),
    )  # fmt: skip


def recipe_bytes(recipe: Recipe) -> bytes:
    """Write a recipe as an indented JSON file in UTF-8."""
    return (recipe.model_dump_json(indent=2) + "\n").encode(errors="replace")


def read_recipe(source: bytes | str | Path) -> Recipe:
    """Read a recipe from its content or its path; a ValueError names the field that is wrong."""
    if not isinstance(source, bytes):
        try:
            with Path(source).open("rb") as file:
                source = file.read(MAX_BYTES + 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ValueError(
                f"The recipe {str(source)!r} cannot be opened ({reason}): check its path."
            ) from error
    if len(source) > MAX_BYTES:
        raise ValueError(f"The recipe has more than {MAX_BYTES // 2**20} MB.")
    try:
        return Recipe.model_validate_json(source.removeprefix(b"\xef\xbb\xbf"))
    except ValidationError as error:
        raise ValueError(f"The recipe cannot be followed: {explain(error)}") from error


# --- Downloads ------------------------------------------------------------------------------


class Download(NamedTuple):
    """A file to download; without content, why its format cannot hold it."""

    name: str
    content: bytes | None
    refusal: str = ""


def downloads(
    run: Run, decision: Decision | None = None, relabelled: Mapping[int, Any] | None = None,
    unit: UnitKind = DEFAULT_UNIT,
) -> Iterator[Download]:  # fmt: skip
    """Make "kept", "removed" and "all_values", each as CSV and as Parquet."""
    for which in WHICH:
        for kind in FORMATS:
            name = f"{which}.{kind}"
            try:
                yield Download(name, export_table(run, which, decision, kind, relabelled, unit))
            except ValueError as error:
                yield Download(name, None, str(error))


# --- Following ------------------------------------------------------------------------------


def open_table(
    recipe: Recipe, frame: pd.DataFrame | None = None, *, any_table: bool = False, name: str = "",
    files: Mapping[str, pd.DataFrame] | None = None,
) -> tuple[Opened, bool]:  # fmt: skip
    """Open the table of a recipe, or the bundled sample that it names; refuse another one.

    `files` are the validation and test file that the recipe names, as read. Returns too whether all cells are
    those of the recipe.
    """
    spec = recipe.run.table
    if frame is None:
        if spec.sample is None:
            raise ValueError(f"The recipe is of the table {spec.name!r}: give that file as well.")
        frame = load_sample(spec.sample).frame
    content = content_digest(frame)
    if content != spec.content and not any_table:
        raise ValueError(
            f"This is not the table of the recipe: its content has the digest {content} "
            f"({len(frame):,} rows, {frame.shape[1]:,} columns), that of {spec.name!r} had "
            f"{spec.content} ({recipe.rows:,} rows, {recipe.columns:,} columns)."
        )
    is_same, how = content == spec.content, recipe.run.split
    for part, given in (files or {}).items():
        if part not in how.files:
            raise ValueError(f"The recipe was made without a {part} file: leave it out.")
        found, wanted = content_digest(given), how.files[part]
        if found != wanted.content and not any_table:
            raise ValueError(
                f"This is not the {part} file of the recipe: its content has the digest {found} "
                f"({len(given):,} rows), that of {wanted.name!r} had {wanted.content}."
            )
        is_same &= found == wanted.content
    table = make_spec_table(spec, frame, name)
    return split_table(table, OpenSpec(table=spec, split=how), files), is_same


@dataclass(frozen=True)
class Replay:
    """A recipe that was followed: the table valued again, and how it compares."""

    recipe: Recipe
    run: Run
    is_same_table: bool

    @cached_property
    def decision(self) -> Decision:
        """Rows that go by the rules of the recipe."""
        frame, labels = self.run.frame, self.run.class_labels
        return self.recipe.prune.decide(frame["value"], labels, self.relabelled)

    @cached_property
    def relabelled(self) -> dict[int, Any]:
        """New label by row id, of the rows that were valued."""
        valued = set(self.run.ids.tolist())
        return {row: label for row, label in self.recipe.relabelled.items() if row in valued}

    @property
    def decisions(self) -> dict[int, Verdict]:
        """Decision on the label of each row, as the recipe has it."""
        return {row: made.decision for row, made in self.recipe.labels.items()}

    @property
    def has_same_values(self) -> bool:
        """Whether values, errors and both parts are those of the recipe to the last bit."""
        return digest_of_values(self.run) == self.recipe.expected.values

    def downloads(self) -> Iterator[Download]:
        """Make every download; see :func:`downloads`."""
        return downloads(self.run, self.decision, self.relabelled, self.recipe.unit)

    def is_as_expected(self, made: Download) -> bool | None:
        """Whether a download has the bytes that the recipe expects; None where it expects none."""
        expected = self.recipe.expected.files.get(made.name)
        if expected is None:
            return None
        return made.content is not None and sha256(made.content).hexdigest() == expected

    @property
    def other_versions(self) -> dict[str, tuple[str, str]]:
        """What has another version here: that of the recipe and the present one, by package."""
        here = versions()
        return {
            name: (made_with, here.get(name, "not there"))
            for name, made_with in self.recipe.versions.items()
            if here.get(name) != made_with
        }


def replay(
    recipe: Recipe, opened: Opened, is_same_table: bool, *, n_jobs: int | None = None,
    progress: Progress | None = None,
) -> Replay:  # fmt: skip
    """Value a table again as a recipe says."""
    run = value_split(opened, recipe.run.settings, n_jobs=n_jobs, progress=progress)
    return Replay(recipe, run, is_same_table)
