"""Review: row after row by the keyboard, beside its class and its neighbours; and the clusters in words."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd
import streamlit as st

from ecoval_core.evaluation.profiles import compare_with_class, describe_group
from ecoval_core.tables.vectors import readable
from ecoval_core.text import count_of
from ecoval_core.workspace.runs import Run
from pages.shared import formats, layout, menu, pictures, reviewing, rows, state, story
from pages.shared.session import Session, session

N_UNUSUAL = 12
N_PICTURES = 12
N_CLUSTERS_LISTED = 60


def original(run: Run) -> pd.DataFrame:
    """Return the original columns of the rows that were valued."""
    table = run.table
    return readable(table.frame.loc[run.ids, table.features])


# --- Rows ------------------------------------------------------------------------------------


def draw_decisions(run: Run, queue: list[int], row_id: int) -> None:
    """Draw where the visitor stands, and the buttons with their keys."""
    place, n_decided = queue.index(row_id) + 1, reviewing.count_decided(queue)
    st.progress(
        n_decided / len(queue),
        text=f"Row {place:,} of {len(queue):,} in the queue · {n_decided:,} decided",
    )
    row = run.frame.loc[[row_id]].iloc[0]
    can_relabel = bool(row["suggested_label"] != row["label"])
    noun = formats.target_word(run)
    buttons: list[tuple[str, str, str, str, bool, Callable[[], None]]] = [
        ("back", "Back", "B", ":material/arrow_back:", place > 1, partial(reviewing.go, queue, row_id, -1)),
        ("next", "Next", "N", ":material/arrow_forward:", place < len(queue),
         partial(reviewing.go, queue, row_id, 1)),
        ("keep", "Keep", "K", ":material/check:", True, partial(reviewing.decide, queue, row_id, "keep")),
        ("prune", "Prune", "P", ":material/content_cut:", True,
         partial(reviewing.decide, queue, row_id, "prune")),
        ("relabel", f"Take the suggested {noun}", "L", ":material/edit:", can_relabel,
         partial(reviewing.decide, queue, row_id, "relabel")),
        ("undo", "Undo", "U", ":material/undo:", reviewing.can_undo(), reviewing.undo),
    ]  # fmt: skip
    with st.container(horizontal=True, key="review_buttons"):
        for name, label, shortcut, icon, is_possible, act in buttons:
            st.button(
                label,
                key=f"review_{name}",
                shortcut=shortcut,
                icon=icon,
                disabled=not is_possible,
                on_click=act,
            )


def draw_row(run: Run, row_id: int) -> None:
    """Draw a row: its value and labels, beside its class, among its neighbours."""
    unit, row = formats.unit_of(run), run.frame.loc[[row_id]].iloc[0]
    noun = formats.target_word(run)
    shape = pictures.shape_of(run)
    near = story.neighbors_of(run, row_id)
    left, right = st.columns([1, 1.25], gap="large")
    with left:
        decided = reviewing.decision(row_id)
        badge = f" :gray-badge[{decided}]" if decided else ""
        st.subheader(f"Row {row_id}: {noun} {formats.plain(row['label'])}{badge}", anchor=False)
        if shape is not None:
            pictures.draw(run, [row_id], shape, pictures.labels_of(run, [row_id]))
        planted = ""
        if row["flipped"]:
            planted = f" Planted error: it was **{formats.plain(row['original_label'])}**."
        st.markdown(
            f"**Value {unit.number(row['value'])} ± {unit.size(row['standard_error'])} {unit.label}** = "
            f"intrinsic {unit.number(row['intrinsic'])} + extrinsic {unit.number(row['extrinsic'])}.{planted}"
        )
        if row["suggested_label"] != row["label"]:
            suggested = formats.plain(formats.amount(row["suggested_label"]))
            st.markdown(
                f"The judges suggest **{suggested}**; the given {noun} has quality "
                f"{row['label_quality']:.2f} of 1."
            )
        else:
            st.markdown(
                f"The judges agree with its {noun} (quality {row['label_quality']:.2f} of 1)."
            )
        n_alike = int((run.frame.loc[near, "label"] == row["label"]).sum())
        st.markdown(story.why(run, row_id, n_alike, len(near)))
    with right:
        if shape is None:
            draw_comparison(run, row_id)
        else:
            st.markdown("**Its nearest neighbours**, nearest first")
            pictures.draw(run, near, shape, pictures.labels_of(run, near))
    if shape is None:
        st.markdown("**Its nearest neighbours**, nearest first")
        rows.draw(run, near, key="review_neighbors")


def draw_comparison(run: Run, row_id: int) -> None:
    """Draw the columns of a row beside what is typical of its class."""
    frame = run.frame
    if run.split.task == "classification":
        groups, of_whom = frame["label"], f"of {formats.plain(frame.loc[row_id, 'label'])}"
    else:
        groups, of_whom = frame["cluster"], "of its cluster"
    table = compare_with_class(original(run), groups, row_id)
    n_unusual = int(table["unusual"].sum())
    st.markdown(
        f"**Beside the other rows {of_whom}**: "
        + (
            f"unusual in {n_unusual:,} of {len(table):,} columns"
            if n_unusual
            else "nothing unusual"
        )
    )
    shown = table.head(max(N_UNUSUAL, n_unusual)).drop(columns="distance")
    columns = {
        "value": st.column_config.TextColumn("this row"),
        "typical": st.column_config.TextColumn(
            "typical", help="The middle 90 % of the others, or their commonest categories"
        ),
        "unusual": st.column_config.CheckboxColumn("unusual"),
    }
    st.dataframe(
        shown, key="review_comparison", hide_index=True, column_config=columns, height="auto"
    )
    if len(table) > len(shown):
        st.caption(f"The most unusual {len(shown):,} of {len(table):,} columns.")


def draw_rows(run: Run) -> None:
    """Draw the queue of rows."""
    queue = reviewing.queue(run)
    row_id = reviewing.current(queue)
    if row_id is None:
        st.info(
            "Nothing is selected: lasso rows on the map first."
            if session.review_queue == "selected"
            else "There is nothing to review here."
        )
        return
    draw_decisions(run, queue, row_id)
    draw_row(run, row_id)
    st.caption(
        "Keys: **N** next, **B** back, **K** keep, **P** prune, **L** take the suggested label, **U** undo. "
        "Decisions show on *Wrong labels* and *Prune* at once."
    )


# --- Clusters --------------------------------------------------------------------------------


def describe(run: Run, features: pd.DataFrame, cluster: int) -> str:
    """Describe a cluster in plain words."""
    members = run.frame.index[run.frame["cluster"] == cluster]
    traits = describe_group(features, members)
    return "; ".join(trait.text for trait in traits) or "rows are like all others in every column"


def select_cluster(run: Run, cluster: int) -> None:
    """Select the rows of a cluster and review them."""
    frame = run.frame
    state.select([int(row) for row in frame.index[frame["cluster"] == cluster]])
    session.review_queue = "selected"
    Session.review_row.forget()


def draw_clusters(run: Run) -> None:
    """Draw the clusters, worst first, each in words or pictures."""
    unit, clusters, shape = formats.unit_of(run), run.clusters, pictures.shape_of(run)
    features, frame = original(run), run.frame
    st.caption(
        f"Worst first: what the score loses without a cluster, in {unit.name}. Below zero, the model is "
        "better without it."
    )
    for worth in clusters.head(N_CLUSTERS_LISTED).to_dict("records"):
        cluster = int(worth["cluster"])
        ids = frame.index[frame["cluster"] == cluster]
        with st.container(border=True, key=f"cluster_{cluster}"):
            text, button = st.columns([5, 1], vertical_alignment="center")
            error = float(run.ecoval.cluster_standard_errors_[cluster])
            text.markdown(
                f"**Cluster {cluster}**: {count_of(int(worth['n_rows']), 'row')}, "
                f"{formats.target_word(run)} {formats.plain(_label_of(run, ids))}, left out "
                f"**{unit.number(float(worth['value']))}** ± {unit.size(error)}"
            )
            button.button(
                "Review",
                key=f"review_cluster_{cluster}",
                on_click=select_cluster,
                args=(run, cluster),
                width="stretch",
            )
            if shape is None:
                st.markdown(f"Here {formats.plain(describe(run, features, cluster))}.")
            else:
                typical = frame.loc[ids, "quality"].sort_values(ascending=False, kind="stable")
                shown = [int(row) for row in typical.index[:N_PICTURES]]
                pictures.draw(run, shown, shape, pictures.labels_of(run, shown))
    if len(clusters) > N_CLUSTERS_LISTED:
        st.caption(f"The worst {N_CLUSTERS_LISTED:,} of {len(clusters):,} clusters.")


def _label_of(run: Run, ids: pd.Index) -> str:
    labels = run.frame.loc[ids, "label"]
    if run.split.task == "classification":
        return str(labels.iloc[0])
    return f"{labels.min():.4g} to {labels.max():.4g}"


layout.title(
    "Review",
    "Go through doubtful rows one by one, with the keyboard if you like, or see in words what each cluster "
    "holds.",
)
run = layout.need_run()
layout.warn_if_unreliable(run)
if not Session.review_queue.is_kept:
    session.review_queue = "values"
st.segmented_control(
    "Queue",
    list(reviewing.QUEUES),
    format_func=reviewing.QUEUES.__getitem__,
    **Session.review_queue.lasting,
    required=True,
    on_change=Session.review_row.forget,
    label_visibility="collapsed",
)
if session.review_queue == "clusters":
    draw_clusters(run)
else:
    draw_rows(run)
    menu.link("prune", "Go on to prune and download")
