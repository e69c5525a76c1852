"""The story of one row: what it is worth, in which company it stands, and why, in plain words."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from ecoval_core import charts
from ecoval_core.charts.style import label_groups
from ecoval_core.evaluation.profiles import describe_group
from ecoval_core.runs.run import Run
from ecoval_core.text import count_of
from ecoval_core.valuation.quality import nearest_neighbors
from pages.shared import formats, labelling, pictures, prunelist, rows, selection, state, ticks
from pages.shared.session import session

N_NEIGHBORS = 10
N_TRAITS, N_PICTURES = 6, 8
_EFFECTS = {
    1: "It **pushes the model towards** the right answer on validation rows.",
    0: (
        "Removing it **changes little**: other rows can replace it, or its quality outweighs the "
        "harm it does."
    ),
    -1: "It **pulls the model away** from the right answer on validation rows, which lowers its value.",
}


def _effect_of(run: Run, row_id: int) -> int:
    """Sign of a row's extrinsic value, 0 where it is small."""
    kinds = {name: kind for kind, name in charts.QUADRANTS.items()}
    return kinds[charts.quadrant_of(run.frame)[row_id]][1]


def about_cluster(run: Run, row_id: int) -> str:
    """Sentence on the cluster of a row, and on how the row stands to it."""
    frame, unit, ecoval = run.frame, formats.unit_of(run), run.ecoval
    row = frame.loc[[row_id]].iloc[0]
    cluster = int(row["cluster"])
    worth = float(ecoval.cluster_values_[cluster])
    error = float(ecoval.cluster_standard_errors_[cluster])
    n_members = int((frame["cluster"] == cluster).sum())
    passed_on = float(frame.loc[frame["cluster"] == cluster, "raw_extrinsic"].sum())
    weight = run.settings.extrinsic_weight
    sentence = (
        f"**Its cluster** ({cluster}) has {count_of(n_members, 'row')} and an effect of "
        f"{unit.text(worth, error)}: without it the model scores "
    )
    is_clear = abs(worth) > 2 * error
    sentence += ("worse" if worth > 0 else "better") if is_clear else "about the same"
    sentence += (
        ". The effects of its rows, moved towards that as far as noise allows, sum to "
        f"{unit.number(passed_on)}: times the extrinsic weight ({weight:g}), they share "
        f"{unit.number(weight * passed_on)}."
    )
    if not is_clear:
        return sentence
    effect = _effect_of(run, row_id)
    if effect * worth < 0:
        gains, does = ("helps", "harms") if worth > 0 else ("harms", "helps")
        sentence += f" The cluster as a whole {gains}; this row among its members {does}."
    return sentence


def neighbors_of(run: Run, row_id: int) -> list[int]:
    """Row ids of the nearest other valued rows, nearest first."""
    positions = nearest_neighbors(run.X, N_NEIGHBORS + 1, run.X[run.ids == row_id])[0]
    found = [int(run.ids[position]) for position in positions]
    return [other for other in found if other != row_id][:N_NEIGHBORS]


def credibility(run: Run, row_id: int, near: list[int]) -> str:
    """Say how credible the label of a row is, by its one quality and its neighbours."""
    row, noun = run.frame.loc[[row_id]].iloc[0], formats.target_word(run)
    said = f"**{noun.capitalize()} quality {row['label_quality']:.2f} of 1**"
    likelier = formats.plain(formats.amount(row["suggested_label"]))
    if run.split.task == "regression":
        far = (
            " The target is unusually far off, which need not be an error."
            if row["label_issue"]
            else ""
        )
        return f"{said}: three models expect {likelier}.{far}"
    n_alike = int((run.frame.loc[near, "label"] == row["label"]).sum())
    said += f": {n_alike} of its {len(near)} nearest neighbours carry the same label"
    if row["suggested_label"] == row["label"]:
        return f"{said}, and three models find no label likelier."
    if row["label_issue"]:
        return f"{said}, and label **{likelier}** is clearly likelier: it **looks wrong**."
    paid = ""
    if run.settings.balanced and row["quality"] >= charts.TYPICAL_QUALITY:
        paid = " For a class as rare as its own that is credible, and its intrinsic value counts it so."
    return f"{said}. Label **{likelier}** is likelier, but not clearly: it is no label issue.{paid}"


def why(run: Run, row_id: int) -> str:
    """Reason for a row's value, in plain words."""
    noun = formats.target_word(run)
    advice = ""
    if row_id in run.harmful_ids:
        advice = f" It is **clearly harmful**: check its {noun} before you prune it."
    elif run.frame["value"][row_id] < 0:
        advice = (
            " Its value is below zero, but not clearly, given its error and the number of rows: "
            f"check its {noun} before you prune it."
        )
    return f"{_EFFECTS[_effect_of(run, row_id)]}{advice}"


def can_relabel(run: Run, row_id: int) -> bool:
    """Whether another label is on offer; another amount only where the one given is unusual."""
    row = run.frame.loc[[row_id]].iloc[0]
    is_offered = run.split.task == "classification" or row["label_issue"]
    return bool(is_offered and row["suggested_label"] != row["label"])


