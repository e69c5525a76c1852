"""Tables of a report: classes, missing values, rows, clusters, curves, effects, decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup
from pandas.api import types

from ecoval_core.charts import QUADRANTS, quadrant_of
from ecoval_core.charts.curves import STRATEGY_NAMES
from ecoval_core.charts.style import label_groups
from ecoval_core.evaluation.measures import title_of
from ecoval_core.evaluation.pruning import Effect
from ecoval_core.evaluation.verdict import interval_of, signed
from ecoval_core.reporting.blocks import Grid, cell, more, said
from ecoval_core.runs.exports import Unit
from ecoval_core.runs.recipe import Recipe
from ecoval_core.runs.run import Run
from ecoval_core.text import count_of, known, number

MAX_CLASSES = 30
MAX_CLUSTERS = 40
MAX_COLUMNS = 20
MAX_LISTED = 200
N_EXTREME = 10
# Columns of the user's beside a row, to recognise it by.
N_ORIGINAL = 4
REASONS = {"share": "lowest share", "threshold": "below threshold", "picked": "picked by hand"}


def label_word(run: Run) -> str:
    """Return what the target of a row is called: a label, or a target where it is an amount."""
    return "label" if run.split.task == "classification" else "target"


def measure_title(measure: str) -> str:
    """Name of a measure of :mod:`ecoval_core.evaluation.measures` for people."""
    # Only the name of a class is not ours, and `said` escapes it.
    return Markup(title_of(measure, lambda name: said(name, 40)))  # noqa: S704


def classes_grid(run: Run) -> Grid:
    """Rows of each class by part, or the target's range by part for regression."""
    split = run.split
    parts = ("train", "validation", "test")
    labels, part = split.table.label_series, split.parts
    if split.task == "regression":
        by_part = {"all": labels, **{name: labels[part[labels.index] == name] for name in parts}}
        rows = [
            [name, f"{len(y):,}", *(number(n, 4, trim=True) for n in y.quantile([0, 0.25, 0.5, 0.75, 1]))]
            for name, y in by_part.items()
        ]  # fmt: skip
        quartiles = ["lowest", "first quartile", "median", "third quartile", "highest"]
        note = "Before errors were planted." if len(split.flipped_ids) else ""
        return Grid("Target by part", ["part", "rows", *quartiles], rows, note)
    counts = pd.crosstab(labels, part[labels.index]).reindex(columns=list(parts), fill_value=0)
    counts.insert(0, "rows", counts.sum(axis=1))
    counts = counts.sort_values("rows", ascending=False, kind="stable")
    shown = counts.head(MAX_CLASSES)
    rows = [
        [said(name), *(f"{n:,}" for n in row)]
        for name, row in zip(shown.index, shown.to_numpy(), strict=True)
    ]
    columns = ["class", "rows", "training", "validation", "test"]
    note = more(len(counts), len(shown), "class", "classes")
    return Grid("Rows by class", columns, rows, note)


def missing_grid(run: Run) -> Grid | None:
    """Columns that lack values, the worst first; None if none does."""
    table = run.table
    missing = table.frame[table.features].isna().sum()
    missing = missing[missing > 0].sort_values(ascending=False, kind="stable")
    if missing.empty:
        return None
    shown = missing.head(MAX_COLUMNS)
    rows = [[said(name), f"{n:,}", f"{n / table.n_rows:.1%}"] for name, n in shown.items()]
    note = more(len(missing), len(shown), "column")
    return Grid("Missing values", ["column", "missing", "share"], rows, note)


def quadrant_grid(run: Run) -> Grid:
    """Rows of each kind, by quality and measured effect."""
    counts = quadrant_of(run.frame).value_counts()
    rows = [
        [name, f"{counts.get(name, 0):,}", f"{counts.get(name, 0) / len(run.frame):.1%}"]
        for name in QUADRANTS.values()
    ]
    return Grid("Rows by kind", ["kind of row", "rows", "share"], rows)


def distribution_grid(run: Run, unit: Unit) -> Grid:
    """Quantiles of the values, of all rows and of each class."""
    frame = run.frame
    groups = label_groups(frame["label"])
    shares = {"5 %": 0.05, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "95 %": 0.95}
    columns = [label_word(run), "rows", "below zero", *shares]

    def line(name: str, values: pd.Series) -> list[str]:
        quantiles = (unit.number(float(values.quantile(q))) for q in shares.values())
        return [name, f"{len(values):,}", f"{(values < 0).mean():.1%}", *quantiles]

    kinds = list(frame["value"].groupby(groups, observed=True))
    rows = [line("all rows", frame["value"])]
    rows += [line(said(name), values) for name, values in kinds[:MAX_CLASSES]]
    title = f"Quantiles of the values, in {unit.name}"
    note = more(len(kinds), MAX_CLASSES, "class", "classes")
    return Grid(title, columns, rows, note)


