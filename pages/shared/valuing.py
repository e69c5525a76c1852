"""Settings of a valuation, what it will cost, and its background job."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from ecoval_core.models.catalog import make_model, models_for
from ecoval_core.models.model_settings import SETTINGS, check_parameters
from ecoval_core.runs.fitting import automatic_clusters, rows_per_fit, rows_to_value
from ecoval_core.runs.opened import Opened
from ecoval_core.valuation.planning import cluster_bounds
from ecoval_core.valuation.scoring import (
    EVEN_SHARE,
    SCORINGS,
    available_scorings,
    rarest_of_even_share,
)
from ecoval_core.work import slow
from ecoval_core.work.jobs import Job
from ecoval_core.workspace.schema import Settings
from pages.shared import formats, progress, state, unvalued
from pages.shared.session import (
    Session,
    model_choices,
    parameter_choices,
    scoring_choices,
    session,
)

MAX_STEPS = 24
# The column of the settings is too narrow for these; a line below says them in full.
_SHORT_SCORES = {
    "log_loss": "logarithm of that probability",
    "brier": "minus the squared distance",
    "accuracy": "1 if right, else 0",
    "squared_error": "minus the squared error",
    "absolute_error": "minus the absolute error",
}


def granularities(
    opened: Opened, model: Any, *, balanced: bool, every_row: bool
) -> tuple[list[int], int]:
    """Granularities on offer, about evenly spaced in ratio, and the automatic one among them."""
    low, _ = cluster_bounds(opened.split.y_train, opened.table.task)
    high = rows_per_fit(opened.split, every_row)
    chosen = automatic_clusters(opened.split, model, high, balanced=balanced)
    automatic = min(max(chosen, low), high)
    steps = np.unique(np.geomspace(low, high, MAX_STEPS).round().astype(int))
    return sorted({*steps.tolist(), automatic}), automatic


def timing(opened: Opened, settings: Settings) -> Job:
    """Time a few fits of the model in the background, whatever the seed, the score and the weight."""
    alike = settings.replace(random_state=0, scoring="", extrinsic_weight=0.0)
    job = progress.begin("timing", slow.timing(opened.key, alike))
    job.wait(progress.PATIENCE_SECONDS)
    return job


def _fits(settings: Settings, opened: Opened) -> bool:
    """Whether the open table can be valued so; a model, say, may no longer be here."""
    try:
        settings.check(opened.table.task)
    except ValueError:
        return False
    return True


def _recall_settings(opened: Opened) -> None:
    record = state.next_record() or state.run_record()
    if record is None or Session.granularity.is_kept:
        return
    chosen, of = session.unvalued_settings, record.spec
    settings = record.settings if chosen is None or not _fits(chosen, opened) else chosen
    if of.table.task == opened.table.task and of.split.kind != "given":
        session.granularity = settings.n_clusters
        model_choices[opened.table.task].set(settings.model)
        scoring_choices[opened.table.task].set(settings.scoring)
        for name, one in SETTINGS.get(settings.model, {}).items():
            value = settings.parameters.get(name, one.default)
            if value is None or isinstance(value, int | float):
                parameter_choices[f"{settings.model}.{name}"].set(value)
        session.value_seed = settings.random_state
        session.every_row = settings.every_row
        session.balanced_classes = settings.balanced
        session.balance_of = opened.table.content
        session.max_val_samples = settings.max_val_samples


def forget_granularity() -> None:
    """Go back to the automatic granularity, whatever was chosen and whatever the run was made with."""
    session.granularity = None


def _settle_granularity(opened: Opened, steps: list[int], automatic: int) -> None:
    """Keep the number chosen for this table; "automatic" stays the choice where its number changes."""
    chosen = session.granularity
    now = (opened.table.content, automatic)
    table, was_automatic = session.granularity_of or (now[0], None)
    if chosen not in steps or chosen == was_automatic or table != now[0]:
        session.granularity = automatic
    session.granularity_of = now


def _choose_balance(opened: Opened) -> bool:
    """Draw the switch that lets every class count alike, with the reason for where it stands."""
    if opened.table.task == "regression":
        return False
    table = opened.table.content
    labels, counts = np.unique(opened.split.y_train, return_counts=True)
    share = rarest_of_even_share(opened.split.y_train)
    if session.balance_of != table:
        session.balance_of, session.balanced_classes = table, share < EVEN_SHARE
    is_balanced = st.toggle(
        "Weigh classes equally",
        **Session.balanced_classes.lasting,
        help="Every class then has the same weight in the score, in the effects and in the model, "
        "however few rows it has. Otherwise a rare class hardly affects the score: its rows "
        "get the lowest values, and pruning them removes the class.",
    )
    rarest, n = formats.plain(labels[counts.argmin()]), int(counts.min())
    rule = (
        "Below a third, this is switched on automatically."
        if share < EVEN_SHARE
        else "Below a third, this would be switched on automatically."
    )
    st.caption(
        f"The rarest class, {rarest}, has {n:,} of {int(counts.sum()):,} training rows: "
        f"{share:.0%} of the share it would have if all classes were equally large. {rule}"
    )
    return is_balanced


def _said_of_rows(opened: Opened, every_row: bool) -> tuple[str, bool]:
    """Say which rows are valued and by which folds, and tell whether every row can be."""
    split = opened.split
    n_train = len(split.y_train)
    try:
        n_all = len(rows_to_value(split, every_row=True).ids)
    except ValueError as error:
        return f"{n_train:,} training rows are valued. {error}", False
    fits = "about 5 times as many fits" if split.rule.kind == "time" else "5 times as many fits"
    if not every_row:
        return (
            f"{n_train:,} training rows are valued. Valuing every row ({n_all:,}) takes {fits}.",
            True,
        )
    said = f"{n_all:,} rows are valued, which takes {fits}."
    if split.rule.kind == "time":
        n_latest = n_train + len(split.y_val) - n_all
        said += (
            f" Each fold trains on earlier rows only, so the {n_latest:,} latest rows are used "
            "for validation and get no value."
        )
    elif split.rule.groups is not None:
        said += f" Rows of the same {split.rule.groups} stay in the same fold."
    return said, True


def _choose_parameters(model: str) -> dict[str, Any]:
    """Draw the few settings of a model, and return those that differ from the defaults."""
    chosen = {}
    for name, one in SETTINGS.get(model, {}).items():
        key = f"{model}.{name}"
        parameter_choices[key].fill(one.default)
        is_whole = isinstance(one.least, int)
        value = st.number_input(
            one.title,
            one.least,
            one.most,
            step=1 if is_whole else None,
            format=None if is_whole else "%g",
            placeholder="no limit",
            help=f"`{name}` of the model; {'empty' if one.default is None else one.default} by default.",
            **parameter_choices[key].lasting,
        )
        if value != one.default and not (value is None and one.default is not None):
            chosen[name] = value
    return chosen


def choose(opened: Opened) -> Settings:
    """Draw the settings, at first those of the run if there is one, and return what is chosen.

    What differs from the run that is open is marked as not valued yet.
    """
    _recall_settings(opened)
    valued, changed = unvalued.settings_of(opened), {}

    def mark(field: str, name: str, value: Any) -> None:
        if valued is not None and getattr(valued, field) != value:
            changed[name] = unvalued.say(field, valued)
        unvalued.mark(changed, name)

    _, is_possible = _said_of_rows(opened, every_row=True)
    every_row = st.toggle(
        "Value every row",
        **Session.every_row.lasting,
        disabled=not is_possible,
        help="Otherwise only the training rows are valued. This pools training and validation rows "
        "and splits them into five folds. Each fold in turn validates the other four, and the "
        "values are averaged. The test rows are not used.",
    )
    every_row = every_row and is_possible
    mark("every_row", "rows valued", every_row)
    st.caption(formats.plain(_said_of_rows(opened, every_row)[0]))
    try:
        on_offer = models_for(opened.table.task)
    except ValueError as error:  # the file with models of one's own
        st.error(formats.plain(str(error)))
        st.stop()
    model = st.selectbox(
        "Model",
        list(on_offer),
        format_func=on_offer.__getitem__,
        **model_choices[opened.table.task].lasting,
        help="The value of a row is its value for this model.",
    )
    mark("model", "model", model)
    with st.expander("Settings of the model"):
        parameters = _choose_parameters(model)
    if "model" not in changed:
        mark("parameters", "settings of the model", parameters)
    estimator = check_parameters(model, make_model(model, opened.table.task), parameters)
    balanced = _choose_balance(opened)
    mark("balanced", "weights of classes", balanced)
    steps, automatic = granularities(opened, estimator, balanced=balanced, every_row=every_row)
    n_rows = rows_per_fit(opened.split, every_row)
    _settle_granularity(opened, steps, automatic)
    n_clusters = st.select_slider(
        "Granularity (number of clusters)",
        steps,
        **Session.granularity.lasting,
        format_func=lambda k: f"{k:,} (automatic)" if k == automatic else f"{k:,}",
        help="A **cluster** is a group of similar rows with the same label or target. The model is "
        "refitted without each cluster in turn. Few clusters are fast but coarse; one row per "
        "cluster is leave-one-out.",
    )
    mark("n_clusters", "number of clusters", int(n_clusters))
    note = "automatic" if n_clusters == automatic else f"automatic would be {automatic:,}"
    st.caption(f"About {formats.rows_each(n_rows / n_clusters)} per cluster; {note}.")
    scorings = available_scorings(opened.table.task, hasattr(estimator, "predict_proba"))
    scoring = st.selectbox(
        "Score of one validation row",
        scorings,
        format_func=lambda name: _SHORT_SCORES.get(name, SCORINGS[name].title),
        **scoring_choices[opened.table.task].lasting,
        help="Values are measured in this score, averaged over the validation rows.",
    )
    mark("scoring", "score", scoring)
    if scoring in _SHORT_SCORES:
        st.caption(f"{SCORINGS[scoring].title.capitalize()}.")
    with st.expander("Advanced"):
        seed = st.number_input(
            "Seed of the valuation",
            0,
            2**31 - 1,
            step=1,
            **Session.value_seed.lasting,
            help="The same seed gives exactly the same values.",
        )
        most = st.number_input(
            "Maximum number of validation rows",
            1,
            step=500,
            **Session.max_val_samples.lasting,
            help="If there are more, effects are measured on a stratified sample of this size. "
            "Beyond a few thousand, more rows change the values by less than their error.",
        )
    mark("random_state", "seed", int(seed))
    mark("max_val_samples", "validation rows", int(most))
    chosen = Settings(
        model=model,
        parameters=parameters,
        scoring=scoring,
        n_clusters=int(n_clusters),
        random_state=int(seed),
        every_row=every_row,
        balanced=balanced,
        max_val_samples=int(most),
    )
    unvalued.note(changed, chosen)
    n_val = len(opened.split.y_val)
    if n_val > most and not every_row:
        st.caption(f"Effects are measured on {most:,} of {n_val:,} validation rows (Advanced).")
    return chosen
