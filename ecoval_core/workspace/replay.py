"""Following a recipe: value the same table again, and see whether the downloads are the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any, NamedTuple

import pandas as pd

from ecoval_core.evaluation.pruning import Decision, PruneList
from ecoval_core.tables import Table, load_sample, make_table, prepare
from ecoval_core.tables.mending import Mend, mend
from ecoval_core.tables.table import content_digest
from ecoval_core.valuation.parallel import Progress
from ecoval_core.workspace import fields
from ecoval_core.workspace.exports import Format, Which, export_table
from ecoval_core.workspace.recipe import (
    Recipe,
    digest_of_values,
    make_recipe,
    new_labels,
    versions,
)
from ecoval_core.workspace.recipe_fields import RecipeError
from ecoval_core.workspace.runs import Run, value_prepared
from ecoval_core.workspace.units import UnitKind

WHICH: tuple[Which, ...] = ("kept", "removed", "all_values")
FORMATS: tuple[Format, ...] = ("csv", "parquet")


class Download(NamedTuple):
    """A file to download.

    Attributes
    ----------
    name : str
        Such as "kept.csv".
    content : bytes or None
        The file; None where its format cannot hold a column.
    refusal : str
        Why not, in one sentence.
    """

    name: str
    content: bytes | None
    refusal: str = ""


def downloads(
    run: Run, decision: Decision | None = None, relabelled: Mapping[int, Any] | None = None,
    unit: UnitKind = "share",
) -> Iterator[Download]:  # fmt: skip
    """Make every download of a run, as :func:`ecoval_core.workspace.exports.export_table` does.

    Parameters
    ----------
    run : Run
        Finished run.
    decision : Decision or None, default=None
        Which rows go, and why; None for none.
    relabelled : mapping of int to object or None, default=None
        New label, or target, by row id.
    unit : {"share", "score"}, default="share"
        Unit of the values.

    Yields
    ------
    Download
        "kept", "removed" and "all_values", each as CSV and as Parquet.
    """
    for which in WHICH:
        for kind in FORMATS:
            name = f"{which}.{kind}"
            try:
                yield Download(name, export_table(run, which, decision, kind, relabelled, unit))
            except ValueError as error:
                yield Download(name, None, str(error))


def recipe_of(
    run: Run, rules: PruneList, decisions: Mapping[int, str] | None = None, *,
    relabelled: Mapping[int, Any] | None = None, unit: UnitKind = "share", **more: Any,
) -> fields.JsonObject:  # fmt: skip
    """Make the recipe of a run with the digests of its downloads.

    Parameters
    ----------
    run, rules, decisions, relabelled, unit, **more
        As in :func:`ecoval_core.workspace.recipe.make_recipe`.

    Returns
    -------
    dict
        As JSON takes it.
    """
    decided = rules.decide(run.frame["value"], run.class_labels)
    new = new_labels(run, decisions or {}) if relabelled is None else relabelled
    made = downloads(run, decided, new, unit)
    files = {one.name: sha256(one.content).hexdigest() for one in made if one.content is not None}
    return make_recipe(run, rules, decisions, relabelled=new, unit=unit, files=files, **more)


@dataclass(frozen=True)
class Replay:
    """A recipe that was followed.

    Attributes
    ----------
    recipe : Recipe
        The recipe.
    run : Run
        The table valued again.
    is_same_table : bool
        Whether the table holds the cells that the recipe was made from.
    """

    recipe: Recipe
    run: Run
    is_same_table: bool

    @cached_property
    def decision(self) -> Decision:
        """Rows that go by the rules of the recipe."""
        return self.recipe.rules.decide(self.run.frame["value"], self.run.class_labels)

    @cached_property
    def relabelled(self) -> dict[int, Any]:
        """New label by row id, of the rows that were valued."""
        valued = set(self.run.ids.tolist())
        return {row: label for row, label in self.recipe.relabelled.items() if row in valued}

    @property
    def decisions(self) -> dict[int, str]:
        """Decision on the label of each row, as the recipe has it."""
        return {row: made.verdict for row, made in self.recipe.labels.items()}

    @property
    def has_same_values(self) -> bool:
        """Whether values, errors and both parts are those of the recipe to the last bit."""
        return digest_of_values(self.run) == self.recipe.values

    def downloads(self) -> Iterator[Download]:
        """Make every download; see :func:`downloads`."""
        return downloads(self.run, self.decision, self.relabelled, self.recipe.unit)

    def is_as_expected(self, made: Download) -> bool | None:
        """Whether a download has the bytes that the recipe expects; None where it expects none."""
        expected = self.recipe.files.get(made.name)
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


class Opened(NamedTuple):
    """A table that a recipe can be followed with.

    Attributes
    ----------
    table : Table
        Mended, with the target and the columns of the recipe.
    is_same : bool
        Whether it was read with the cells that the recipe was made from.
    """

    table: Table
    is_same: bool


def open_table(
    recipe: Recipe, frame: pd.DataFrame | None = None, *, any_table: bool = False, name: str = ""
) -> Opened:
    """Take the table of a recipe, and refuse another one.

    Parameters
    ----------
    recipe : Recipe
        The recipe.
    frame : DataFrame or None, default=None
        The table as read; None takes the bundled sample that the recipe names.
    any_table : bool, default=False
        Go on where the table holds other cells than the recipe's.
    name : str, default=""
        What messages call the table; empty takes the name in the recipe.

    Returns
    -------
    Opened
        The table, and whether it is the recipe's.

    Raises
    ------
    RecipeError
        If the table is not the recipe's, or there is none.
    ValueError
        If the table cannot be valued so.
    """
    if frame is None:
        if recipe.sample is None:
            raise RecipeError(
                f"The recipe is of the table {recipe.table!r}: give that file as well."
            )
        frame = load_sample(recipe.sample).frame
    content = content_digest(frame)
    if content != recipe.content and not any_table:
        raise RecipeError(
            f"This is not the table of the recipe: its content has the digest {content} "
            f"({len(frame):,} rows, {frame.shape[1]:,} columns), that of {recipe.table!r} had "
            f"{recipe.content} ({recipe.n_rows:,} rows, {recipe.n_columns:,} columns)."
        )
    mended = _mend(frame, recipe.mends)
    table = make_table(mended, name or recipe.table, recipe.target, recipe.task, recipe.excluded)
    return Opened(table, content == recipe.content)


def _mend(frame: pd.DataFrame, mends: Sequence[fields.JsonObject]) -> pd.DataFrame:
    """Change cells as a recipe says, one mend after the other."""
    for i, kept in enumerate(mends):
        try:
            frame = mend(frame, [Mend.from_json(kept)])
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            # A recipe may come from anybody, and hold what no screen would have made.
            raise RecipeError(
                f"The recipe cannot be followed: mends[{i}] is {fields.shown(kept)}, which is no mend of a "
                "column: remove it."
            ) from error
    return frame


def replay(
    recipe: Recipe, opened: Opened, *, n_jobs: int | None = None, progress: Progress | None = None
) -> Replay:
    """Value a table again as a recipe says.

    Parameters
    ----------
    recipe : Recipe
        The recipe.
    opened : Opened
        From :func:`open_table`.
    n_jobs : int or None, default=None
        As in joblib.
    progress : callable or None, default=None
        As in :meth:`EcoVal.fit`.

    Returns
    -------
    Replay
        The run, and how it compares.

    Raises
    ------
    ValueError
        If the table cannot be valued so.
    """
    prepared = prepare(
        opened.table,
        proportions=recipe.proportions,
        noise=recipe.noise,
        random_state=recipe.random_state,
    )
    run = value_prepared(prepared, recipe.settings, n_jobs=n_jobs, progress=progress)
    return Replay(recipe, run, opened.is_same)
