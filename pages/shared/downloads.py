"""What is taken away from a run: its tables, its report and its recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

import streamlit as st

from ecoval_core.evaluation.pruning import PruneList
from ecoval_core.reporting import make_report
from ecoval_core.runs.exports import Format, Which, check_parquet, export_table
from ecoval_core.runs.recipe import Recipe, make_recipe, recipe_bytes
from ecoval_core.runs.run import Run
from ecoval_core.runs.tasks import Task
from ecoval_core.text import count_of, file_stem
from ecoval_core.work import slow
from ecoval_core.workspace.schema import UnitKind, Verdict
from pages.shared import formats, labelling, layout, prunelist, server, state
from pages.shared.session import session

# What is downloaded by its label: which rows, how the file's name ends, and what is in it.
_KINDS: dict[str, tuple[Which, str, str]] = {
    "Pruned table": (
        "kept",
        "pruned",
        "The rows that remain, with their original columns, order and row ids",
    ),
    "Removed rows": (
        "removed",
        "removed",
        "The pruned rows, with the reason and their values, unrounded, in the unit chosen in View "
        "(see the column unit)",
    ),
    "All rows with values": (
        "all_values",
        "values",
        "Every row with its part, whether it is pruned and why. Valued rows also have value, "
        "standard error, intrinsic and extrinsic value (unrounded, in the unit chosen in View; "
        "see the column unit), cluster and label quality",
    ),
}
# Up to so many cells a recipe holds digests of the downloads, which are all made for it, in about a second.
MAX_CELLS = 1_000_000
_FORMATS: tuple[Format, ...] = ("csv", "parquet")
_MIME: dict[Format, str] = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}


def draw(run: Run, pruned_ids: list[int]) -> None:
    """Draw the download buttons and the choice of format."""
    new_labels, decision = labelling.relabelled(run), prunelist.decide(run)
    stem = file_stem(run.table.name)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        of_table: Format = "parquet" if run.table.name.endswith(".parquet") else "csv"
        kind = st.segmented_control(
            "Format",
            _FORMATS,
            default=of_table,
            format_func={"csv": "CSV", "parquet": "Parquet"}.__getitem__,
            required=True,
            key="format",
            persist_state="session",
        )
        refusal = _refusal(run) if kind == "parquet" else ""
        for label, (which, ending, explanation) in _KINDS.items():
            layout.download(
                label,
                partial(export_table, run, which, decision, kind, new_labels, session.unit),
                f"{stem}_{ending}.{kind}",
                f"download_{which}",
                mime=_MIME[kind],
                help=explanation,
                disabled=bool(refusal) or (which == "removed" and not pruned_ids),
            )
    if not pruned_ids:
        st.caption("The prune list is empty, so the pruned table is the whole table.")
    if refusal:
        st.warning(formats.plain(refusal))
    record = state.run_record()
    draw_documents(
        run,
        session.prune_list,
        session.label_decisions,
        gather=_gatherer(run, pruned_ids, new_labels),
        unit=session.unit,
        name="" if record is None else record.name,
        note="" if record is None else record.note,
    )


def draw_documents(
    run: Run, rules: PruneList, decisions: Mapping[int, Verdict], *, gather: Callable[[], Any],
    unit: UnitKind, name: str, note: str,
) -> None:  # fmt: skip
    """Draw a button for the report and one for the recipe; neither is made before its button is pressed."""
    # Where a button is pressed, the visitor's browser is no longer asked.
    zone, table = formats.time_zone(), run.table

    def make() -> Recipe:
        return make_recipe(
            run, rules, decisions, with_files=table.n_rows * table.frame.shape[1] <= MAX_CELLS,
            unit=unit, name=name, note=note, created=datetime.now(zone).isoformat(" ", "minutes"),
        )  # fmt: skip

    stem = file_stem(table.name)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        layout.download(
            "Report (HTML)",
            lambda: make_report(run, make(), **gather()),
            f"{stem}_report.html",
            "download_report",
            mime="text/html",
            icon=":material/description:",
            help="Figures, settings, decisions and measured effects in one file that opens "
            "offline, to share or to keep.",
        )
        layout.download(
            "Recipe (JSON)",
            lambda: recipe_bytes(make()),
            f"{stem}_recipe.json",
            "download_recipe",
            mime="application/json",
            icon=":material/receipt_long:",
            help="All settings and decisions. The command “ecoval replay RECIPE TABLE --out "
            "FOLDER” uses it to make exactly the same files again.",
        )


def _gatherer(run: Run, pruned_ids: list[int], new_labels: dict[int, Any]) -> Callable[[], Any]:
    """Return what collects all that was measured of a run, when its report is asked for."""
    # Where a button is pressed, the session is no longer there to be asked.
    workspace = server.workspace()
    pruning = f"Pruning {count_of(len(pruned_ids), 'row')}"
    relabelling = f"elabelling {count_of(len(new_labels), 'row')}"
    wanted = {
        pruning: slow.change_effect(run, pruned_ids),
        f"R{relabelling}": slow.change_effect(run, [], new_labels),
        f"{pruning} and r{relabelling}": slow.change_effect(run, pruned_ids, new_labels),
    }
    if not (pruned_ids and new_labels):
        wanted.popitem()
    harm = slow.change_effect(run, list(run.harmful_ids))
    curves = slow.curves(run.key, weight=run.settings.extrinsic_weight)
    projection = slow.umap(run.opened.key, every_row=run.settings.every_row)

    def read(task: Task) -> Any:
        return workspace.load(task.key, task.definition.returns)

    def gather() -> dict[str, Any]:
        effects = {name: read(task) for name, task in wanted.items()}
        measured = read(curves)
        return {
            "harm": read(harm),
            "effects": {name: effect for name, effect in effects.items() if effect is not None},
            "curves": None if measured is None else measured.frame,
            "coordinates": read(projection),
            "projection": "UMAP",
        }

    return gather


def _refusal(run: Run) -> str:
    try:
        check_parquet(run.table.frame)
    except ValueError as error:
        return str(error)
    return ""
