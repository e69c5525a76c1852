"""Compare: the run that is open beside another run, or beside another method on the same rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
import streamlit as st

from ecoval_core import charts
from ecoval_core.charts.style import label_groups
from ecoval_core.evaluation.baselines import BASELINES
from ecoval_core.evaluation.comparison import CLASS_SHARE, Comparison, compare_valuations
from ecoval_core.runs.exports import Unit, to_csv
from ecoval_core.runs.run import Run
from ecoval_core.text import count_of, file_stem, known
from ecoval_core.work import slow
from ecoval_core.workspace.history import RunRecord
from pages.shared import formats, layout, menu, removal, rows, runlist, state
from pages.shared.session import Session, selected_points, session

N_DISAGREEMENTS = 20
SCATTER_KEY = "agreement"
TABLE_KEY = "disagreements"
QUESTIONS: dict[Literal["lowest", "highest"], str] = {
    "lowest": "What if the lowest values are removed first?",
    "highest": "What if the highest values are removed first?",
}


@dataclass(frozen=True)
class Other:
    """What the run is compared with: name, values by row id, what orders its curves, and a run's unit."""

    name: str
    values: pd.Series
    source: dict[str, Any]
    unit: Unit | None = None


def comparable(run: Run) -> list[RunRecord]:
    """Return the other finished runs on the same file."""
    content = run.opened.spec.table.content
    return [
        record
        for record in runlist.records()
        if record.state == "done"
        and record.spec.table.content == content
        and record.id != session.run_id
    ]


def choose(run: Run) -> str:
    """Draw what the run can be compared with and return the choice."""
    names = {f"baseline {key}": one.title for key, one in BASELINES.items()}
    for record in comparable(run):
        names[f"run {record.id}"] = (
            f"Run {record.name}, {runlist.when(record)}: {runlist.describe(record)}"
        )
    if session.compare_with not in names:
        session.compare_with = next(iter(names))
    chosen: str = st.selectbox(
        "Compare this run with",
        list(names),
        format_func=names.__getitem__,
        **Session.compare_with.lasting,
        help="Another method values the same rows for the same model. Other runs are those of the same "
        "file, with whatever model, seed or split.",
    )
    return chosen


def other_of(run: Run, chosen: str) -> Other | None:
    """Return what the run is compared with; draw what is missing, or under way, and return None."""
    kind, _, key = chosen.partition(" ")
    if kind == "run":
        record = state.find_record(key)
        found = None if record is None else state.open_record(record)
        if record is None or found is None:
            st.warning("That run is no longer in the workspace: choose another.")
            return None
        source = {"run": found.key, "weight": found.settings.extrinsic_weight}
        return Other(record.name, found.frame["value"], source, formats.unit_of(found))
    baseline = BASELINES[key]
    st.caption(baseline.explanation)
    values = layout.fetch_or_offer(
        slow.baseline(run.key, key),
        slow.baseline_timing(run.key, key),
        f"Value by {baseline.title}",
        "start_baseline",
        what=baseline.title,
    )
    if values is None:
        return None
    return Other(baseline.title, pd.Series(values, run.frame.index), {"baseline": key})


def draw_figures(found: Comparison, other: str) -> None:
    """Draw how far the two agree, in figures."""
    rank, tau, shared, only = st.columns(4)
    rank.metric(
        "Rank agreement",
        known(found.spearman.value, ".2f"),
        help="Spearman's rank correlation: 1 is the same order of rows, 0 none in common.",
    )
    rank.caption(f"90 % interval {found.spearman.low:.2f} to {found.spearman.high:.2f}")
    tau.metric("Kendall's tau", known(found.kendall.value, ".2f"))
    tau.caption(f"90 % interval {found.kendall.low:.2f} to {found.kendall.high:.2f}")
    lowest = found.overlaps.set_index("share").loc[CLASS_SHARE]
    shared.metric(
        f"Of the lowest {CLASS_SHARE:.0%} in both",
        f"{lowest['shared']:,.0f} of {lowest['n_rows']:,.0f}",
    )
    shared.caption(f"{lowest['expected_shared']:,.0f} expected by chance")
    only.metric("Rows compared", f"{len(found.rows):,}")
    apart = [(len(found.only_a), "this run"), (len(found.only_b), formats.plain(other))]
    lines = [f"{n:,} only in {name}" for n, name in apart if n]
    only.caption("; ".join(lines) or "both value the same rows")


def select_points() -> None:
    """Select the rows lassoed, boxed or clicked on the scatter."""
    state.select(
        [
            int(point["customdata"])
            for point in selected_points(SCATTER_KEY)
            if "customdata" in point
        ]
    )


def in_units(run: Run, found: Comparison, other: Other) -> tuple[pd.DataFrame, tuple[str, str]]:
    """Return the rows compared with values as on every screen, and the unit of either."""
    here, there = formats.unit_of(run), other.unit
    # Another method knows no surplus to take a share of, so its values stay as they are.
    rows = here.scale(found.rows, ["value_a"])
    if there is None:
        return rows, (here.name, f"{other.name}'s own")
    return there.scale(rows, ["value_b"]), (here.name, there.name)


