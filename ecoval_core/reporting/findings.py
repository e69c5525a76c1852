"""Sections on what was valued, how, and what was found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from markupsafe import Markup
from numpy.typing import ArrayLike

from ecoval_core import charts
from ecoval_core.charts.style import MAX_GROUPS_DRAWN
from ecoval_core.evaluation.pruning import Decision
from ecoval_core.evaluation.verdict import Verdict
from ecoval_core.models.catalog import title_of
from ecoval_core.reporting import grids
from ecoval_core.reporting.blocks import (
    Block,
    Card,
    Cards,
    Facts,
    Grid,
    Notice,
    Plot,
    Section,
    Text,
    more,
    said,
)
from ecoval_core.reporting.figures import plot
from ecoval_core.runs.exports import Unit, unit_of
from ecoval_core.runs.run import Run
from ecoval_core.text import count_of, known
from ecoval_core.valuation.record import LEAST_SURPLUS, reliability_warning
from ecoval_core.valuation.scoring import SCORINGS

# As many as one page of paper holds.
MAX_BARS = 30
MAX_IGNORED = 8
# Points are drawn as vectors, which print sharply and need no WebGL; more are slow, and large on paper.
MAX_POINTS = 5_000
SUM = "Lowest first: intrinsic plus extrinsic value of all its rows; the diamond is their sum."
METHOD = (
    "EcoVal (Tarun, Chundawat, Mandal, Tan, Chen, Kankanhalli, KDD 2024) values the rows of a "
    "training table in two stages, and the values of all rows sum to the surplus, where there is one: the "
    "score of the model minus the score of a guess that uses no features. In the first stage, similar rows "
    "with the same label form clusters and the model is fitted once without each cluster. The "
    "loss in score on the validation rows is the value of the cluster. In the second stage, the "
    "extrinsic value of each row is its effect on the validation rows, predicted or partly "
    "measured, corrected to the measured value of its cluster, as far as the difference exceeds "
    "noise. The rest of the surplus is divided as intrinsic value, by the quality of the rows: how "
    "likely the {noun} of a row is according to three models that have not seen it, namely nearest "
    "neighbours, the model of the run (out of fold) and a random forest (out of bag)."
)
RECONSTRUCTION = (
    "This is a reconstruction: neither the authors' code nor their exact formulas are public, the second "
    "stage is derived from the paper's premises, and values differ from the authors'."
)


def summary(
    run: Run, unit: Unit, decided: Decision, relabelled: Mapping[int, Any], verdict: Verdict
) -> Section:
    """Verdict and headline figures, with a warning where values are not to be trusted."""
    ecoval, frame = run.ecoval, run.frame
    n_below, n_rows = int((frame["value"] < 0).sum()), len(frame)
    score_unit = SCORINGS[run.settings.scoring].unit
    noun = grids.label_word(run)
    cards = [
        Card(
            "Surplus", known(ecoval.surplus_, "+.4f"), score_unit,
            f"± {ecoval.surplus_standard_error_:.4f}; from {known(ecoval.prior_score_, '.4f')} by guessing "
            f"to {known(ecoval.full_score_, '.4f')} with the model. "
            + ("The values of all rows sum to it." if ecoval.surplus_ > LEAST_SURPLUS
               else "As it is not above zero, there is nothing to divide among the rows."),
        ),
        Card(
            "Intrinsic share", known(ecoval.intrinsic_share_, ".0%"), "of the surplus",
            "Rewards typical, credible rows; the rest rewards what rows add, given all others.",
        ),
        Card(
            "Sum of cluster effects", known(ecoval.returns_to_scale_, ".2f"), "of the surplus",
            "What is lost when each cluster is removed on its own, summed over the clusters; "
            "below 1, rows can replace one another.",
        ),
        Card(
            "Clearly harmful rows", f"{len(run.harmful_ids):,}", f"of {n_rows:,}",
            f"{count_of(n_below, 'row')} below zero in all.",
        ),
        Card(
            "Rows to prune", f"{len(decided.reasons):,}", f"of {n_rows:,}",
            f"{count_of(len(decided.spared), 'more row')} kept by the limit of their class."
            if len(decided.spared) else "By the rules and picks under Decisions.",
        ),
        Card(
            f"New {noun}s", f"{len(relabelled):,}", f"of {n_rows:,}",
            f"Rows whose suggested {noun} was accepted.",
        ),
    ]  # fmt: skip
    told = [Markup.escape(verdict.advice()), *verdict.evidence(lambda name: said(name, 40))]
    # Only the names of classes are not ours, and `said` escapes them.
    blocks: list[Block] = [Notice(Markup(" ".join(told)), "plain"), Cards(cards)]  # noqa: S704
    if warning := reliability_warning(ecoval):
        blocks.insert(0, Notice(warning))
    explained = "Values of rows are written in {}, unless another unit is named."
    if unit.kind == "rows":
        explained = (
            "Values of rows are written in {}: +1.0× is what a row brings on average "
            f"({unit_of(run, 'score').text(1 / unit.factor)}), and −3.2× costs what "
            "3.2 such rows bring."
        )
    blocks.append(Text(f"{explained.format(unit.name)} {unit.note}".rstrip()))
    return Section("summary", "In short", blocks)


def what_was_valued(run: Run) -> Section:
    """Describe the table: rows, columns, split, classes, missing values."""
    split_rows, table, how = run.split, run.table, run.opened.spec.split
    sizes = split_rows.parts.value_counts()
    left_out = [
        Markup("{} ({})").format(said(column, 60), said(reason, 80))
        for column, reason in table.excluded.items()
    ]
    beyond = f" and {len(left_out) - MAX_IGNORED:,} more" if len(left_out) > MAX_IGNORED else ""
    train, validation, test = (f"{share:.0%}" for share in how.proportions)
    parts = {
        f"Training rows ({train})": "train", f"Validation rows ({validation})": "validation",
        f"Test rows ({test})": "test", "Rows without a target, set aside": "no target",
    }  # fmt: skip
    split = [(title, f"{sizes[part]:,}") for title, part in parts.items() if part in sizes]
    valued = "training and validation rows, by five folds" if run.settings.every_row else "training"
    noise = "none"
    if len(split_rows.flipped_ids):
        n_flipped = count_of(len(split_rows.flipped_ids), "training row")
        noise = f"{n_flipped} made wrong on purpose ({how.noise:.0%})"
    facts = [
        ("Table", said(table.name)),
        ("Size", f"{count_of(table.n_rows, 'row')}, {count_of(table.frame.shape[1], 'column')}"),
        ("Target", Markup("{} ({})").format(said(table.target), table.task)),
        ("Columns used", f"{len(table.features):,}"),
        ("Ignored columns", Markup(", ").join(left_out[:MAX_IGNORED]) + beyond if left_out else "none"),
        *(("Fixed", said(one.sentence, 300)) for one in run.opened.spec.table.fixes),
        *split,
        ("Rows valued", f"{len(run.frame):,} ({valued})"),
        ("Planted errors", noise),
        ("Split", said(how.describe(), 200)),
        ("Seed of the split", f"{how.random_state}"),
    ]  # fmt: skip
    title, alt = "Rows by target", "Histogram of the target over all rows."
    if table.task == "classification":
        classes = count_of(len(table.classes), "class", "classes")
        title, alt = "Rows by class", f"Bars: rows of each of {classes}, the largest first."
    caption = "All rows that have a target, before any noise was planted."
    counts = plot(
        "classes", title, caption, alt,
        lambda theme: charts.class_counts(table.label_series, theme=theme), grids.classes_grid(run),
    )  # fmt: skip
    missing = grids.missing_grid(run) or Text("No column in use has missing values.")
    return Section("table", "What was valued", [Facts(facts), counts, missing])


def how_it_was_valued(run: Run) -> Section:
    """Give the settings, and the method in five sentences."""
    settings, clusters = run.settings, count_of(run.ecoval.n_clusters_, "cluster")
    facts = [
        ("Model", title_of(settings.model)),
        ("Score of a validation row", SCORINGS[settings.scoring].title),
        ("Clusters", f"{clusters} (asked for: {settings.n_clusters:,})"),
        ("Extrinsic weight", f"{settings.extrinsic_weight:g}"),
        ("Classes", "equal class weights" if settings.balanced else "every row counts equally"),
        ("Seed of the run", f"{settings.random_state}"),
    ]  # fmt: skip
    method = Text(METHOD.format(noun=grids.label_word(run)))
    blocks: list[Block] = [Facts(facts), method, Notice(RECONSTRUCTION, "plain")]
    return Section("method", "Settings and method", blocks)


def values(run: Run, unit: Unit, coordinates: ArrayLike | None, projection: str) -> Section:
    """How values are distributed, their two parts, the map, the lowest and the highest."""
    frame, noun = unit.scale(run.frame), grids.label_word(run)
    n_below = int((frame["value"] < 0).sum())
    n_drawn = min(MAX_POINTS, len(frame))
    drawn_only = ""
    if n_drawn < len(frame):
        drawn_only = f" {n_drawn:,} of {len(frame):,} rows are drawn, the lowest values among them."
    left_out, n_more = "", frame["label"].nunique() - MAX_GROUPS_DRAWN
    if noun == "label" and n_more > 0:
        verb = "is" if n_more == 1 else "are"
        left_out = (
            f"The {count_of(n_more, 'class', 'classes')} of the highest medians {verb} not drawn."
        )
    groups = "class" if noun == "label" else "range of the target"
    blocks: list[Block] = [
        plot(
            "distribution", "Distribution of values",
            f"Above all rows, below each {groups}: the box is its middle half, the whiskers leave out 5 % at "
            "either end. Orange lies below zero, where the model is better without the row. " + left_out,
            f"Histogram of {len(frame):,} values, {n_below:,} below zero, and a box for each {groups}.",
            lambda theme: charts.value_distribution(frame, theme=theme, unit=unit.label),
            grids.distribution_grid(run, unit),
        ),
        plot(
            "decomposition", "Intrinsic against extrinsic value",
            f"Right of the vertical line, a row is a typical example of its {noun}; left of it, "
            "an unusual one. Above the horizontal line it helps the model; below the diagonal "
            f"line its value is below zero.{drawn_only}",
            "Scatter of intrinsic value across and extrinsic value up, a point a row, coloured by value.",
            lambda theme: charts.decomposition_scatter(
                frame, theme=theme, unit=unit.label, limit=MAX_POINTS
            ),
            grids.quadrant_grid(run),
        ),
    ]  # fmt: skip
    if coordinates is not None:
        by = f"by {projection} " if projection else ""
        words = (
            f"{n_drawn:,} rows, placed {by}so that similar rows lie near one another; {n_below:,} "
            f"of {len(frame):,} rows are below zero. The tables below name the rows at either end."
        )
        on_map = plot(
            "map", "Map", "The buttons choose what the colour shows; point at a row to read it.",
            f"Map of the rows coloured by value. {words}",
            lambda theme: charts.value_map(
                frame, coordinates, theme=theme, unit=unit.label, limit=MAX_POINTS
            ),
            Text(words), titled=True,
        )  # fmt: skip
        blocks.append(on_map)
    return Section("values", "Values", [*blocks, *grids.extremes(run, unit)])


def by_class(run: Run, unit: Unit, decided: Decision, relabelled: Mapping[int, Any]) -> Section:
    """Totals of each class."""
    noun = grids.label_word(run)
    left_out = ""
    if noun == "label":
        left_out = more(run.frame["label"].nunique(), MAX_BARS, "class", "classes")
    pruned = [int(row) for row in decided.reasons.index]
    grid = grids.by_class_grid(run, unit, pruned, relabelled)
    title = f"By {'class' if noun == 'label' else 'target'}"
    return Section("by-class", title, [_totals(run, unit, "label", noun, left_out, grid)])


def by_cluster(run: Run, unit: Unit) -> Section:
    """Clusters, the lowest total first."""
    left_out = more(run.frame["cluster"].nunique(), MAX_BARS, "cluster")
    totals = _totals(run, unit, "cluster", "cluster", left_out, grids.clusters_grid(run, unit))
    return Section("by-cluster", "By cluster", [totals])


def _totals(
    run: Run, unit: Unit, by: Literal["label", "cluster"], noun: str, left_out: str, grid: Grid
) -> Plot:
    frame = unit.scale(run.frame)
    return plot(
        f"totals-by-{by}", f"Total value by {noun}", f"{SUM} {left_out}".strip(),
        f"Bars of intrinsic and extrinsic value of each {noun}, the lowest total first.",
        lambda theme: charts.totals_by(frame, by=by, limit=MAX_BARS, theme=theme, unit=unit.label), grid,
    )  # fmt: skip
