"""Prune: combine rules, see what goes and what it does to the test score, download."""

from __future__ import annotations

import streamlit as st

from ecoval_core import charts
from ecoval_core.charts.style import label_groups
from ecoval_core.evaluation.pruning import detection
from ecoval_core.evaluation.verdict import Verdict, conclude
from ecoval_core.runs.exports import to_csv
from ecoval_core.runs.run import Run
from ecoval_core.text import count_of, file_stem
from ecoval_core.work.slow import N_RANDOM
from pages.shared import (
    downloads,
    effects,
    formats,
    labelling,
    layout,
    menu,
    prunelist,
    removal,
    rows,
    selection,
    ticks,
    verdicts,
)
from pages.shared.pointmap.chart import Touch
from pages.shared.session import Session, prune_thresholds, session

# Classes named in a line; the rest are counted.
N_CLASSES = 6


def draw_figures(run: Run, ids: list[int]) -> None:
    """Draw the list in figures, and its measured effect."""
    frame = run.frame
    # Amounts have no quota.
    figures = st.columns(3 if run.class_labels is None else 4)
    figures[0].metric("Rows to prune", f"{len(ids):,}")
    figures[0].caption(f"{len(ids) / len(frame):.1%} of {len(frame):,} valued rows")
    flipped = frame.index[frame["flipped"]]
    if len(flipped):
        found = detection(ids, flipped)
        figures[1].metric(
            "Planted errors caught",
            f"{found.caught:,} of {len(flipped):,}",
            help="Precision: the share of the list that is planted errors. Recall: the share of "
            "the planted errors that is on the list.",
        )
        precision = f"{found.precision:.0%}" if ids else "–"
        figures[1].caption(f"precision {precision}, recall {found.recall:.0%}")
    else:
        unit = formats.unit_of(run)
        figures[1].metric("Their value together", unit.number(frame.loc[ids, "value"].sum()))
        figures[1].caption(unit.words or "multiples of the average row")
    if run.class_labels is not None:
        with figures[2]:
            spared = [int(row) for row in prunelist.decide(run).spared]
            st.metric(
                "Kept by the limit of their class",
                f"{len(spared):,}",
                help="Rows that the rules select, but that are kept because too few rows of their "
                "class would remain.",
            )
            st.caption(_by_class(run, spared) or "no row")
    with figures[-1]:
        st.caption(f"**Pruned by {formats.target_word(run)}**")
        st.caption(_by_class(run, ids) or "none")


def _by_class(run: Run, ids: list[int]) -> str:
    """Count rows by class, or range of the target, with the size of each; the hardest hit first."""
    if not ids:
        return ""
    labels = label_groups(run.frame["label"])
    sizes, counts = labels.value_counts(), labels.loc[ids].value_counts()
    hit = (counts[counts > 0] / sizes).dropna().sort_values(ascending=False, kind="stable")
    parts = [
        f"{formats.plain(label)}: {counts[label]:,} of {sizes[label]:,}" for label in hit.index
    ]
    more = f" · and {len(parts) - N_CLASSES:,} more" if len(parts) > N_CLASSES else ""
    return " · ".join(parts[:N_CLASSES]) + more


def draw_effect(run: Run, ids: list[int]) -> None:
    """Draw what the downloaded table does to the test scores: its rows left out, its new labels."""
    new_labels = labelling.relabelled(run)
    what = "pruning and relabelling do" if new_labels else "pruning does"
    st.subheader(f"What {what} to the model", anchor=False)
    if not ids and not new_labels:
        st.caption("Measured once a row is on the list.")
        return
    if new_labels:
        st.caption(
            f"{count_of(len(ids), 'row')} left out and {count_of(len(new_labels), 'row')} with the new "
            f"{formats.target_word(run)} accepted on *Labels*, together."
        )
    effect = prunelist.effect(run, ids, new_labels)
    effects.draw(effect, run, "effect")
    if effect is not None and session.prune_list.share and removal.measured(run) is not None:
        st.caption(
            "If the curve above led you to this share, these test rows chose it: expect less on new data."
        )


def draw_start(run: Run, ids: list[int], verdict: Verdict) -> None:
    """Offer the clearly harmful rows as the list to start from, unless the verdict is against it."""
    settled = {*ids, *session.prune_list.restored, *labelling.relabelled(run)}
    missing = [row for row in run.harmful_ids if row not in settled]
    # Stays when all are on the list: the browser would make the slider below anew, without the focus.
    with st.container():
        if run.harmful_ids and not verdict.is_against_pruning:
            st.button(
                f"Put {count_of(len(missing), 'clearly harmful row')} on the list"
                if missing
                else "Every clearly harmful row is already decided",
                key="put_harmful",
                icon=":material/playlist_add:",
                disabled=not missing,
                on_click=lambda: prunelist.change(session.prune_list.pick(missing)),
            )


