"""Frame of every screen: the status line, the title, and what to do first where a step is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import streamlit as st
from plotly.graph_objects import Figure

from ecoval_core.charts import CHART_CONFIG
from ecoval_core.runs.opened import Opened
from ecoval_core.runs.run import Run
from ecoval_core.runs.tasks import Task
from ecoval_core.text import count_of, shorten
from ecoval_core.valuation.record import DEFAULT_EXTRINSIC_WEIGHT, reliability_warning
from pages.shared import (
    filtering,
    formats,
    menu,
    progress,
    prunelist,
    runlist,
    server,
    state,
    unvalued,
    windows,
)
from pages.shared.session import Entry, Session, session

N_RECENT = 6
# What takes longer is not begun because somebody looked.
FEW_SECONDS = 5.0
# Streamlit gives its own widgets their new colours without a run of the script, so that charts would keep the
# old ones.
_watch_browser = st.components.v2.component(
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


def _describe_run(run: Run | None) -> str:
    job = state.run_job()
    if run is None:
        return "valuation running" if job is not None else "not valued yet"
    told = (
        f"{formats.model_title(run.settings.model)}, {count_of(run.ecoval.n_clusters_, 'cluster')}"
    )
    news = "new valuation running" if job is not None else unvalued.summary()
    return f"{told} · **{news}**" if news else told


def status_line(*, is_value_page: bool) -> None:
    """Draw one line: the run switcher, the table and what is selected, the view, and help."""
    with st.container(key="theme"):
        _watch_browser(key="theme_watch", on_changed_change=lambda: None)
    draw_trouble()
    run = state.run()
    # What the pages show: the open table may have been split anew since.
    opened = session.opened if run is None else run.opened
    with st.container(key="status", horizontal=True, vertical_alignment="center", gap="small"):
        if opened is not None:
            _draw_switcher(opened, run)
            with st.container(key="status_text"):
                st.markdown(_describe(opened, run))
            with st.popover("View", icon=":material/tune:", key="view_menu"):
                _draw_view(run, is_value_page=is_value_page)
        with st.popover("Help", icon=":material/help:", key="help_menu"):
            menu.link("method", "Method: formulas, limits, citation")
            st.markdown(
                "**Command line**: `ecoval value TABLE --out VALUES.csv` values a table, `ecoval --help` "
                "lists all commands.\n\n**Python**: `from ecoval_core import EcoVal`, then "
                "`EcoVal(model).fit(X_train, y_train, X_val, y_val).values_`."
            )
    with st.container():
        if windows.has_another(server.visitor(), session.run_id):
            st.caption(
                ":material/tab: This run is open in another tab too: what you change here shows there after "
                "the next click there."
            )
        job = state.run_job()
        if not is_value_page and job is not None:
            progress.redraw_after(job)


def _describe(opened: Opened, run: Run | None) -> str:
    table, n_planted = opened.table, len(opened.split.flipped_ids)
    parts = [count_of(table.n_rows, "row"), f"target **{formats.plain(table.target)}**"]
    if n_planted:
        parts.append(f"{n_planted:,} planted errors")
    if run is not None:
        decided = prunelist.decide(run)
        parts.append(f"{len(run.frame):,} valued")
        parts.append(f"**{_describe_selection(run)}**")
        parts.append(f"**To prune: {len(decided.reasons):,}**")
        if len(decided.spared):
            parts.append(f"{len(decided.spared):,} more kept by the limit of their class")
    return " · ".join(parts)


def _describe_selection(run: Run) -> str:
    told = f"Selected: {len(session.selected_ids):,}"
    n_passing = len(filtering.focus(run)) if session.selected_ids else 0
    is_narrowed = n_passing < len(session.selected_ids)
    return f"{told}, {n_passing:,} pass the filters" if is_narrowed else told


def _draw_switcher(opened: Opened, run: Run | None) -> None:
    """Draw the menu of the runs, labelled with the one that is open."""
    noted = None if run is None else state.run_record()
    name = opened.table.name if noted is None else noted.name
    label = f"**{formats.plain(shorten(name, 36))}** · {_describe_run(run)}"
    with st.popover(label, key="run_menu"):
        # In full: the label may be too long for it, and say another name than that of the table.
        of_table = (
            "" if name == opened.table.name else f", table {formats.plain(opened.table.name)}"
        )
        st.caption(f"Open: {formats.plain(name)}{of_table}")
        recent = [one for one in runlist.records() if one.id != session.run_id][:N_RECENT]
        for record in recent:
            st.button(
                f"{formats.plain(shorten(record.name, 30))} · "
                f"{formats.model_title(record.settings.model)} · {runlist.when(record)}",
                key=f"switch_{record.id}",
                on_click=runlist.open_record,
                args=(record.id,),
                type="tertiary",
            )
        menu.link("runs", "All runs: rename, export, delete")
        if run is not None:
            menu.link("compare", "Compare this run with another")
    if run is None and session.earlier_run not in (None, session.run_id):
        _draw_way_back()


def _draw_view(run: Run | None, *, is_value_page: bool) -> None:
    if run is None and not is_value_page:
        st.caption("Value the rows first.")
        return
    st.selectbox(
        "Show values as",
        list(formats.UNITS),
        format_func=formats.UNITS.__getitem__,
        key=Session.unit.key,
        bind="query-params",
        help="**× the average row**: 1× is what an average row adds to the score; −3.2× costs what 3.2 "
        "average rows bring. **‰ of the surplus**: thousandths of what all rows add together. **Score**: the "
        "raw value, in which all values are where the model does not clearly beat a guess.",
    )
    st.slider(
        "Extrinsic weight",
        0.0,
        1.0,
        DEFAULT_EXTRINSIC_WEIGHT,
        0.05,
        key=Session.extrinsic_weight.key,
        bind="query-params",
        help="How much the measured effect of a row (its extrinsic value) counts. The rest of the "
        "surplus is divided by the quality of the rows (intrinsic value). Every page changes "
        "at once; no model is fitted again.",
    )


def _draw_way_back() -> None:
    """Draw a button that opens the run that was open before the table was changed."""
    earlier = session.earlier_run
    record = None if earlier is None else state.find_record(earlier)
    if record is None or record.deleted is not None:
        return
    st.button(
        f"Back to the run of {runlist.when(record)}",
        key="back_to_run",
        icon=":material/undo:",
        on_click=runlist.open_record,
        args=(record.id,),
        help=f"{formats.plain(record.name)}: {formats.plain(runlist.describe(record))}. Your decisions on "
        "it are kept.",
    )


def draw_trouble() -> None:
    """Say what could not be kept, if anything could not."""
    if trouble := server.workspace().trouble:
        st.warning(formats.plain(trouble), icon=":material/save:")


def draw_lost(page: str) -> None:
    """Say on the page that was asked for what of its address is not here."""
    if session.lost is None:
        return
    sentence, asked = session.lost
    if asked in ("", page):
        session.lost = (sentence, page)
        st.error(formats.plain(sentence))
    else:
        Session.lost.forget()


def title(text: str, intro: str) -> None:
    """Draw the screen's title and the sentence that explains what it is for."""
    st.header(text, anchor=False)
    st.markdown(intro)


