"""The measured effect of a change of the training rows, in words and class by class."""

from __future__ import annotations

import math

import pandas as pd
import streamlit as st

from ecoval_core.evaluation.measures import Change
from ecoval_core.evaluation.pruning import Effect
from ecoval_core.text import MINUS
from ecoval_core.workspace.runs import Run
from pages.shared import formats

_RECALL = "recall: "
_TITLES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "roc_auc": "ROC AUC",
    "r2": "R²",
}


def title(measure: str) -> str:
    """Name of a measure for people."""
    return _TITLES.get(measure) or "recall of " + measure.removeprefix(_RECALL)


def _signed(difference: float) -> str:
    return f"{difference:+.3f}".replace("-", MINUS) if abs(difference) >= 0.0005 else "0"


def _figures(change: Change) -> str:
    return (
        f"{change.before:.3f} before, {change.after:.3f} after; 90 % interval of the change "
        f"{_signed(change.low)} to {_signed(change.high)}, on {change.n_test:,} test rows"
    )


def verdict(effect: Effect) -> str:
    """Say what a change did, first of all to the class that is hit worst."""
    overall, hit = effect.overall, effect.worst_hit
    main = title(effect.main)
    name = "" if hit is None else formats.plain(hit.measure.removeprefix(_RECALL))
    if hit is not None and hit.high < 0:
        return (
            f"**Worse for class {name}**: its recall falls ({_figures(hit)}). "
            f"The {main} overall: {_figures(overall)}."
        )
    if effect.verdict == "worse":
        return f"**Worse**: the {main} falls ({_figures(overall)})."
    ending = ""
    if hit is not None and hit.difference < 0:
        ending = f" No class surely loses. The largest fall is in class {name}: {_figures(hit)}."
    elif hit is not None:
        ending = " No class loses."
    if effect.verdict == "better":
        return f"**Better**: the {main} rises ({_figures(overall)}).{ending}"
    return f"**No difference to be sure of** in the {main} ({_figures(overall)}).{ending}"


def draw(effect: Effect, run: Run, key: str) -> None:
    """Draw the verdict and every measure before and after."""
    show = {"worse": st.warning, "better": st.success, "unsure": st.info}[effect.verdict]
    show(verdict(effect))
    table = pd.DataFrame(
        {
            "measure": [title(change.measure) for change in effect.changes],
            "before": [change.before for change in effect.changes],
            "after": [change.after for change in effect.changes],
            "change": [change.difference for change in effect.changes],
            "90 % interval": [_interval(change) for change in effect.changes],
            "test rows": [change.n_test for change in effect.changes],
        }
    )
    number = st.column_config.NumberColumn
    columns = {
        "before": number("before", format="%.3f"),
        "after": number("after", format="%.3f"),
        "change": number("change", format="%+.3f"),
        "90 % interval": st.column_config.Column(
            "90 % interval",
            help="Of the change, over a bootstrap of the test rows, the same rows before and after",
        ),
        "test rows": number(
            "test rows", format="localized", help="Rows counted: all, or those of the class"
        ),
    }
    st.dataframe(table, key=key, hide_index=True, column_config=columns)
    balanced = ", every class counting alike" if run.settings.balanced else ""
    st.caption(
        f"{formats.model_title(run.settings.model)}{balanced}: fitted on the rows before and after the "
        "change, scored on the test rows, which played no part in valuing."
    )


def _interval(change: Change) -> str:
    if math.isnan(change.low):
        return "–"
    return f"{_signed(change.low)} to {_signed(change.high)}"
