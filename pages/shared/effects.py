"""The measured effect of a change of the training rows, in words and class by class."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from ecoval_core.evaluation.measures import title_of
from ecoval_core.evaluation.pruning import Effect
from ecoval_core.evaluation.verdict import describe_effect, interval_of
from ecoval_core.runs.run import Run
from pages.shared import formats


def title(measure: str) -> str:
    """Name of a measure for people."""
    return title_of(measure, formats.plain)


def draw(effect: Effect | None, run: Run, key: str) -> None:
    """Draw the verdict and every measure before and after, if the effect is measured."""
    if effect is None:
        return
    show = {"worse": st.warning, "better": st.success, "unsure": st.info}[effect.verdict]
    word, sentence = describe_effect(effect, formats.plain)
    show(f"**{word}**{' ' if effect.verdict == 'unsure' else ': '}{sentence}")
    table = pd.DataFrame(
        {
            "measure": [title(change.measure) for change in effect.changes],
            "before": [change.before for change in effect.changes],
            "after": [change.after for change in effect.changes],
            "change": [change.difference for change in effect.changes],
            "90 % interval": [interval_of(change) for change in effect.changes],
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
            help="Of the change, from a paired bootstrap of the test rows",
        ),
        "test rows": number(
            "test rows", format="localized", help="All test rows, or those of the class"
        ),
    }
    st.dataframe(table, key=key, hide_index=True, column_config=columns)
    balanced = ", with equal class weights" if run.settings.balanced else ""
    st.caption(
        f"{formats.model_title(run.settings.model)}{balanced}: fitted before and after the change "
        "and scored on the test rows, which were not used for the values."
    )
