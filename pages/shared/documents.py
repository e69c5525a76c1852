"""The two documents of a run: the report to read, and the recipe to make its downloads again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import streamlit as st

from ecoval_core.evaluation.pruning import PruneList
from ecoval_core.reporting import make_report
from ecoval_core.runs.recipe import Recipe, make_recipe, recipe_bytes
from ecoval_core.runs.run import Run
from ecoval_core.text import file_stem
from ecoval_core.workspace.schema import DEFAULT_UNIT, UnitKind, Verdict
from pages.shared import formats, layout

# Up to so many cells a recipe holds digests of the downloads, which are all made for it, in about a second.
MAX_CELLS = 1_000_000
Parts = Mapping[str, Any]


def draw(
    run: Run, rules: PruneList, decisions: Mapping[int, Verdict], *,
    gather: Callable[[], Parts] | None = None, unit: UnitKind = DEFAULT_UNIT, name: str = "", note: str = "",
) -> None:  # fmt: skip
    """Draw a button for the report and one for the recipe; neither is made before its button is pressed."""
    # Where a button is pressed, the visitor's browser is no longer asked.
    zone, table = formats.time_zone(), run.table

    def make() -> Recipe:
        return make_recipe(
            run, rules, decisions, with_files=table.n_rows * table.frame.shape[1] <= MAX_CELLS,
            unit=unit, name=name, note=note, created=datetime.now(zone).isoformat(" ", "minutes"),
        )  # fmt: skip

    def report() -> bytes:
        return make_report(run, make(), **({} if gather is None else gather()))

    def recipe() -> bytes:
        return recipe_bytes(make())

    stem = file_stem(table.name)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        layout.download(
            "Report (HTML)",
            report,
            f"{stem}_report.html",
            "download_report",
            mime="text/html",
            icon=":material/description:",
            help="Figures, settings, decisions and measured effects in one file that opens "
            "offline, to share or to keep.",
        )
        layout.download(
            "Recipe (JSON)",
            recipe,
            f"{stem}_recipe.json",
            "download_recipe",
            mime="application/json",
            icon=":material/receipt_long:",
            help="All settings and decisions. The command “ecoval replay RECIPE TABLE --out "
            "FOLDER” uses it to make exactly the same files again.",
        )
