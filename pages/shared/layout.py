"""Frame of every screen: the status line, the title, and what to do first where a step is missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import streamlit as st
from plotly.graph_objects import Figure
from streamlit.delta_generator import DeltaGenerator

from ecoval_core.charts import CHART_CONFIG
from ecoval_core.text import count_of
from ecoval_core.valuation.record import DEFAULT_EXTRINSIC_WEIGHT, reliability_warning
from ecoval_core.workspace.runs import Opened, Run
from ecoval_core.workspace.tasks import Task
from pages.shared import formats, menu, progress, prunelist, runlist, server, state
from pages.shared.session import Session, session

# Streamlit leaves six rem above the page, which pushes the map off a small screen. Its captions are too pale
# for everybody to read, and no blue is both light enough for words on a dark page and dark enough below white
# ones. Its columns stand beside each other down to 640 pixels, where most words in a third of a page are cut
# off, and figures end in dots where they could go on in a second line.
_STYLE = """<style>
.stMainBlockContainer { padding: 4.5rem 2.5rem 3rem; }
.st-key-status { padding: 0.4rem 1rem; }
.stMain [data-testid="stCaptionContainer"] { opacity: 0.8; }
.stMain [data-testid="stMetric"] div { white-space: normal; overflow: visible; }
.stMain button[kind="primary"]:not(:disabled) { background-color: light-dark(#1f5fa3, #2c6fb3); }
.stMain button[kind="primary"]:not(:disabled):hover { background-color: light-dark(#194f88, #245f9b); }
.stMain .katex-display { overflow: visible; }
.stMain :has(> .st-key-theme), .stMain :has(> .st-key-narrow) { display: none; }
.st-key-narrow { max-width: 26rem; margin: auto; }
@media (min-width: 641px) {
  .stMain .stColumn:has(> * > :only-child > .stButton) { min-width: max-content; }
  .stMain .stHorizontalBlock:has(> .stColumn:nth-child(2):last-child > * > :only-child > .stButton) {
    flex-wrap: nowrap;
  }
}
@media (max-width: 1000px) {
  .stMain .stColumn { min-width: min(20rem, 100%); }
  .stMain .stColumn:has(> .stVerticalBlock:empty) { display: none; }
  .stMain :has(> .st-key-narrow) { display: block; }
  .stMain :has(> .st-key-wide) { display: none; }
}
@media (min-width: 641px) and (max-width: 1000px) {
  .stMain .stColumn .stColumn { min-width: 9rem; }
  .stMain .st-key-status .stColumn { min-width: 14rem; }
  .stMain .st-key-status .stColumn:first-child { min-width: 100%; }
}
@media (max-width: 1000px) {
  .stMain .stColumn:has(> * > * > [data-testid="stMetric"]):not(:has(.stColumn)) { min-width: 9rem; }
}
@media (max-width: 640px) {
  .stMain .katex-display { font-size: 0.75em; }
}
</style>"""
# Streamlit gives its own widgets their new colours without a run of the script, so that charts
# would keep the old ones.
_follow_theme = st.components.v2.component(
    "ecoval_theme",
    js="""
export default function ({ setTriggerValue }) {
  const app = document.querySelector("[data-testid=stApp]");
  const theme = () => getComputedStyle(app).colorScheme;
  let last = theme();
  const watch = new MutationObserver(() => {
    if (theme() === last) return;
    last = theme();
    setTriggerValue("changed", last);
  });
  watch.observe(app, { attributes: true, attributeFilter: ["class"] });
  return () => watch.disconnect();
}
""",
)


def theme() -> Literal["light", "dark"]:
    """Theme of the visitor's browser, for the charts."""
    return "dark" if st.context.theme.type == "dark" else "light"


def _describe_table(opened: Opened) -> str:
    table, n_planted = opened.table, len(opened.split.flipped_ids)
    noise = f" · {n_planted:,} planted errors" if n_planted else ""
    name, target = formats.plain(table.name), formats.plain(table.target)
    return f"**{name}** · {count_of(table.n_rows, 'row')} · target **{target}**{noise}"


def _describe_run(run: Run | None) -> str:
    job = state.run_job()
    if run is not None:
        title, clusters = formats.model_title(run.settings.model), run.ecoval.n_clusters_
        return f"{title}, {count_of(clusters, 'cluster')}, {count_of(len(run.frame), 'row')} valued"
    if job is not None:
        return "valuation running"
    return "not valued yet"


def status_line(*, is_value_page: bool) -> None:
    """Draw table, run and selection, with the extrinsic weight and the unit beside them."""
    st.html(_STYLE)
    with st.container(key="theme"):
        _follow_theme(key="theme_watch", on_changed_change=lambda: None)
    draw_trouble()
    opened = session.opened
    if opened is None:
        return
    run = state.run()
    with st.container(key="status", border=True):
        text, weight, unit = st.columns([3, 1.3, 0.9], gap="medium", vertical_alignment="center")
    parts = [_describe_table(opened), f"Run: {_describe_run(run)}"]
    if run is not None:
        decided = prunelist.decide(run)
        spared = (
            f", {len(decided.spared):,} more spared by the quota" if len(decided.spared) else ""
        )
        parts.append(
            f"Selected: {len(session.selected_ids):,} · To prune: {len(decided.reasons):,}{spared}"
        )
    text.markdown(
        "  \n".join(parts) if len(parts) < 3 else f"{parts[0]}  \n{parts[1]} · {parts[2]}"
    )
    if session.earlier_run is not None and session.earlier_run != session.run_id and run is None:
        _draw_way_back(weight if not is_value_page else text)
    if run is None and not is_value_page:
        return
    weight.slider(
        "Extrinsic weight",
        0.0,
        1.0,
        DEFAULT_EXTRINSIC_WEIGHT,
        0.05,
        key=Session.extrinsic_weight.key,
        bind="query-params",
        help="How much of a row's measured effect (its extrinsic value) it is paid. The rest of the "
        "surplus is paid for quality (intrinsic value). Changes every view at once; nothing is "
        "refitted.",
    )
    unit.selectbox(
        "Show values as",
        list(formats.UNITS),
        format_func=formats.UNITS.__getitem__,
        key=Session.unit.key,
        bind="query-params",
        help="Per mille of the surplus: 1 ‰ means one thousandth of all that the training data "
        "add to the score. Score: the same number in the unit of the score itself.",
    )


def _draw_way_back(place: DeltaGenerator) -> None:
    """Draw a button that opens the run that was open before the table was changed."""
    earlier = session.earlier_run
    record = None if earlier is None else state.find_record(earlier)
    if record is None or record.deleted is not None:
        return
    place.button(
        f"Back to the run of {runlist.when(record)}",
        key="back_to_run",
        icon=":material/undo:",
        on_click=runlist.open_record,
        args=(record.id,),
        help=f"{formats.plain(record.name)}: {formats.plain(runlist.describe(record))}. What you decided "
        "on it is kept.",
    )


def draw_trouble() -> None:
    """Say what could not be kept, if anything could not."""
    if trouble := server.workspace().trouble:
        st.warning(formats.plain(trouble), icon=":material/save:")


def title(text: str, intro: str, *, beside: bool = False) -> None:
    """Draw the screen's title and the sentence that explains what it is for."""
    if not beside:
        st.header(text, anchor=False)
        st.markdown(intro)
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.header(text, anchor=False, width="content")
        st.markdown(intro, width="stretch")


def need_table() -> Opened:
    """Return the open table, or say what to do first and stop."""
    opened = session.opened
    if opened is None:
        st.info("No table is open yet. Load a sample or upload your own first.")
        menu.link("data", "Go to Data")
        st.stop()
    return opened


def need_run() -> Run:
    """Return the finished run, or say what to do first and stop."""
    need_table()
    run = state.run()
    if run is None:
        job = state.run_job()
        if job is not None:
            st.info("The valuation is still running. This page fills when it is done.")
            menu.link("value", "Watch its progress on Value")
        else:
            st.info("The rows of this table have no values yet. Value them first.")
            menu.link("value", "Go to Value")
        st.stop()
    return run


def warn_if_unreliable(run: Run) -> None:
    """Warn in plain words where the values of a run should not be trusted."""
    if warning := reliability_warning(run.ecoval):
        st.warning(warning)


def offer(
    task: Task, label: str, key: str, *, what: str = "Refits",
    cancelled: str = "The measurement was cancelled.", **button: Any,
) -> Any | None:  # fmt: skip
    """Return the result of a task; without it draw the button that starts the task, or how far it is."""
    if state.result(task) is None and not progress.is_running(task):
        options = {"type": "primary", **button}
        st.button(label, key=key, on_click=progress.start_quietly, args=(task,), **options)
    return progress.result_of(task, what, cancelled=cancelled)


def download(
    label: str, make: Callable[[], bytes], name: str, key: str, *, mime: str = "text/csv",
    icon: str = ":material/download:", **options: Any,
) -> None:  # fmt: skip
    """Draw a button for a file that is made when the button is pressed."""
    st.download_button(label, make, name, mime, key=key, on_click="ignore", icon=icon, **options)


def table_height(n_rows: int, at_most: int = 420) -> int:
    """Return the height in pixels of a table, header included."""
    return min(at_most, 35 * (n_rows + 1) + 3)


def chart(figure: Figure, key: str, **selection: Any) -> Any:
    """Draw a figure as it is, with the settings that all charts share."""
    return st.plotly_chart(figure, theme=None, config=CHART_CONFIG, key=key, **selection)
