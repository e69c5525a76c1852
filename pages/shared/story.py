"""The story of one row: what it is worth, in which company it stands, and why, in plain words."""

from __future__ import annotations

import streamlit as st

from ecoval_core import charts
from ecoval_core.text import count_of
from ecoval_core.valuation.quality import nearest_neighbors
from ecoval_core.workspace.runs import Run
from pages.shared import formats, rows, state

N_NEIGHBORS = 10
_EFFECTS = {
    1: "It **pushes the model towards** the right answer on validation rows.",
    0: "Taking it away **changes little**: other rows do the same job, or what it does against the model "
    "weighs no more than its quality.",
    -1: "It **pulls the model away** from the right answer on validation rows, and that is charged to it.",
}


def about_cluster(run: Run, row_id: int) -> str:
    """Sentence on the cluster of a row, and on how the row stands to it."""
    frame, unit, ecoval = run.frame, formats.unit_of(run), run.ecoval
    row = frame.loc[[row_id]].iloc[0]
    cluster = int(row["cluster"])
    worth = float(ecoval.cluster_values_[cluster])
    error = float(ecoval.cluster_standard_errors_[cluster])
    n_members = int((frame["cluster"] == cluster).sum())
    sentence = (
        f"**Its cluster** ({cluster}) has {count_of(n_members, 'row')} and is worth "
        f"{unit.number(worth)} ± {unit.size(error)} {unit.label}"
    )
    if abs(worth) <= 2 * error:
        return f"{sentence}: with or without it the model scores about the same."
    sentence += f": without it the model scores {'worse' if worth > 0 else 'better'}."
    kinds = {name: kind for kind, name in charts.QUADRANTS.items()}
    _, effect = kinds[charts.quadrant_of(frame)[row_id]]
    if effect * worth < 0:
        gains, does = ("helps", "harms") if worth > 0 else ("harms", "helps")
        sentence += f" The cluster as a whole {gains}; this row among its members {does}."
    return sentence


def neighbors_of(run: Run, row_id: int) -> list[int]:
    """Row ids of the nearest other valued rows, nearest first."""
    positions = nearest_neighbors(run.X, N_NEIGHBORS + 1, run.X[run.ids == row_id])[0]
    found = [int(run.ids[position]) for position in positions]
    return [other for other in found if other != row_id][:N_NEIGHBORS]


def why(run: Run, row_id: int, n_alike: int, n_neighbors: int) -> str:
    """Reason for a row's value, in plain words."""
    row = run.frame.loc[[row_id]].iloc[0]
    kinds = {name: kind for kind, name in charts.QUADRANTS.items()}
    is_typical, effect = kinds[charts.quadrant_of(run.frame)[row_id]]
    noun = formats.target_word(run)
    standing = f"It is {'a **typical**' if is_typical else 'an **odd**'} example of its {noun}"
    company = ""
    if run.split.task == "classification":
        company = f": {n_alike} of its {n_neighbors} nearest neighbours carry the same one"
    needed = _EFFECTS[effect]
    advice = ""
    if row_id in run.surely_negative_ids:
        advice = (
            " Its value is more than two standard errors from zero (validation rows only): the model "
            f"seems better without it, so check its {noun} before pruning it."
        )
    elif row["value"] < 0:
        advice = (
            " Its value is below zero, but zero lies within two standard errors: "
            f"check its {noun} before pruning it."
        )
    return f"{standing}{company} (quality {row['quality']:.2f} of 1). {needed}{advice}"


def draw(run: Run, row_id: int) -> None:
    """Draw the story of a row."""
    frame, unit = run.frame, formats.unit_of(run)
    row = frame.loc[[row_id]].iloc[0]
    rank = int((frame["value"] < row["value"]).sum()) + 1
    label, original = formats.plain(row["label"]), formats.plain(row["original_label"])
    planted = f", planted: it was **{original}**" if row["flipped"] else ""
    noun = formats.target_word(run)
    title = f"labelled {label}" if noun == "label" else f"target {label}"
    st.subheader(f"Row {row_id}: {title}", anchor=False)
    text, table = st.columns([1, 1.4], gap="large")
    near = neighbors_of(run, row_id)
    n_alike = int((frame.loc[near, "label"] == row["label"]).sum())
    with text:
        st.markdown(
            f"**Value {unit.number(row['value'])} ± {unit.size(row['standard_error'])} {unit.label}** = "
            f"intrinsic {unit.number(row['intrinsic'])} + extrinsic {unit.number(row['extrinsic'])}; "
            f"number {rank:,} of {len(frame):,} from the bottom. {noun.capitalize()} **{label}**{planted}.",
            help="± one standard error: how far the value would move with other validation rows.",
        )
        st.markdown(why(run, row_id, n_alike, len(near)))
        st.markdown(
            f"{about_cluster(run, row_id)} On *Decompose* the row counts as "
            f"**{charts.quadrant_of(frame)[row_id].lower()}**."
        )
        if run.split.task == "classification" and row["suggested_label"] != row["label"]:
            st.markdown(
                f"**Its label** has quality {row['label_quality']:.2f}; the judges suggest "
                f"**{formats.plain(row['suggested_label'])}**. Decide on it on *Wrong labels*."
            )
    with table:
        st.markdown("**The row and its nearest neighbours**, nearest first")
        shown = [row_id, *near]
        # A table of its own for each story: ticks do not go over to the next.
        key = f"neighbors_{row_id}"

        def pick_neighbor() -> None:
            marked = rows.ids_at(shown, key)
            state.pick(marked[0] if marked else row_id)

        rows.draw(run, shown, key, on_select=pick_neighbor)
        st.caption("Mark a neighbour for its story and its place on the map.")
