"""How values are written: one unit for the whole app, chosen in the status line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import streamlit as st

from ecoval_core.models.catalog import title_of
from ecoval_core.runs import exports
from ecoval_core.runs.exports import Unit
from ecoval_core.runs.run import Run
from ecoval_core.text import number, rank_of
from ecoval_core.workspace.schema import UnitKind
from pages.shared.session import session

UNITS: dict[UnitKind, str] = {
    "rows": "× the average row",
    "share": "‰ of the surplus",
    "score": "Units of the score",
}
# Significant digits, as of C's printf, of values and of amounts without a sign.
VALUE, AMOUNT = "%+.3g", "%.3g"
_MARKUP = re.compile(r"[\\`*_\[\]<>#~$:|&]|^[-+]")
_LIST = re.compile(r"^(\d+)(?=[.)])")
# Streamlit makes links, icons and arrows of what Markdown has left as text: an invisible character in between
# keeps them apart.
_WORD_JOINER = "\u2060"
_SHORTHAND = re.compile(r"(?<=:)(?=\S)|(?=@)|(?<=www)(?=\.)|(?<=[-<>~])(?=[-=>])", re.IGNORECASE)


def unit_of(run: Run) -> Unit:
    """Return the unit chosen; score units where there is no surplus for another."""
    return exports.unit_of(run, session.unit)


def rank(run: Run, row_id: int) -> str:
    """Write the rank of a row by its value."""
    values = run.frame["value"]
    return rank_of(int((values < values[row_id]).sum()), len(values))


def plain(text: object) -> str:
    """Write a name of a file, a column or a run on one line so that Markdown shows it as it is."""
    line = _SHORTHAND.sub(_WORD_JOINER, " ".join(str(text).split()))
    return _LIST.sub(r"\1\\", _MARKUP.sub(r"\\\g<0>", line))


def rows_each(mean: float) -> str:
    """Write a mean number of rows with three digits: "1 row", "12.5 rows"."""
    written = number(mean, trim=True)
    return f"{written} {'row' if written == '1' else 'rows'}"


def amount(label: object) -> object:
    """Return a label as it is, an amount with six digits."""
    return number(label, 6, trim=True) if isinstance(label, float) else label


def target_word(run: Run) -> str:
    """Return what the target of a row is called: a label, or a target where it is an amount."""
    return "label" if run.split.task == "classification" else "target"


def model_title(key: str) -> str:
    """Name of a model for people."""
    return title_of(key)


def seconds(duration: float) -> str:
    """Write a duration for people: "0.4 s", "12 s", "3 min"."""
    if duration < 9.5:
        return f"{duration:.1f} s"
    if duration < 90:
        return f"{duration:.0f} s"
    return f"{duration / 60:.0f} min" if duration < 5400 else f"{duration / 3600:.1f} h"


def time_zone() -> tzinfo:
    """Return the time zone of the visitor's browser, or that of the server where it is not known."""
    zone = st.context.timezone
    return ZoneInfo(zone) if zone else datetime.now().astimezone().tzinfo or UTC


def size(n_bytes: float) -> str:
    """Write a size for people: "12 KB", "3.4 MB"."""
    if n_bytes < 2**20:
        return f"{max(1, round(n_bytes / 2**10)):,} KB"
    return f"{n_bytes / 2**20:,.1f} MB" if n_bytes < 2**30 else f"{n_bytes / 2**30:,.1f} GB"


def value_columns(run: Run) -> dict[str, Any]:
    """Return how tables show row numbers and values in the chosen unit, by column."""
    unit, column = unit_of(run), st.column_config.NumberColumn
    columns = {
        name: column(name, format=VALUE, help=f"In {unit.name}")
        for name in ("value", "intrinsic", "extrinsic")
    }
    label = st.column_config.Column(target_word(run))
    return {"_index": column("row", format="%d", pinned=True), "label": label, **columns}
