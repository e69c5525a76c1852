"""How values are written: one unit for the whole app, chosen in the status line."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from ecoval_core.valuation.models import MODELS
from ecoval_core.valuation.scoring import SCORINGS
from ecoval_core.workspace.runs import Run
from pages.shared.session import session

UNITS = {"share": "‰ of the surplus", "score": "Units of the score"}
VALUE_COLUMNS = ("value", "standard_error", "intrinsic", "extrinsic", "raw_extrinsic")
_MARKUP = re.compile(r"[\\`*_\[\]<>#~$:|]|^[-+]")


@dataclass(frozen=True)
class Unit:
    """A unit for values.

    Attributes
    ----------
    label : str
        Name of the unit, as written after a number.
    factor : float
        What a value in score units is multiplied by.
    decimals : int
        Decimals that leave an average value two digits.
    """

    label: str
    factor: float
    decimals: int

    def number(self, value: float) -> str:
        """Write a value of score units as a signed number of this unit, without the unit."""
        return f"{value * self.factor:+,.{self.decimals}f}".replace("-", "−")

    def size(self, value: float) -> str:
        """Write an amount of score units, such as an error, as a number of this unit without a sign."""
        return f"{value * self.factor:,.{self.decimals}f}"

    def text(self, value: float) -> str:
        """Write a value of score units as a signed number with its unit."""
        return f"{self.number(value)} {self.label}"

    def scale(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return a frame whose value columns are in this unit."""
        columns = [column for column in VALUE_COLUMNS if column in frame]
        return frame.assign(**{column: frame[column] * self.factor for column in columns})

    @property
    def column_format(self) -> str:
        """Format of a value in a table column that is already scaled."""
        return f"%+.{self.decimals}f"


def unit_of(run: Run) -> Unit:
    """Return the unit chosen; score units where there is no surplus to take a share of.

    Parameters
    ----------
    run : Run
        The run whose values are shown.

    Returns
    -------
    Unit
        The unit.
    """
    surplus, n = run.ecoval.surplus_, max(1, len(run.ecoval.values_))
    if surplus > 0 and session.unit == "share":
        return Unit("‰ of the surplus", 1000 / surplus, _decimals(1000 / n))
    return Unit(SCORINGS[run.settings.scoring].unit, 1.0, _decimals(abs(surplus) / n))


def _decimals(typical: float) -> int:
    return 2 if typical <= 0 else max(0, math.ceil(-math.log10(typical))) + 1


def count(n: int, noun: str) -> str:
    """Write a number of things: "1 row", "1,200 rows"."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def known(amount: float, form: str) -> str:
    """Write an amount in a format of Python's, or a dash where it is not known.

    Parameters
    ----------
    amount : float
        NaN for unknown.
    form : str
        Such as ".0%".

    Returns
    -------
    str
        The amount or "–".
    """
    return "–" if math.isnan(amount) else f"{amount:{form}}"


def plain(text: object) -> str:
    """Write a name of the visitor's, of a file or a column, so that Markdown shows it as it is.

    Parameters
    ----------
    text : object
        Anything; a number keeps its own writing.

    Returns
    -------
    str
        On one line, with a backslash before whatever Markdown would act upon.
    """
    return _MARKUP.sub(r"\\\g<0>", " ".join(str(text).split()))


def amount(label: object) -> object:
    """Return a label as it is, an amount with six digits."""
    return f"{label:.6g}" if isinstance(label, float) else label


def target_word(run: Run) -> str:
    """Return what the target of a row is called: a label, or a target where it is an amount."""
    return "label" if run.prepared.task == "classification" else "target"


def model_title(key: str) -> str:
    """Name of a model for people."""
    return MODELS[key].title


def seconds(duration: float) -> str:
    """Write a duration for people: "0.4 s", "12 s", "3 min".

    Parameters
    ----------
    duration : float
        Seconds.

    Returns
    -------
    str
        The duration in the unit that fits.
    """
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
    """Write a size for people: "12 KB", "3.4 MB".

    Parameters
    ----------
    n_bytes : float
        Bytes.

    Returns
    -------
    str
        The size in the unit that fits.
    """
    if n_bytes < 2**20:
        return f"{max(1, round(n_bytes / 2**10)):,} KB"
    return f"{n_bytes / 2**20:,.1f} MB" if n_bytes < 2**30 else f"{n_bytes / 2**30:,.1f} GB"
