"""Prune: combine rules, see what goes and what it does to the test score, download."""

from __future__ import annotations

from functools import partial
from pathlib import PurePath

import streamlit as st

from ecoval_core.evaluation.pruning import Effect, detection
from ecoval_core.workspace.exports import Format, Which, check_parquet, export_table
from ecoval_core.workspace.runs import Run
from pages.shared import formats, layout, menu, progress, prunelist, rows
from pages.shared.session import Session, prune_thresholds, session

_KINDS: dict[str, tuple[Which, str]] = {
    "Pruned table": ("kept", "What stays: original columns, order and row ids"),
    "Removed rows": ("removed", "What goes, with values"),
    "All rows with values": (
        "all_values",
        "Every row with the part it was in; those valued with value, standard error, intrinsic, "
        "extrinsic, cluster",
    ),
}
_FORMATS: tuple[Format, ...] = ("csv", "parquet")
_MIME: dict[Format, str] = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}


def draw_figures(run: Run, ids: list[int]) -> None:
    """Draw the list in figures, and its measured effect."""
    frame = run.frame
    figures = st.columns(4)
    figures[0].metric("Rows to prune", f"{len(ids):,}")
    figures[0].caption(f"{len(ids) / len(frame):.1%} of {len(frame):,} valued rows")
    flipped = frame.index[frame["flipped"]]
    if len(flipped):
        found = detection(ids, flipped)
        figures[1].metric(
            "Planted errors caught",
            f"{found.caught:,} of {len(flipped):,}",
            help="Precision: part of the list that is planted errors. Recall: part of the planted "
            "errors that is on the list.",
        )
        precision = f"{found.precision:.0%}" if ids else "–"
        figures[1].caption(f"precision {precision}, recall {found.recall:.0%}")
    else:
        unit = formats.unit_of(run)
        figures[1].metric("Their value together", unit.number(frame.loc[ids, "value"].sum()))
        figures[1].caption(unit.label)
    with figures[2].container(), st.container():
        draw_effect(run, ids)
    with figures[3]:
        counts = frame.loc[ids, "label"].astype("str").value_counts().head(5)
        st.caption(f"**By {formats.target_word(run)}**")
        st.caption(
            " · ".join(f"{formats.plain(label)}: {n:,}" for label, n in counts.items()) or "none"
        )


def draw_effect(run: Run, ids: list[int]) -> None:
    """Draw the test score before and after, with its uncertainty."""
    if not ids:
        st.metric("Test score", "–")
        st.caption("measured as soon as a row is on the list")
        return
    effect: Effect | None = progress.result_of(prunelist.effect(run, ids), "Measuring the effect")
    if effect is None:
        return
    st.metric(
        f"Test {effect.metric}",
        f"{effect.after:.3f}",
        f"{effect.difference:+.3f}",
        delta_color="off" if f"{abs(effect.difference):.3f}" == "0.000" else "normal",
        help="The model of the run, fitted on all valued rows and on those left, scored on the "
        "test rows, which played no part in valuing.",
    )
    verdict = (
        "better"
        if effect.low > 0
        else "worse"
        if effect.high < 0
        else "no difference to be sure of"
    )
    st.caption(
        f"before {effect.before:.3f}; 90 % interval of the change {effect.low:+.3f} to "
        f"{effect.high:+.3f} on {effect.n_test:,} test rows: {verdict}"
    )