def _row_grid(
    run: Run, title: str, columns: Sequence[str], rows: Sequence[tuple[int, Sequence[str]]],
    numbers: Iterable[str], note: str = "",
) -> Grid:  # fmt: skip
    """Table of rows, each with its id before and the first columns of the user's table after."""
    frame = run.table.frame[run.table.features[:N_ORIGINAL]]
    amounts = [said(name) for name in frame if types.is_numeric_dtype(frame[name])]
    cells = [[f"{row}", *written, *map(cell, frame.iloc[row])] for row, written in rows]
    columns = ["row", *columns, *map(said, frame)]
    return Grid(title, columns, cells, note, ("row", *numbers, *amounts))


def _records(frame: pd.DataFrame) -> list[tuple[Any, dict[str, Any]]]:
    """Return the rows of a frame as dictionaries, each with its index."""
    records: Any = frame.to_dict("records")
    return list(zip(frame.index.tolist(), records, strict=True))


def extremes(run: Run, unit: Unit) -> tuple[Grid, Grid]:
    """Rows of the lowest and of the highest value."""
    ranked = run.frame["value"].sort_values(kind="stable").index
    return _extreme(run, unit, ranked, "lowest"), _extreme(run, unit, ranked[::-1], "highest")


def _extreme(run: Run, unit: Unit, ranked: pd.Index, which: str) -> Grid:
    noun, shown = label_word(run), ranked[:N_EXTREME]
    rows = []
    for row, found in _records(run.frame.loc[shown]):
        parts = (unit.number(found[name]) for name in ("intrinsic", "extrinsic"))
        values = [unit.number(found["value"]), unit.size(found["standard_error"]), *parts]
        quality = known(found["label_quality"], ".2f")
        labels = cell(found["label"]), cell(found["suggested_label"])
        rows.append((row, [labels[0], *values, f"{found['cluster']}", quality, labels[1]]))
    numbers = ["value", "±", "intrinsic", "extrinsic", "cluster", f"{noun} quality"]
    title = f"The {count_of(len(shown), f'{which} value')}, in {unit.name}"
    likelier = "suggested label" if noun == "label" else "expected target"
    return _row_grid(run, title, [noun, *numbers, likelier], rows, numbers)


def by_class_grid(
    run: Run, unit: Unit, pruned: Sequence[int], relabelled: Mapping[int, Any]
) -> Grid:
    """Totals, and what goes or changes, of each class; the lowest mean value first."""
    frame = run.frame.assign(
        pruned=run.frame.index.isin(pruned), relabelled=run.frame.index.isin(list(relabelled))
    )
    groups = frame.groupby(label_groups(frame["label"]), observed=True)
    totals = groups.agg(
        n_rows=("value", "size"), value=("value", "sum"), mean=("value", "mean"),
        intrinsic=("intrinsic", "sum"), extrinsic=("extrinsic", "sum"),
        below=("value", lambda v: (v < 0).mean()), pruned=("pruned", "sum"),
        relabelled=("relabelled", "sum"),
    ).sort_values("mean", kind="stable")  # fmt: skip
    shown = totals.head(MAX_CLASSES)
    rows = [
        [
            said(name), f"{one['n_rows']:,}",
            *(unit.number(one[part]) for part in ("value", "mean", "intrinsic", "extrinsic")),
            f"{one['below']:.1%}", f"{one['pruned']:,}", f"{one['relabelled']:,}",
        ]
        for name, one in _records(shown)
    ]  # fmt: skip
    noun = label_word(run)
    columns = [noun, "rows", "total value", "mean value", "intrinsic", "extrinsic", "below zero"]
    columns += ["to prune", f"new {noun}"]
    title = f"Values by {noun}, lowest mean first, in {unit.name}"
    rare = run.verdict().too_rare(lambda name: said(name, 40))
    # Only the names of classes are not ours, and `said` escapes them.
    note = Markup(f"{rare} {more(len(totals), len(shown), 'class', 'classes')}".strip())  # noqa: S704
    return Grid(title, columns, rows, note)


