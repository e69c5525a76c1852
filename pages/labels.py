"""Labels: likely wrong ones as a list or as cards, suggestions accepted or not, and what that changes."""

from __future__ import annotations

import streamlit as st

from ecoval_core.runs.run import Run
from ecoval_core.text import count_of, join
from pages.shared import (
    cards,
    effects,
    formats,
    labelling,
    layout,
    menu,
    prunelist,
    rows,
    state,
    ticks,
)
from pages.shared.session import Session, session

VIEWS = {"list": "List", "cards": "Cards, by keyboard"}
TABLE_KEY = "suspect_rows"
ISSUES, RANKED = "issues", "ranked"
N_CLASSES_NAMED = 6
MAX_LISTED = 2_000


def list_suspects(run: Run) -> list[int]:
    """Draw the doubtful rows and return the ids of those that are marked, or else are undecided."""
    noun, is_class = formats.target_word(run), run.class_labels is not None
    issue = "label issue" if is_class else "unusual target"
    left, right = st.columns([2, 1], gap="large", vertical_alignment="bottom")
    left.segmented_control(
        "Rows listed",
        [ISSUES, RANKED],
        format_func={
            ISSUES: f"{issue.capitalize()}s ({int(run.frame['label_issue'].sum()):,})",
            RANKED: f"Every row by {noun} quality",
        }.__getitem__,
        required=True,
        **Session.label_list.lasting,
        help="An issue is a label that three models find unlikely, also compared with other rows "
        "of its class, while they find another one likely. The other list ranks every row; "
        "for a rare class it lists many that are correct."
        if is_class
        else "An unusual target is farther from what the models expect than 3.5 times the usual "
        "deviation of targets of its size. The other list ranks every row.",
    )
    right.toggle("Undecided only", **Session.label_undecided.lasting)
    threshold = None
    if session.label_list == RANKED:
        threshold = st.slider(
            f"Rows whose {noun} quality is below",
            0.05,
            1.0,
            step=0.05,
            **Session.label_threshold.lasting,
            help=f"{noun.capitalize()} quality: how likely the given {noun} is, from 0 to 1, "
            "according to three models that have not seen it: nearest neighbours, the model "
            "of the run fitted without the row, and a random forest.",
        )
    found = labelling.suspects(run, threshold, undecided_only=session.label_undecided)
    ids = [int(row) for row in found.index[:MAX_LISTED]]
    if not ids:
        low = f"No row is left whose {noun} quality is below {threshold or 0:.2f}."
        st.info(low if threshold is not None else f"No {issue} is left to decide.")
        return []
    table = found.loc[ids, ["label", "suggested_label", "label_quality", "decision"]]
    original = rows.with_original(run, ids)
    left_out = {*table, "intrinsic", "extrinsic", "standard_error"}
    columns = formats.value_columns(run) | {
        "label": st.column_config.Column(f"given {noun}"),
        "suggested_label": st.column_config.Column("suggested label")
        if is_class
        else st.column_config.NumberColumn("expected target", format="%.5g"),
        "label_quality": st.column_config.ProgressColumn(
            "quality", format="%.2f", min_value=0, max_value=1
        ),
        "flipped": st.column_config.CheckboxColumn("planted", help="Changed on purpose on Data"),
    }
    key, _ = ticks.place(TABLE_KEY, ids)
    st.dataframe(
        table.join(original.drop(columns=[c for c in original if c in left_out])),
        key=key,
        height=layout.table_height(len(ids)),
        column_config=columns,
        on_select="rerun",
        selection_mode="multi-row",
    )
    if len(found) > len(ids):
        st.caption(f"Showing the first {len(ids):,} of {len(found):,} rows.")
    st.caption(
        f"{len(found):,} of {len(run.frame):,} valued rows, the lowest quality first. Tick rows on the "
        + (
            "left to decide on those alone; otherwise the buttons apply to every row listed that is not "
            "decided on."
            if is_class
            else "left to decide on them. The expected target is predicted from the other columns: a target "
            "far from it is unusual, and often right."
        )
    )
    if rare := run.verdict().too_rare(formats.plain):
        st.caption(rare)
    if run.settings.balanced:
        st.caption(
            "Label quality ignores the weights of classes: in a rare class more labels look wrong "
            "than are. Decide on those one by one."
        )
    if marked := ticks.marked(key, ids):
        return marked
    # An amount is decided on by looking at its row, never in bulk.
    return [row for row in ids if row not in session.label_decisions] if is_class else []