def draw_rules(run: Run) -> None:
    """Draw share, threshold, picks; undo, redo, clear."""
    rules, unit = prunelist.current(), formats.unit_of(run)
    kind = "score" if unit.factor == 1 else "share"
    threshold_key = prune_thresholds.key(kind)
    prunelist.fill_widgets(
        {
            Session.prune_share.key: 100 * rules.share,
            Session.prune_by_threshold.key: rules.threshold is not None,
            threshold_key: (rules.threshold or 0.0) * unit.factor,
        }
    )

    def change_share() -> None:
        prunelist.change_by(share=(session.prune_share or 0.0) / 100)

    def change_threshold() -> None:
        is_on = session.prune_by_threshold
        threshold = (prune_thresholds.get(kind) or 0.0) / unit.factor
        prunelist.change_by(threshold=threshold if is_on else None)

    share, below, picks = st.columns(3, gap="medium")
    share.slider(
        "Lowest share of the rows, percent",
        0.0,
        60.0,
        step=0.5,
        key=Session.prune_share.key,
        on_change=change_share,
    )
    below.toggle(
        "Also every row with a value below",
        key=Session.prune_by_threshold.key,
        on_change=change_threshold,
    )
    below.number_input(
        f"Threshold ({unit.label})",
        step=10.0**-unit.decimals * 5,
        format=f"%.{unit.decimals}f",
        key=threshold_key,
        disabled=rules.threshold is None,
        on_change=change_threshold,
    )
    picks.markdown(
        f"**Picked by hand:** {len(rules.picked):,} rows  \n**Restored:** {len(rules.restored):,} rows"
    )
    with picks:
        menu.link("explore", "Pick rows on the map")
    with st.container(horizontal=True):
        st.button("Undo", key="undo", on_click=prunelist.undo, disabled=not prunelist.can_undo())
        st.button("Redo", key="redo", on_click=prunelist.redo, disabled=not prunelist.can_redo())
        st.button("Clear", key="clear", on_click=prunelist.clear, disabled=rules == type(rules)())


def draw_list(run: Run, ids: list[int]) -> None:
    """Draw the list itself, restorable row by row."""
    rules = prunelist.current()
    if not ids:
        st.info("The list is empty. Move the share, set a threshold, or pick rows on the map.")
    else:
        key = "pruned_rows"
        rows.draw(
            run,
            ids,
            key,
            height=360,
            on_select="rerun",
            selection_mode="multi-row",
            notes=prunelist.reasons(run),
        )
        marked = rows.ids_at(ids, key)
        st.button(
            f"Restore {len(marked):,} selected rows" if marked else "Select rows to restore them",
            key="restore",
            disabled=not marked,
            on_click=lambda: prunelist.change(rules.restore(marked)),
        )
    if rules.restored:
        with st.expander(f"{len(rules.restored):,} rows kept whatever the rules"):
            kept = sorted(rules.restored)
            rows.draw(run, kept, "restored_rows")
            st.button(
                "Let the rules decide on them",
                key="unrestore",
                on_click=lambda: prunelist.change_by(restored=frozenset()),
            )


def draw_downloads(run: Run, pruned_ids: list[int]) -> None:
    """Draw the download buttons and the choice of format.

    Parameters
    ----------
    run : Run
        The run.
    pruned_ids : list of int
        Row ids that go.
    """
    stem = PurePath(run.prepared.table.name).stem
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.segmented_control(
            "Format",
            _FORMATS,
            default="csv",
            format_func={"csv": "CSV", "parquet": "Parquet"}.__getitem__,
            required=True,
            key="format",
            persist_state="session",
        )
        refusal = _refusal(run) if kind == "parquet" else ""
        for label, (which, explanation) in _KINDS.items():
            st.download_button(
                label,
                partial(export_table, run, which, pruned_ids, kind),
                f"{stem}_{which}.{kind}",
                _MIME[kind],
                key=f"download_{which}",
                on_click="ignore",
                help=explanation,
                icon=":material/download:",
                disabled=bool(refusal) or (which == "removed" and not pruned_ids),
            )
    if refusal:
        st.warning(formats.plain(refusal))


def _refusal(run: Run) -> str:
    try:
        check_parquet(run.prepared.table.frame)
    except ValueError as error:
        return str(error)
    return ""


layout.title(
    "Prune",
    "Rows on the prune list are left out of the pruned table. Nothing is deleted: the list can be "
    "changed, undone and restored row by row, and the rest is measured before you download.",
)
run = layout.need_run()
layout.warn_if_unreliable(run)
ids = prunelist.pruned_ids(run)
draw_figures(run, ids)
draw_rules(run)
draw_list(run, ids)
st.subheader("Download", anchor=False)
draw_downloads(run, ids)