def clusters_grid(run: Run, unit: Unit) -> Grid:
    """Clusters, the lowest total first, with what was measured of each and what is passed on."""
    clusters = run.clusters
    shown = clusters.head(MAX_CLUSTERS)
    is_class = run.split.task == "classification"
    rows = [
        [
            f"{one['cluster']}", *([cell(one["label"])] if is_class else []), f"{one['n_rows']:,}",
            *(unit.number(one[part]) for part in ("value", "intrinsic", "extrinsic", "left_out")),
            unit.size(one["left_out_error"]), unit.number(one["passed_on"]),
        ]
        for _, one in _records(shown)
    ]  # fmt: skip
    numbers = ["rows", "total value", "intrinsic", "extrinsic", "effect", "±", "passed on"]
    columns = ["cluster", *(["label"] if is_class else []), *numbers]
    note = (
        "The effect is what the score loses without the cluster; below zero, the model is better "
        "without it. Passed on is what its rows are credited with: their own effects, predicted or "
        "partly measured, corrected to that of the cluster as far as the difference is more than noise. "
    )
    if run.settings.every_row:
        note += "Measured in the first of five folds. "
    note += more(len(clusters), len(shown), "cluster")
    title = f"Clusters, lowest total value first, in {unit.name}"
    return Grid(title, columns, rows, note.strip(), ("cluster", *numbers))


def curves_grid(summary: pd.DataFrame, metric: str) -> Grid:
    """Mean score of each strategy at each share removed."""
    means = summary.pivot_table(index="share", columns="strategy", values="mean", sort=False)
    names = [name for name in STRATEGY_NAMES if name in means]
    means = means.sort_index()[names]
    columns = ["rows removed", *(STRATEGY_NAMES[name] for name in names)]
    rows = [
        [f"{share:.0%}", *(known(score, ".3f") for score in row)]
        for share, row in zip(means.index, means.to_numpy(), strict=True)
    ]
    title = f"Mean test {metric} by share of the rows removed"
    return Grid(title, columns, rows, numbers=columns)


def effect_grid(title: str, effect: Effect) -> Grid:
    """Every measure before and after."""
    columns = ["test measure", "before", "after", "change", "90 % interval", "test rows"]
    rows = [
        [
            measure_title(change.measure), known(change.before, ".3f"), known(change.after, ".3f"),
            signed(change.difference), interval_of(change), f"{change.n_test:,}",
        ]
        for change in effect.changes
    ]  # fmt: skip
    note = "Intervals of the change, from a paired bootstrap of the test rows."
    return Grid(title, columns, rows, note)


def pruned_grid(run: Run, unit: Unit, reasons: pd.Series) -> Grid:
    """Rows that go, the lowest value first, with the reason."""
    shown = reasons.head(MAX_LISTED)
    rows = []
    for row, found in _records(run.frame.loc[shown.index].assign(reason=shown)):
        why = " + ".join(REASONS[name] for name in found["reason"].split(" + "))
        value = unit.number(found["value"]), unit.size(found["standard_error"])
        rows.append((row, [cell(found["label"]), *value, why]))
    title = f"Rows to prune, lowest value first, in {unit.name}"
    columns = [label_word(run), "value", "±", "reason"]
    return _row_grid(run, title, columns, rows, ("value", "±"), more(len(reasons), len(shown)))


def decided_grid(run: Run, recipe: Recipe) -> Grid:
    """Decisions on labels: new ones first, the least credible label first."""
    noun, frame, relabelled = label_word(run), run.frame, recipe.relabelled
    ranked = frame.loc[frame.index.isin(list(recipe.labels)), ["label", "label_quality"]]
    ranked = ranked.assign(is_kept=~ranked.index.isin(list(relabelled)))
    shown = ranked.sort_values(["is_kept", "label_quality"], kind="stable").head(MAX_LISTED)
    rows = []
    for row, found in _records(shown):
        new = cell(relabelled[row]) if row in relabelled else "kept"
        rows.append((row, [cell(found["label"]), new, known(found["label_quality"], ".2f")]))
    title = f"{count_of(len(ranked), 'decision')} on {noun}s, new {noun}s first"
    quality = f"{noun} quality"
    columns = [f"given {noun}", f"new {noun}", quality]
    return _row_grid(run, title, columns, rows, [quality], more(len(ranked), len(shown)))