def draw_head(run: Run, row_id: int, near: list[int], badge: str = "") -> None:
    """Draw what a row is and what it is worth."""
    unit, row = formats.unit_of(run), run.frame.loc[[row_id]].iloc[0]
    label, original = (
        formats.plain(formats.amount(row[name])) for name in ("label", "original_label")
    )
    st.subheader(f"Row {row_id}: {formats.target_word(run)} {label}{badge}", anchor=False)
    if (shape := pictures.shape_of(run)) is not None:
        pictures.draw(run, [row_id], shape)
    planted = f" Planted error: it was **{original}**." if row["flipped"] else ""
    st.markdown(
        f"**Value {unit.text(row['value'], row['standard_error'])}**, the "
        f"{formats.rank(run, row_id)}: intrinsic {unit.number(row['intrinsic'])}, extrinsic "
        f"{unit.number(row['extrinsic'])}.{planted}",
        help="± one standard error: how far the value would move with other validation rows.",
    )
    st.markdown(credibility(run, row_id, near))


def draw(run: Run, row_id: int) -> None:
    """Draw the story of a row, narrow enough to stand beside the map."""
    near, shape = neighbors_of(run, row_id), pictures.shape_of(run)
    draw_head(run, row_id, near)
    _draw_actions(run, row_id)
    st.markdown(why(run, row_id))
    st.markdown(about_cluster(run, row_id))
    st.markdown("**Nearest neighbours**, nearest first, below the row itself")
    if shape is not None:
        pictures.draw(run, near, shape)
    shown = [row_id, *near]
    # A table of its own for each story: ticks do not go over to the next.
    key = f"neighbors_{row_id}"

    def pick_neighbor() -> None:
        marked = ticks.marked(key, shown)
        state.pick(marked[0] if marked else row_id)

    rows.draw(run, shown, key, height=220, on_select=pick_neighbor)


def relabel_words(run: Run) -> str:
    """Name what a row takes instead of its label, or of an amount."""
    return "the likelier label" if run.split.task == "classification" else "the expected target"


def _draw_actions(run: Run, row_id: int) -> None:
    """Draw the decisions on a row."""
    is_pruned = row_id in set(prunelist.pruned_ids(run))

    def prune() -> None:
        # As on the cards: a row that takes another label would stay.
        labelling.decide([row_id], None)
        prunelist.change(session.prune_list.pick([row_id]))

    with st.container(horizontal=True, gap="small", key="row_actions"):
        st.button(
            "Do not prune" if is_pruned else "Prune",
            key="prune_row",
            icon=":material/content_cut:",
            on_click=(lambda: prunelist.change(session.prune_list.restore([row_id])))
            if is_pruned
            else prune,
        )
        if can_relabel(run, row_id):
            st.button(
                f"Take {relabel_words(run)}",
                key="relabel_row",
                icon=":material/edit:",
                on_click=labelling.decide,
                args=([row_id], "accept"),
            )
            st.button("Keep", key="keep_row", on_click=labelling.decide, args=([row_id], "keep"))
    if decided := session.label_decisions.get(row_id):
        noun = formats.target_word(run)
        st.caption(
            f"Its {noun} is kept." if decided == "keep" else f"It takes {relabel_words(run)}."
        )


def draw_selection(run: Run, ids: list[int]) -> None:
    """Describe the rows selected: how many, what they are worth, their classes, what sets them apart."""
    frame, unit = run.frame, formats.unit_of(run)
    of = frame.loc[frame.index.intersection(ids)]
    st.subheader(count_of(len(of), "row") + " selected", anchor=False)
    if of.empty:
        return
    selection.draw_name()
    mean, overall = of["value"].mean(), frame["value"].mean()
    n_below = int((of["value"] < 0).sum())
    n_harmful = int(of.index.isin(run.harmful_ids).sum())
    st.markdown(
        f"**Mean value {unit.text(mean)}**; all rows: {unit.number(overall)}. "
        f"{n_below:,} below zero, {n_harmful:,} clearly harmful."
    )
    if run.class_labels is not None:
        counts, sizes = (label_groups(each["label"]).value_counts() for each in (of, frame))
        both = pd.DataFrame({"n": counts.head(6), "size": sizes}).dropna().query("n > 0")
        both = both.sort_values("n", ascending=False, kind="stable")
        parts = [
            f"{formats.plain(name)}: {n:.0f} of {size:,.0f}" for name, n, size in both.itertuples()
        ]
        n_more = of["label"].nunique() - len(parts)
        more = f" · and {n_more:,} more" if n_more > 0 else ""
        st.markdown("**By label** " + " · ".join(parts) + more)
    else:
        st.markdown(
            f"**Target** {formats.amount(of['label'].min())} to {formats.amount(of['label'].max())}"
        )
    if pictures.shape_of(run) is None and len(of) < len(frame):
        features = run.table.frame.loc[run.ids, run.table.features]
        traits = describe_group(features, of.index, N_TRAITS)
        told = "\n".join(f"- {formats.plain(trait.text)}" for trait in traits)
        st.markdown(f"**What sets them apart**\n\n{told or 'Nothing in any one column.'}")
    elif (shape := pictures.shape_of(run)) is not None:
        lowest = [int(row) for row in of["value"].sort_values(kind="stable").index[:N_PICTURES]]
        st.markdown("**Lowest values of them**")
        pictures.draw(run, lowest, shape)