def draw_decisions(run: Run, ids: list[int]) -> None:
    """Draw the buttons that decide."""
    noun = formats.target_word(run)
    n = len(ids)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            f"Accept the suggestion for {count_of(n, 'row')}"
            if run.class_labels is not None
            else f"Take the expected target for {count_of(n, 'row')}",
            key="accept_labels",
            icon=":material/check:",
            disabled=not n,
            on_click=labelling.decide,
            args=(ids, "accept"),
        )
        st.button(
            f"Keep the {noun} of {count_of(n, 'row')}",
            key="keep_labels",
            icon=":material/block:",
            disabled=not n,
            on_click=labelling.decide,
            args=(ids, "keep"),
        )
        st.button(
            "Undo", key="undo_labels", on_click=labelling.undo, disabled=not session.label_past
        )
        st.button(
            "Clear",
            key="clear_labels",
            on_click=labelling.clear,
            disabled=not session.label_decisions,
        )
    st.markdown(
        f"**Accepted: {labelling.count('accept'):,}** · kept: {labelling.count('keep'):,}. Accepted rows "
        f"get their new {noun} in the column *corrected_label* of every download on *Prune*, and are not "
        "pruned."
    )


def _what_accepting_does(run: Run, ids: list[int]) -> str:
    """Say what accepting the suggestions of some rows does, class by class."""
    if run.split.task == "regression":
        return (
            f"Accepting gives {count_of(len(ids), 'row')} the target that the three models predict."
        )
    moves = labelling.changes_by_class(run, ids)
    told = [
        f"class **{formats.plain(name)}** loses {lost:,} of its {count_of(size, 'row')} and gains {gained:,}"
        for name, size, lost, gained in moves[:N_CLASSES_NAMED]
    ]
    more = " classes" if len(moves) > len(told) else ""
    return f"Accepting {count_of(len(ids), 'suggestion')}: {join(told, len(moves))}{more}."


def draw_effects(run: Run) -> None:
    """Draw the effect of relabelling the accepted rows beside that of removing them."""
    st.subheader("Relabel or remove?", anchor=False)
    new_labels = labelling.relabelled(run)
    if not new_labels:
        st.caption(f"Both are measured once you accept a new {formats.target_word(run)}.")
        return
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(f"**Relabelling {count_of(len(new_labels), 'row')}**")
        effects.draw(prunelist.effect(run, [], new_labels, "relabelling"), run, "relabel_effect")
    with right:
        st.markdown(f"**Removing the same {count_of(len(new_labels), 'row')}**")
        effects.draw(prunelist.effect(run, list(new_labels), slot="removal"), run, "remove_effect")


shown = state.run()
layout.title(
    "Labels",
    "**Target quality** is how usual the given target is according to three models that have not seen it; a "
    "low quality suggests an unusual target, which may be right or wrong. **Value** is what a row is worth "
    "to the model: not every unusual target does harm."
    if shown is not None and shown.class_labels is None
    else "**Label quality** is how likely the given label is according to three models that have not "
    "seen it; a low quality suggests a wrong label. **Value** is what a row is worth to the "
    "model: not every wrong label does harm.",
)
run = layout.need_run()
layout.warn_if_unreliable(run)
layout.choose("View", VIEWS, Session.label_view)
if session.label_view == "cards":
    cards.draw(run)
else:
    # A place of its own, lest the buttons are made anew under the visitor's hands.
    with st.container():
        marked = list_suspects(run)
        if marked:
            st.caption(_what_accepting_does(run, marked))
    draw_decisions(run, marked)
    draw_effects(run)
menu.lead_on("prune", "Go on to Prune")
