"""Decompose: intrinsic against extrinsic value, then by label, then by cluster."""

from __future__ import annotations

import streamlit as st

from ecoval_core import charts
from ecoval_core.workspace.runs import Run
from pages.shared import formats, layout, mapview, menu, selecting, state, ticks
from pages.shared.session import session

CLUSTERS_KEY = "cluster_rows"
N_CLUSTERS_DRAWN = 24


def select_clusters(run: Run, key: str) -> None:
    """Select the rows of the clusters marked in the table."""
    positions = ticks.positions(key)
    if positions is None:
        return
    chosen = run.clusters["cluster"].iloc[positions]
    frame = run.frame
    state.select([int(row) for row in frame.index[frame["cluster"].isin(chosen)]])


def whole_clusters(run: Run) -> list[int]:
    """Clusters that make up the selection; none where it holds a part of one."""
    clusters, selected = run.frame["cluster"], session.selected_ids
    touched = clusters.loc[clusters.index.isin(selected)]
    n_members = clusters.isin(touched.unique()).sum()
    return [int(name) for name in touched.unique()] if n_members == len(touched) else []


def _about(run: Run) -> str:
    return " (about: each fold has its own rate)" if run.settings.every_row else ""


def draw_scatter(run: Run) -> None:
    """Draw the quadrants."""
    left, right = st.columns([2.4, 1], gap="large")
    with left:
        mapview.draw_decomposition(run, above=300)
    right.markdown(
        "**Intrinsic** (across): what a row is in itself, a credible example of its "
        f"{formats.target_word(run)}. **Extrinsic** (up): what it adds given all other rows.\n\n"
        f"The dotted lines: right of the upright one rows are **typical**, of quality "
        f"{charts.TYPICAL_QUALITY:g} of 1 or more{_about(run)}; left of it **odd**. Above the level one "
        "they help; under the falling one their value is below zero.\n\n"
        "- **Typical and needed**: good examples of which there are too few.\n"
        "- **Typical but redundant**: good examples that others could replace.\n"
        "- **Odd but useful**: rare cases that help the model where nothing else does.\n"
        "- **Odd, of little effect**: not credible, but the model hardly minds.\n"
        "- **Harmful**, odd or typical: value below zero. Odd ones may be errors; look at these first.\n\n"
        "Draw a box or a lasso to select rows, click one for its story on *Explore*; both hold on every page."
    )
    with right:
        n = len(session.selected_ids)
        menu.link("explore", f"See the {n:,} selected rows on the map" if n else "See the map")


def draw_totals(run: Run) -> None:
    """Draw totals and distribution by label."""
    unit, theme = formats.unit_of(run), layout.theme()
    frame = unit.scale(run.frame)
    left, right = st.columns(2, gap="medium")
    with left:
        figure = charts.totals_by(
            frame, by="label", theme=theme, unit=unit.label, selected=session.selected_ids
        )
        selecting.draw_bars(run, figure, "totals_by_label")
    with right:
        selecting.draw_distribution(run, "distribution_by_label")
    st.caption(
        "Click a bar to select its rows everywhere, with shift to add, with alt to take away; a box takes "
        "several bars of values. Click it again to let go."
    )


def draw_clusters(run: Run) -> None:
    """Draw clusters, worst first, as bars and as a table that selects their rows."""
    unit = formats.unit_of(run)
    left, right = st.columns([1.4, 1], gap="medium")
    with left:
        figure = charts.totals_by(
            unit.scale(run.frame),
            by="cluster",
            limit=N_CLUSTERS_DRAWN,
            theme=layout.theme(),
            unit=unit.label,
            selected=session.selected_ids,
        )
        selecting.draw_bars(run, figure, "totals_by_cluster")
    with right:
        number = st.column_config.NumberColumn
        columns = formats.value_columns(run)
        columns["value"] = number(
            "left out", format=unit.column_format, help="What the score loses without the cluster"
        )
        columns["label"] = st.column_config.Column(formats.target_word(run))
        columns["n_rows"] = number("rows", format="localized")
        names = [int(name) for name in run.clusters["cluster"]]
        key, ticked = ticks.place(CLUSTERS_KEY, names, whole_clusters(run))
        st.dataframe(
            unit.scale(run.clusters),
            key=key,
            hide_index=True,
            height=640,
            column_config=columns,
            on_select=lambda: select_clusters(run, key),
            selection_mode="multi-row",
            selection_default={"selection": {"rows": ticked}} if ticked else None,
        )
        st.caption(f"Worst first, in {unit.name}. Mark clusters to select their rows everywhere.")


layout.title(
    "Decompose",
    "Every value is the sum of two payments: **intrinsic** for what the row is in itself, **extrinsic** "
    "for its measured effect. Move the extrinsic weight above to shift between them.",
)
run = layout.need_run()
layout.warn_if_unreliable(run)
draw_scatter(run)
st.subheader(f"By {formats.target_word(run)}", anchor=False)
draw_totals(run)
st.subheader("By cluster", anchor=False)
draw_clusters(run)