def choose(label: str, options: Mapping[str, str], entry: Entry[Any], **more: Any) -> None:
    """Draw the choice of one of a few, whose label is not seen."""
    st.segmented_control(
        label,
        list(options),
        format_func=options.__getitem__,
        required=True,
        label_visibility="collapsed",
        **entry.lasting,
        **more,
    )


def need_table() -> Opened:
    """Return the open table, or say what to do first and stop."""
    opened = session.opened
    if opened is None:
        st.info("No table is open yet. Load a sample or upload your own first.")
        menu.lead_on("data", "Go to Data")
        st.stop()
    return opened


def need_run() -> Run:
    """Return the finished run, or say what to do first and stop."""
    run = state.run()
    if run is None:
        need_table()
        job = state.run_job()
        if job is not None:
            st.info("The valuation is still running. This page fills when it is done.")
            menu.lead_on("value", "Watch its progress on Value")
        else:
            st.info("The rows of this table have no values yet. Value them first.")
            menu.lead_on("value", "Go to Value")
        st.stop()
    return run


def say_what_changes_do() -> None:
    """Say what a change of the choices below does while a valuation is under way."""
    if state.run_job() is not None:
        st.caption(
            ":material/info: A valuation is running. It keeps its settings: what you change here applies to "
            "the next one."
        )


def warn_if_unreliable(run: Run) -> None:
    """Warn in plain words where the values of a run should not be trusted."""
    if warning := reliability_warning(run.ecoval):
        st.warning(f"{warning} {formats.unit_of(run).note}".rstrip())


def offer(
    task: Task, label: str, key: str, *, what: str = "Refits",
    cancelled: str = "The measurement was cancelled.", **button: Any,
) -> Any | None:  # fmt: skip
    """Return the result of a task; without it draw the button that starts the task, or how far it is."""
    with st.container():
        if not progress.is_running(task) and state.result(task) is None:
            options = {"type": "primary", "on_click": progress.start, "args": (task,), **button}
            st.button(label, key=key, **options)
        return progress.result_of(task, what, cancelled=cancelled)


def fetch_or_offer(task: Task, timing: Task, label: str, key: str, *, what: str) -> Any | None:
    """Return the result of a task, which begins by itself where its timing says that it takes a moment."""
    with st.container():
        if state.read(task) is not None or progress.is_running(task):
            return progress.result_of(task, what)
        seconds = progress.fetch(f"{key}_timing", timing, f"Timing {what}")
        if seconds is None and progress.is_running(timing):
            return None
        if seconds is not None and seconds <= FEW_SECONDS:
            return progress.fetch(key, task, what, can_cancel=True)
        cost = "" if seconds is None else f", about {formats.seconds(seconds)}"
        return offer(task, f"{label}{cost}", key, what=what, type="secondary")


def download(
    label: str, make: Callable[[], bytes], name: str, key: str, *, mime: str = "text/csv",
    icon: str = ":material/download:", **options: Any,
) -> None:  # fmt: skip
    """Draw a button for a file that is made when the button is pressed."""
    st.download_button(label, make, name, mime, key=key, on_click="ignore", icon=icon, **options)


def table_height(n_rows: int) -> int:
    """Return the height in pixels of a table, header included."""
    return min(420, 35 * (n_rows + 1) + 3)


def chart(figure: Figure, key: str, **selection: Any) -> Any:
    """Draw a figure as it is, with the settings that all charts share."""
    return st.plotly_chart(figure, theme=None, config=CHART_CONFIG, key=key, **selection)
