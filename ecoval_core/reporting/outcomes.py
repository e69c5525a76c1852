"""Sections on what removing rows does, and on what was decided."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from markupsafe import Markup

from ecoval_core import charts
from ecoval_core.charts.curves import STRATEGY_NAMES
from ecoval_core.evaluation.curves import summarise_curves
from ecoval_core.evaluation.pruning import Decision, Effect, detection
from ecoval_core.evaluation.verdict import describe_effect
from ecoval_core.reporting import grids
from ecoval_core.reporting.blocks import Block, Facts, Notice, Plot, Section, Text, said
from ecoval_core.reporting.figures import plot
from ecoval_core.runs.exports import Unit
from ecoval_core.runs.recipe import Recipe
from ecoval_core.runs.run import Run
from ecoval_core.text import count_of, known

QUESTIONS = {
    "lowest": "What if the lowest values are removed first?",
    "highest": "What if the highest values are removed first?",
}
TONES = {"worse": "warning", "better": "good", "unsure": "plain"}


def curves_section(run: Run, curves: pd.DataFrame | None) -> Section | None:
    """Draw removal curves, if they were measured."""
    if curves is None:
        return None
    main = run.main_measure
    metric = grids.measure_title(main)
    summary = summarise_curves(curves[curves["measure"] == main])
    baseline = float(summary.loc[summary["share"] == 0, "mean"].iloc[0])
    words = (
        "If the values are right, removing the lowest first keeps or raises the score on the test "
        "rows, and removing the highest first makes it fall faster than chance. The model is "
        f"fitted again at every step. With all rows the test {metric} is "
        f"{known(baseline, '.3f')}; a peak is chosen on the same test rows, so it is optimistic: "
        "expect less on new data."
    )
    plots = [
        _curve_plot(summary, baseline, metric, strategy, question)
        for strategy, question in QUESTIONS.items()
        if strategy in set(summary["strategy"])
    ]
    return Section("curves", "Removal curves", [Text(words), *plots])


def _curve_plot(
    summary: pd.DataFrame, baseline: float, metric: str, strategy: str, question: str
) -> Plot:
    shown = summary[summary["strategy"].isin([strategy, "random", "random_clusters"])]
    return plot(
        f"curve-{strategy}", question, "Bands show the middle 80 % of the random orders.",
        f"Lines: test {metric} against the share of rows removed, {STRATEGY_NAMES[strategy]}, beside random "
        "orders.",
        lambda theme: charts.removal_chart(shown, baseline, metric, theme=theme),
        grids.curves_grid(shown, metric),
    )  # fmt: skip


def effects_section(run: Run, effects: Mapping[str, Effect]) -> Section | None:
    """Measured effects class by class, if there are any."""
    if not effects:
        return None
    balanced = ", with equal class weights," if run.settings.balanced else ""
    words = (
        f"The model{balanced} was fitted before and after each change and scored on the test "
        "rows, which were not used for the values."
    )
    blocks: list[Block] = [Text(words)]
    for title, effect in effects.items():
        word, sentence = describe_effect(effect, lambda name: said(name, 40))
        # Only the name of a class is not ours, and `said` escapes it.
        verdict = Markup(f"{word}{' ' if effect.verdict == 'unsure' else ': '}{sentence}")  # noqa: S704
        blocks += [grids.effect_grid(title, effect), Notice(verdict, TONES[effect.verdict])]
    return Section("effects", "Measured effects", blocks)


def decisions_section(run: Run, unit: Unit, recipe: Recipe, decided: Decision) -> Section:
    """Which rows go, by which rules, and what was decided on labels."""
    is_class, rules, reasons = run.class_labels is not None, recipe.prune, decided.reasons
    threshold = "none"
    if rules.threshold is not None:
        threshold = f"every row below {unit.text(rules.threshold)}"
    facts: list[tuple[str, str]] = [
        ("Lowest share", f"{rules.share:.1%} of the rows" if rules.share else "none"),
        ("Threshold", threshold),
        ("Picked by hand", count_of(len(rules.picked), "row")),
        ("Restored by hand", count_of(len(rules.restored), "row")),
    ]
    if is_class:
        facts.append(("Limit of each class", f"at least {rules.quota:.0%} of each class"))
        facts.append(("Kept by the limit of their class", count_of(len(decided.spared), "row")))
    flipped = run.frame.index[run.frame["flipped"]]
    if len(flipped):
        found = detection(reasons.index, flipped)
        words = (
            f"{found.caught:,} of {len(flipped):,} (precision {known(found.precision, '.0%')}, recall "
            f"{known(found.recall, '.0%')})"
        )
        facts.append(("Planted errors among them", words))
    facts.append(("Rows pruned", f"{len(reasons):,} of {len(run.frame):,}"))
    pruned = grids.pruned_grid(run, unit, reasons) if len(reasons) else Text("No row is pruned.")
    grid = grids.decided_grid(run, recipe)
    decided_on = grid if grid.rows else Text(f"No {grids.label_word(run)} was decided on.")
    return Section("decisions", "Decisions", [Facts(facts), pruned, decided_on])