def draw_rows(
    run: Run, found: Comparison, compared: pd.DataFrame, units: tuple[str, str], names: tuple[str, str]
) -> None:  # fmt: skip
    """Draw the rows that the two rank most differently."""
    st.subheader("The rows they disagree on most", anchor=False)
    apart = found.disagreements(N_DISAGREEMENTS)
    ids = [int(row) for row in apart.index]
    notes = (
        apart["rank_a"].map("{:.0f} %".format) + " → " + apart["rank_b"].map("{:.0f} %".format)
    ).rename("rank here → there")
    with st.container(horizontal=True):
        st.button(
            f"Select {'this row' if len(ids) == 1 else f'these {len(ids):,} rows'}",
            key="select_disagreements",
            icon=":material/select_all:",
            on_click=state.select,
            args=(ids,),
        )
        layout.download(
            "Every row as CSV",
            lambda: to_csv(_download(compared, units, names)),
            f"{file_stem(run.table.name)}_comparison.csv",
            "download_comparison",
        )
    rows.draw(run, ids, TABLE_KEY, notes=notes)
    st.caption("Rank in percent: 0 is the lowest value of the rows compared, 100 the highest.")


def _download(
    compared: pd.DataFrame, units: tuple[str, str], names: tuple[str, str]
) -> pd.DataFrame:
    titles = {
        "value_a": f"value {names[0]}", "value_b": f"value {names[1]}",
        "unit_a": f"unit {names[0]}", "unit_b": f"unit {names[1]}",
        "rank_a": f"rank {names[0]}", "rank_b": f"rank {names[1]}",
    }  # fmt: skip
    frame = compared.assign(unit_a=units[0], unit_b=units[1])
    return frame.rename(columns=titles).rename_axis("row_id").reset_index()


def draw_curves(run: Run, other: Other, names: tuple[str, str]) -> None:
    """Draw the removal curves of both over each other, or the button that measures them."""
    st.subheader("Removal curves of both", anchor=False)
    balanced = st.toggle(
        "Same share of every class",
        **Session.compare_balanced.lasting,
        disabled=run.split.task == "regression",
        help="Every class loses the same share of its rows, so that none is removed first.",
    )
    weight = run.settings.extrinsic_weight
    task = slow.method_curves(run.key, other.source, weight=weight, balanced=balanced)
    found = layout.offer(task, "Measure both", "measure_both", icon=":material/show_chart:")
    if found is None:
        return
    summary, baseline, measure = removal.of_measure(run, found.frame)
    for column, (strategy, question) in zip(st.columns(2), QUESTIONS.items(), strict=True):
        figure = charts.orders_chart(
            summary[summary["strategy"].isin([strategy, "random"])],
            baseline,
            measure,
            by="method",
            names=dict(zip("ab", names, strict=True)),
            theme=layout.theme(),
            title=question,
        )
        with column:
            layout.chart(figure, key=f"both_{strategy}")
    st.caption(
        f"{count_of(found.n_rows, 'row')} that both value, at most {count_of(found.n_refits, 'refit')} in "
        f"{formats.seconds(found.seconds)}."
    )


layout.title(
    "Compare",
    "Two valuations of the same rows are more trustworthy where they agree. Where they disagree, "
    "look at the rows.",
)
run = layout.need_run()
layout.warn_if_unreliable(run)
other = other_of(run, choose(run))
if other is not None:
    names = ("this run", other.name)
    try:
        found = compare_valuations(run.frame["value"], other.values)
    except ValueError as error:
        st.info(formats.plain(error))
        st.stop()
    draw_figures(found, other.name)
    compared, units = in_units(run, found, other)
    left, right = st.columns([1.5, 1], gap="large")
    with left:
        by = st.segmented_control(
            "Axes", ["ranks", "values"], required=True, **Session.compare_by.lasting
        )
        scatter = charts.agreement_scatter(
            compared,
            names=names,
            theme=layout.theme(),
            by="values" if by == "values" else "ranks",
            selected=session.selected_ids,
        )
        layout.chart(scatter, SCATTER_KEY, on_select=select_points, selection_mode=("box", "lasso"))
        if by == "values":
            st.caption(f"Units: here {units[0]}; there {formats.plain(units[1])}.")
    with right:
        layout.chart(charts.overlap_bars(found.overlaps, theme=layout.theme()), key="overlaps")
        labels = label_groups(run.frame["label"])
        summary = found.by_class(labels)
        layout.chart(
            charts.class_bars(summary, names=names, share=CLASS_SHARE, theme=layout.theme()),
            key="classes",
        )
    draw_rows(run, found, compared, units, names)
    draw_curves(run, other, names)
menu.lead_on("prune", "Go on to Prune")
