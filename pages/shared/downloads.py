"""Download buttons: the pruned table, the removed rows, all rows with their values."""

from __future__ import annotations

from functools import partial
from pathlib import PurePath

import streamlit as st

from ecoval_core.workspace.exports import Format, Which, check_parquet, export_table
from ecoval_core.workspace.runs import Run
from pages.shared import formats

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


def draw(run: Run, pruned_ids: list[int]) -> None:
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
