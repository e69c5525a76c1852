"""Clusters, lowest total value first: as a table that selects their rows, and in words or pictures."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from ecoval_core.evaluation.profiles import describe_group
from ecoval_core.runs.run import Run
from ecoval_core.text import count_of, number
from pages.shared import formats, pictures, rows, state, ticks
from pages.shared.session import session

CLUSTERS_KEY = "cluster_rows"
N_PICTURES = 12
N_CLUSTERS_LISTED = 24
ORDER = "Lowest total value first"
EFFECT = "What the score loses without the cluster; below zero, the model is better without it."
PASSED_ON = (
    "What its rows are credited with: their own effects, predicted or partly measured, corrected "
    "to that of the cluster as far as the difference is more than noise. Times the extrinsic "
    "weight, it is their extrinsic value."
)


def select_clusters(run: Run, key: str) -> None:
    """Select the rows of the clusters marked in the table."""
    chosen = ticks.marked(key, run.clusters["cluster"].tolist())
    if chosen is not None:
        select_rows_of(run, chosen)


def whole_clusters(run: Run) -> list[int]:
    """Clusters that make up the selection; none where it holds a part of one."""
    clusters, selected = run.frame["cluster"], session.selected_ids
    touched = clusters.loc[clusters.index.isin(selected)]
    n_members = clusters.isin(touched.unique()).sum()
    return [int(name) for name in touched.unique()] if n_members == len(touched) else []


def draw_table(run: Run) -> None:
    """Draw clusters as a table that selects their rows."""
    unit, column = formats.unit_of(run), st.column_config.NumberColumn
    columns = formats.value_columns(run)
    columns["value"] = column(
        "total value", format=formats.VALUE, help=f"Of all its rows, in {unit.name}"
    )
    columns["left_out"] = column("effect", format=formats.VALUE, help=EFFECT)
    columns["left_out_error"] = column("± error", format=formats.AMOUNT, help="One standard error")
    columns["passed_on"] = column("passed on", format=formats.VALUE, help=PASSED_ON)
    columns["label"] = st.column_config.Column(formats.target_word(run))
    columns["n_rows"] = column("rows", format="localized")
    shown = unit.scale(run.clusters)
    names = [int(name) for name in shown["cluster"]]
    key, ticked = ticks.place(CLUSTERS_KEY, names, whole_clusters(run))
    st.dataframe(
        shown,
        key=key,
        hide_index=True,
        height=420,
        column_config=columns,
        on_select=lambda: select_clusters(run, key),
        selection_mode="multi-row",
        selection_default={"selection": {"rows": ticked}} if ticked else None,
    )
    st.caption(f"{ORDER}, in {unit.name}. Mark clusters to select their rows everywhere.")


def select_rows_of(run: Run, clusters: list[int]) -> None:
    """Select the rows of some clusters."""
    frame = run.frame
    state.select([int(row) for row in frame.index[frame["cluster"].isin(clusters)]])


def draw_words(run: Run) -> None:
    """Draw the clusters, each in words or pictures."""
    unit, clusters, shape = formats.unit_of(run), run.clusters, pictures.shape_of(run)
    features, frame = rows.original(run), run.frame
    st.caption(
        f"{ORDER}, in {unit.name}. Effect: {EFFECT[0].lower()}{EFFECT[1:]} Passed on: "
        f"{PASSED_ON[0].lower()}{PASSED_ON[1:]}"
    )
    for worth in clusters.head(N_CLUSTERS_LISTED).to_dict("records"):
        cluster = int(worth["cluster"])
        ids = frame.index[frame["cluster"] == cluster]
        with st.container(border=True, key=f"cluster_{cluster}"):
            text, button = st.columns([5, 1], vertical_alignment="center")
            text.markdown(
                f"**Cluster {cluster}**: {count_of(int(worth['n_rows']), 'row')}, "
                f"{formats.target_word(run)} {formats.plain(_label_of(run, ids))}, total value "
                f"**{unit.number(worth['value'])}**; effect "
                f"{unit.text(worth['left_out'], worth['left_out_error'])}, passed on "
                f"{unit.number(worth['passed_on'])}"
            )
            button.button(
                "Select",
                key=f"select_cluster_{cluster}",
                on_click=select_rows_of,
                args=(run, [cluster]),
                width="stretch",
            )
            if shape is None:
                traits = "; ".join(trait.text for trait in describe_group(features, ids))
                told = traits or "rows are like all others in every column"
                st.markdown(f"Here {formats.plain(told)}.")
            else:
                typical = frame.loc[ids, "quality"].sort_values(ascending=False, kind="stable")
                shown = [int(row) for row in typical.index[:N_PICTURES]]
                pictures.draw(run, shown, shape)
    if len(clusters) > N_CLUSTERS_LISTED:
        st.caption(f"The lowest {N_CLUSTERS_LISTED:,} of {len(clusters):,} clusters.")


def _label_of(run: Run, ids: pd.Index) -> str:
    labels = run.frame.loc[ids, "label"]
    if run.split.task == "classification":
        return str(labels.iloc[0])
    return f"{number(labels.min(), 4, trim=True)} to {number(labels.max(), 4, trim=True)}"