def draw_curve(run: Run) -> None:
    """Draw the removal curves; a click on a point of the lowest values sets the share that goes."""
    is_class = run.split.task == "classification"
    with st.container(horizontal=True, vertical_alignment="bottom", key="curve_choices"):
        measure = st.container(width=320)
        balanced = is_class and st.toggle(
            "Same share of every class",
            key="balanced",
            bind="query-params",
            help="Removing the highest values first may remove whole classes. With this switch, "
            "every class loses the same share.",
        )
    found = removal.fetch(run, balanced=balanced, key="measure")
    if found is None:
        return
    on_offer = found.frame["measure"].unique().tolist()
    main = run.main_measure
    on_offer = [main, *(name for name in on_offer if name != main)]
    if session.curve_measure not in on_offer:
        session.curve_measure = main
    chosen = measure.selectbox(
        "Test score shown",
        on_offer,
        format_func=effects.title,
        **Session.curve_measure.lasting,
        help="Look at the recall of each class too: an overall score hides what happens to a rare "
        "class.",
    )
    summary, baseline, metric = removal.of_measure(run, found.frame, chosen)
    placed = removal.marks(run, run.class_labels if balanced else None)
    figure = charts.removal_chart(
        summary, baseline, metric, theme=layout.theme(), marks=placed,
        title="Removing lowest or highest values first",
    )  # fmt: skip

    def set_share(touch: Touch) -> None:
        for strategy, share in removal.points_of(touch):
            if strategy == "lowest":
                prunelist.change_by(share=share)

    selection.draw_chart(run, figure, f"curve_{chosen}", set_share)
    st.caption(
        "Click a point of the curve **lowest value first** to prune the rows removed up to there; "
        f"the slider below does the same. {count_of(found.n_refits, 'model fit')} in "
        f"{formats.seconds(found.seconds)}; bands show the middle 80 % of {N_RANDOM} random "
        "orders. Random clusters are a control: if removing whole clusters at random hurts as "
        "much as removing the best rows, the loss is due to missing kinds of rows."
    )
    # Without the switch, the verdict above says it.
    if balanced and (concluded := conclude(found.frame, main)) is not None:
        st.markdown(f"**{concluded.sentence}**")
    with st.expander("The data"):
        st.dataframe(summary, key="curve_data", hide_index=True)
        layout.download(
            "Every fit as CSV",
            lambda: to_csv(found.frame),
            f"{file_stem(run.table.name)}_curves.csv",
            "download_curves",
        )


def draw_rules(run: Run) -> None:
    """Draw share, threshold, picks; undo, redo, clear."""
    rules, unit = session.prune_list, formats.unit_of(run)
    chosen_threshold = prune_thresholds[unit.kind]
    prunelist.fill_widgets(
        {
            Session.prune_share: 100 * rules.share,
            Session.prune_by_threshold: rules.threshold is not None,
            chosen_threshold: (rules.threshold or 0.0) * unit.factor,
            Session.prune_quota: round(100 * rules.quota),
        }
    )

    def change_share() -> None:
        prunelist.change_by(share=(session.prune_share or 0.0) / 100, is_shown=True)

    def change_threshold() -> None:
        is_on = session.prune_by_threshold
        threshold = (chosen_threshold.get() or 0.0) / unit.factor
        prunelist.change_by(threshold=threshold if is_on else None, is_shown=True)

    def change_quota() -> None:
        prunelist.change_by(quota=(session.prune_quota or 0) / 100, is_shown=True)

    share, below, picks = st.columns(3, gap="medium")
    share.slider(
        "Lowest values to prune (% of the rows)",
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
        key=chosen_threshold.key,
        disabled=rules.threshold is None,
        on_change=change_threshold,
    )
    if run.split.task == "classification":
        picks.slider(
            "Keep at least (% of each class)",
            0,
            100,
            step=5,
            key=Session.prune_quota.key,
            on_change=change_quota,
            help="The highest-valued rows of every class are kept up to this share. 0 switches it "
            "off.",
        )
    picks.markdown(
        f"**Picked:** {count_of(len(rules.picked), 'row')}  \n"
        f"**Restored:** {count_of(len(rules.restored), 'row')}  \n"
        f"**Relabelled:** {count_of(len(labelling.relabelled(run)), 'row')}",
        help="Rows that were restored, or whose suggested label was accepted, stay whatever the rules.",
    )
    with picks:
        menu.link("explore", "Pick rows on the map")
    with st.container(horizontal=True):
        st.button("Undo", key="undo", on_click=prunelist.undo, disabled=not session.prune_past)
        st.button("Redo", key="redo", on_click=prunelist.redo, disabled=not session.prune_future)
        st.button("Clear", key="clear", on_click=prunelist.clear, disabled=rules == type(rules)())


def draw_list(run: Run, ids: list[int]) -> None:
    """Draw the list itself, restorable row by row."""
    rules = session.prune_list
    if not ids:
        st.info("The list is empty. Move the share, set a threshold, or pick rows on the map.")
    else:
        # Restored rows leave no ticks, which would stand at the rows that moved up.
        key, _ = ticks.place("pruned_rows", ids)
        rows.draw(
            run,
            ids,
            key,
            height=360,
            on_select="rerun",
            selection_mode="multi-row",
            notes=prunelist.decide(run).reasons,
        )
        marked = ticks.marked(key, ids) or []
        st.button(
            f"Restore {len(marked):,} selected rows" if marked else "Select rows to restore them",
            key="restore",
            disabled=not marked,
            on_click=lambda: prunelist.change(rules.restore(marked)),
        )
    if rules.restored:
        with st.expander(f"{count_of(len(rules.restored), 'row')} kept whatever the rules"):
            restored = sorted(rules.restored)
            rows.draw(run, restored, "restored_rows")
            st.button(
                "Apply the rules to them again",
                key="unrestore",
                on_click=lambda: prunelist.change_by(restored=frozenset()),
            )


layout.title(
    "Prune",
    "The pruned table omits the rows on the prune list. Nothing is deleted: you can undo every "
    "change and restore single rows, and the effect is measured before you download.",
)
run = layout.need_run()
layout.warn_if_unreliable(run)
ids = prunelist.pruned_ids(run)
draw_start(run, ids, verdicts.draw(run))
with st.container(key="curve_area" if removal.is_coming(run) else None):
    draw_curve(run)
draw_rules(run)
draw_figures(run, ids)
draw_effect(run, ids)
draw_list(run, ids)
st.subheader("Download", anchor=False)
downloads.draw(run, ids)
menu.lead_on("new_data", "Go on to New data")
