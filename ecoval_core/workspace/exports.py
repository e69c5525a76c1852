"""What can be downloaded of a run: the table without the pruned rows, those rows, all values.

Values are the very numbers of the screen, unrounded, in the unit chosen there, which a column names.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping
from typing import Any, Literal

import pandas as pd
import pyarrow as pa

from ecoval_core.evaluation.pruning import Decision
from ecoval_core.tables.formulas import guard_formulas
from ecoval_core.workspace.runs import Run
from ecoval_core.workspace.units import UnitKind, unit_of

Which = Literal["kept", "removed", "all_values"]
Format = Literal["csv", "parquet"]


def unique_name(name: str, taken: Collection[str]) -> str:
    """Return a name for a column that is added, with "ecoval_" in front as often as it is taken."""
    while name in taken:
        name = f"ecoval_{name}"
    return name


def exported_frame(
    run: Run,
    which: Which,
    decision: Decision | None = None,
    relabelled: Mapping[int, Any] | None = None,
    unit: UnitKind = "share",
) -> pd.DataFrame:
    """Table to download: original columns and order, with the row id in front.

    Parameters
    ----------
    run : Run
        Finished run.
    which : {"kept", "removed", "all_values"}
        The table without the pruned rows (validation and test rows stay in it); the pruned rows with their
        values; or all rows with the part they were in and, for those that were valued, their values.
    decision : Decision or None, default=None
        Which rows go, and why; None for none.
    relabelled : mapping of int to object or None, default=None
        New label, or target, of the rows whose own was judged wrong.
    unit : {"share", "score"}, default="share"
        Unit of the values, see :func:`ecoval_core.workspace.units.unit_of`.

    Returns
    -------
    DataFrame
        Added columns are row_id, and with values also part, value, standard_error, intrinsic, extrinsic,
        unit (of these four, in words, the same in every row), cluster, label_quality, suggested_label, and,
        where noise was planted, planted_noise and label_used; then pruned and reason: the rules by which a
        row goes ("share", "threshold", "picked", joined by " + "), or that the quota spared it. Where rows
        were relabelled, corrected_label, which is the target as it was for the other rows. A name that the
        table has already gets "ecoval_" in front.
    """
    original = run.prepared.table.frame
    pruned = original.index.isin(() if decision is None else decision.reasons.index)
    frame = original
    if which != "kept":
        shown, columns = unit_of(run, unit), ["value", "standard_error", "intrinsic", "extrinsic"]
        added = pd.concat([run.prepared.parts, shown.scale(run.frame[columns])], axis=1)
        added["unit"] = pd.Series(shown.name, index=added.index, dtype="str")
        added["cluster"] = run.frame["cluster"].astype("Int64")
        for name in ("label_quality", "suggested_label"):
            added[name] = run.frame[name]
        if len(run.prepared.flipped_ids):
            added["planted_noise"] = run.frame["flipped"].astype("boolean")
            added["label_used"] = run.frame["label"]
        added["pruned"] = pruned
        notes = pd.Series(dtype="str") if decision is None else decision.notes
        added["reason"] = notes.reindex(added.index)
        added.columns = [unique_name(name, original.columns) for name in added.columns]
        frame = pd.concat([original, added], axis=1)
    if relabelled:
        target = original[run.prepared.table.target].astype(object)
        target.loc[list(relabelled)] = list(relabelled.values())
        name = unique_name("corrected_label", frame.columns)
        frame = frame.assign(**{name: target.infer_objects()})
    frame = {"kept": frame[~pruned], "removed": frame[pruned], "all_values": frame}[which]
    row_id = unique_name("row_id", original.columns)
    return frame.rename_axis(row_id).reset_index()


def check_parquet(frame: pd.DataFrame, csv: str = "CSV", parquet: str = "Parquet") -> None:
    """Refuse a table that Parquet cannot hold, such as an Excel column of text and numbers.

    Parameters
    ----------
    frame : DataFrame
        What is to be written.
    csv, parquet : str
        What the message calls the two files.

    Raises
    ------
    ValueError
        One sentence that names the first such column.
    """
    for column in frame:
        try:
            pa.array(frame[column], from_pandas=True)
        except pa.ArrowException as error:
            raise ValueError(
                f"Column {column!r} mixes kinds of values, which Parquet cannot hold: "
                f"choose {csv} instead of {parquet}."
            ) from error


def to_csv(frame: pd.DataFrame) -> bytes:
    """Contents of a CSV file in which nothing runs as a formula.

    Parameters
    ----------
    frame : DataFrame
        What is to be written, without its index.

    Returns
    -------
    bytes
        UTF-8 with commas. Text, in cells or names, that begins with ``=``, ``+``, ``-``, ``@`` (or their
        full-width forms), a tab or a line end gets an apostrophe in front, so that spreadsheets show it and
        do not run it (OWASP, "CSV injection"); numbers do not. `tables.read_frame` takes it away again.
    """
    guarded = guard_formulas(frame)
    text = guarded.to_csv(index=False)
    if "\r" in text:  # which the csv module leaves without quotation marks, to end the line
        text = guarded.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC)
    return text.encode()


def export_table(
    run: Run, which: Which, decision: Decision | None = None, file_format: Format = "csv",
    relabelled: Mapping[int, Any] | None = None, unit: UnitKind = "share",
) -> bytes:  # fmt: skip
    """Contents of a file to download.

    Parameters
    ----------
    run : Run
        Finished run.
    which : {"kept", "removed", "all_values"}
        See :func:`exported_frame`.
    decision : Decision or None, default=None
        Which rows go, and why; None for none.
    file_format : {"csv", "parquet"}, default="csv"
        Format; see :func:`to_csv`.
    relabelled, unit
        See :func:`exported_frame`.

    Returns
    -------
    bytes
        The file.

    Raises
    ------
    ValueError
        If Parquet cannot hold a column.
    """
    frame = exported_frame(run, which, decision, relabelled, unit)
    if file_format == "csv":
        return to_csv(frame)
    check_parquet(frame)
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()
