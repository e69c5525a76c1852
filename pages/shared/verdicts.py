"""The verdict on the run that is open: measured in the background, and the same on every page."""

from __future__ import annotations

import streamlit as st

from ecoval_core.evaluation.verdict import Verdict
from ecoval_core.runs.run import Run
from ecoval_core.work import slow
from pages.shared import formats, progress, removal


def verdict_of(run: Run) -> Verdict:
    """Return the verdict, as far as it is measured; what removing the clearly harmful rows does is begun."""
    if not len(run.split.y_test):
        return run.verdict()
    harm = slow.change_effect(run, list(run.harmful_ids))
    effect = progress.fetch("verdict", harm, "Measuring the verdict")
    found = removal.measured(run)
    return run.verdict(effect, None if found is None else found.frame)


def draw(run: Run) -> Verdict:
    """Draw what to do and why."""
    with st.container(border=True, key="verdict", gap=None):
        # What is measured takes the place of the line that says so: the page below hardly moves.
        sentences = st.container(gap=None)
        verdict = verdict_of(run)
        sentences.markdown(f"**{verdict.advice()}**")
        sentences.markdown(":small[" + " ".join(verdict.evidence(formats.plain)) + "]")
    return verdict
