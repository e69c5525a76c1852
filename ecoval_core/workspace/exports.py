"""Exports: the unit in which values are shown, and the tables that can be downloaded of a run.

Downloads hold the very numbers of the screen, unrounded, in the unit chosen there, which a column names.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from ecoval_core.evaluation.pruning import Decision
from ecoval_core.files.delimited import guard_formulas
from ecoval_core.text import DASH, MINUS
from ecoval_core.valuation.scoring import SCORINGS
from ecoval_core.workspace.runs import Run
from ecoval_core.workspace.schema import UnitKind

Which = Literal["kept", "removed", "all_values"]
Format = Literal["csv", "parquet"]
VALUE_COLUMNS = ("value", "standard_error", "intrinsic", "extrinsic", "raw_extrinsic")


# --- Units ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unit:
    """A unit for values: its label after a number, its name in a file, and what scores are multiplied by."""

    label: str
    name: str
    factor: float
    decimals: int

    def number(self, value: float) -> str:
        """Write a value in score units as a signed number of this unit, without the unit."""
        return _written(value * self.factor, f"+,.{self.decimals}f")

    def size(self, value: float) -> str:
        """Write an amount in score units, such as an error, as a number without a sign."""
        return _written(value * self.factor, f",.{self.decimals}f")

    def text(self, value: float) -> str:
        """Write a value in score units as a signed number with its unit."""
        return f"{self.number(value)} {self.label}"

    def scale(self, frame: pd.DataFrame, columns: Iterable[str] = VALUE_COLUMNS) -> pd.DataFrame:
        """Return a frame whose value columns, as far as it has them, are in this unit."""
        columns = [column for column in columns if column in frame]
        return frame.assign(**{column: frame[column] * self.factor for column in columns})

    @property
    def column_format(self) -> str:
        """Format, as of C's printf, of a value in a table column that is already scaled."""
        return f"%+.{self.decimals}f"


def _written(amount: float, form: str) -> str:
    if not math.isfinite(amount):
        return DASH
    text = f"{amount:{form}}"
    # Rounded to nothing, an amount has no sign.
    if not any(digit in text for digit in "123456789"):
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def unit_of(run: Run, kind: UnitKind = "share") -> Unit:
    """Return per mille of the surplus, or units of the score if that is asked for or there is no surplus."""
    surplus, n_rows = run.ecoval.surplus_, max(1, len(run.ecoval.values_))
    if surplus > 0 and kind == "share":
        name = "per mille of the surplus"
        return Unit("‰ of the surplus", name, 1000 / surplus, _decimals(1000 / n_rows))
    label = SCORINGS[run.settings.scoring].unit
    return Unit(label, f"units {label}", 1.0, _decimals(abs(surplus) / n_rows))


def _decimals(typical: float) -> int:
    return 2 if typical <= 0 else max(0, math.ceil(-math.log10(typical))) + 1


# --- Tables to download ---------------------------------------------------------------------


def unique_name(name: str, taken: Collection[str]) -> str:
    """Return a name for a column that is added, with "ecoval_" in front as often as it is taken."""
    while name in taken:
        name = f"ecoval_{name}"
    return name


def exported_frame(
    run: Run, which: Which, decision: Decision | None = None,
    relabelled: Mapping[int, Any] | None = None, unit: UnitKind = "share",
) -> pd.DataFrame:  # fmt: skip
    """Return a table to download: the columns of the file in their order, with the row id in front.

    "kept" is the table without the pruned rows (validation and test rows stay in it), "removed" the pruned
    rows with their values, "all_values" every row with its part and, where it was valued, its values. The
    column `unit` names the unit of the values, `reason` the rules by which a row goes ("share", "threshold",
    "picked", joined by " + ") or that the quota spared it; `corrected_label` is there where rows were
    relabelled. A name that the table has already gets "ecoval_" in front.
    """
    original = run.table.frame
    pruned = original.index.isin(() if decision is None else decision.reasons.index)
    frame = original
    if which != "kept":
        shown, columns = unit_of(run, unit), ["value", "standard_error", "intrinsic", "extrinsic"]
        added = pd.concat([run.split.parts, shown.scale(run.frame[columns])], axis=1)
        added["unit"] = pd.Series(shown.name, index=added.index, dtype="str")
        added["cluster"] = run.frame["cluster"].astype("Int64")
        added["label_quality"] = run.frame["label_quality"]
        added["label_issue"] = run.frame["label_issue"].astype("boolean")
        added["suggested_label"] = run.frame["suggested_label"]
        if len(run.split.flipped_ids):
            added["planted_noise"] = run.frame["flipped"].astype("boolean")
            added["label_used"] = run.frame["label"]
        added["pruned"] = pruned
        notes = pd.Series(dtype="str") if decision is None else decision.notes
        added["reason"] = notes.reindex(added.index)
        added.columns = [unique_name(name, original.columns) for name in added.columns]
        frame = pd.concat([original, added], axis=1)
    if relabelled:
        target = original[run.table.target].astype(object)
        target.loc[list(relabelled)] = list(relabelled.values())
        name = unique_name("corrected_label", frame.columns)
        frame = frame.assign(**{name: target.infer_objects()})
    frame = {"kept": frame[~pruned], "removed": frame[pruned], "all_values": frame}[which]
    row_id = unique_name("row_id", original.columns)
    return frame.rename_axis(row_id).reset_index()


def check_parquet(frame: pd.DataFrame, csv: str = "CSV", parquet: str = "Parquet") -> None:
    """Refuse a table that Parquet cannot hold, such as an Excel column of text and numbers."""
    for column in frame:
        try:
            pa.array(frame[column], from_pandas=True)
        except pa.ArrowException as error:
            raise ValueError(
                f"Column {column!r} mixes kinds of values, which Parquet cannot hold: "
                f"choose {csv} instead of {parquet}."
            ) from error


def _listed(cell: Any) -> Any:
    """Write a vector with all of its numbers, of which NumPy elides some."""
    return f"[{', '.join(map(str, cell))}]" if isinstance(cell, np.ndarray) else cell


def to_csv(frame: pd.DataFrame) -> bytes:
    """Write a CSV file in UTF-8 in which nothing runs as a formula.

    Text that begins with ``=``, ``+``, ``-``, ``@`` (or their full-width forms), a tab or a line end gets an
    apostrophe in front, so that spreadsheets show it and do not run it (OWASP, "CSV injection"); numbers do
    not. `tables.read_frame` takes it away again.
    """
    written = frame.copy(deep=False)
    for name in frame.select_dtypes(object):
        if any(isinstance(cell, np.ndarray) for cell in frame[name]):
            written[name] = frame[name].map(_listed, na_action="ignore")
    guarded = guard_formulas(written)
    text = guarded.to_csv(index=False)
    if "\r" in text:  # which the csv module leaves without quotation marks, to end the line
        text = guarded.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC)
    return text.encode()


def export_table(
    run: Run, which: Which, decision: Decision | None = None, file_format: Format = "csv",
    relabelled: Mapping[int, Any] | None = None, unit: UnitKind = "share",
) -> bytes:  # fmt: skip
    """Write a file to download; see :func:`exported_frame`."""
    frame = exported_frame(run, which, decision, relabelled, unit)
    if file_format == "csv":
        return to_csv(frame)
    check_parquet(frame)
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()
