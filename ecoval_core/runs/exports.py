"""Exports: the unit in which values are shown, and the tables that can be downloaded of a run.

Downloads hold the very numbers of the screen, unrounded, in the unit chosen there, which a column names: by
default multiples of the average row, and on request units of the score.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.api import types

from ecoval_core.evaluation.pruning import Decision
from ecoval_core.files.delimited import guard_formulas
from ecoval_core.runs.run import Run
from ecoval_core.text import decimals_of, number
from ecoval_core.valuation.record import LEAST_SURPLUS
from ecoval_core.valuation.scoring import SCORINGS
from ecoval_core.workspace.schema import DEFAULT_UNIT, UnitKind

Which = Literal["kept", "removed", "all_values"]
Format = Literal["csv", "parquet"]
VALUE_COLUMNS = (
    "value", "standard_error", "intrinsic", "extrinsic", "raw_extrinsic", "left_out", "left_out_error",
    "passed_on",
)  # fmt: skip
# Values are estimates: their errors are rarely below a hundredth of them.
_DIGITS = 2


# --- Units ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unit:
    """A unit for values, `factor` of which make one unit of the score."""

    kind: UnitKind
    # On axes, and in a file.
    label: str
    name: str
    # Right after a number, and after that in words.
    mark: str
    words: str
    factor: float
    # Of what is typed in.
    decimals: int
    # Why it is not the unit that was asked for.
    note: str = ""

    def number(self, value: float) -> str:
        """Write a value in score units as a signed number of this unit, with its mark alone."""
        return number(value * self.factor, _DIGITS, signed=True) + self.mark

    def size(self, value: float) -> str:
        """Write an amount in score units, such as an error, as a number without a sign."""
        return number(value * self.factor, _DIGITS) + self.mark

    def text(self, value: float, error: float | None = None) -> str:
        """Write a value in score units, with its error if that is given, and the unit in words."""
        written = self.number(value) + ("" if error is None else f" ± {self.size(error)}")
        return f"{written} {self.words}".rstrip()

    def scale(self, frame: pd.DataFrame, columns: Iterable[str] = VALUE_COLUMNS) -> pd.DataFrame:
        """Return a frame whose value columns, as far as it has them, are in this unit."""
        columns = [column for column in columns if column in frame]
        return frame.assign(**{column: frame[column] * self.factor for column in columns})


def unit_of(run: Run, kind: UnitKind = DEFAULT_UNIT) -> Unit:
    """Return the unit asked for, or units of the score where the surplus gives no other.

    An average row is a row's part of the surplus, so that the values of n rows sum to n. Where the surplus is
    within two standard errors of zero, multiples of it would be noise: values are in units of the score then.
    """
    ecoval = run.ecoval
    surplus, n_rows = ecoval.surplus_, max(1, int(np.isfinite(ecoval.values_).sum()))
    if kind == "rows" and surplus > max(LEAST_SURPLUS, 2 * ecoval.surplus_standard_error_):
        return Unit(kind, "× the average row", "average rows", "×", "", n_rows / surplus, 2)
    if kind == "share" and surplus > 0:
        label, factor = "‰ of the surplus", 1000 / surplus
        decimals = decimals_of(1000 / n_rows, _DIGITS)
        return Unit(kind, label, "per mille of the surplus", "", label, factor, decimals)
    label = SCORINGS[run.settings.scoring].unit
    name = f"units {label}"
    note = "" if kind == "score" else (
        f"Values are in {name}: the model does not clearly beat a guess, so an average row is no unit."
    )  # fmt: skip
    decimals = decimals_of(surplus / n_rows, _DIGITS) or 2
    return Unit("score", label, name, "", label, 1.0, decimals, note)


# --- Tables to download ---------------------------------------------------------------------


def unique_name(name: str, taken: Collection[str]) -> str:
    """Return a name for a column that is added, with "ecoval_" in front as often as it is taken."""
    while name in taken:
        name = f"ecoval_{name}"
    return name


def exported_frame(
    run: Run, which: Which, decision: Decision | None = None,
    relabelled: Mapping[int, Any] | None = None, unit: UnitKind = DEFAULT_UNIT,
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
        if types.infer_dtype(frame[name], skipna=True) == "mixed":  # as vectors are
            written[name] = frame[name].map(_listed, na_action="ignore")
    guarded = guard_formulas(written)
    text = guarded.to_csv(index=False)
    if "\r" in text:  # which the csv module leaves without quotation marks, to end the line
        text = guarded.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC)
    return text.encode()


def export_table(
    run: Run, which: Which, decision: Decision | None = None, file_format: Format = "csv",
    relabelled: Mapping[int, Any] | None = None, unit: UnitKind = DEFAULT_UNIT,
) -> bytes:  # fmt: skip
    """Write a file to download; see :func:`exported_frame`."""
    frame = exported_frame(run, which, decision, relabelled, unit)
    if file_format == "csv":
        return to_csv(frame)
    check_parquet(frame)
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()
