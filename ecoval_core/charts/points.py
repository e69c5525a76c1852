"""Rows as points: where they lie, which of them are drawn, and what is said of each."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray
from pandas.api import types

from ecoval_core.charts.style import aligned, safe
from ecoval_core.text import MINUS, number

# The most points of a Plotly chart, and of the map in the browser.
MAX_POINTS = 20_000
MAX_DRAWN = 50_000
# A quarter of these, but at most so many, are the lowest-valued rows.
MAX_LOWEST = 5_000
MAX_HOVER_COLUMNS = 6
HOVER_TEMPLATE = (
    "<b>row %{{customdata}}</b><br>value = intrinsic + extrinsic<br>%{{text}} {unit}<br>"
    "label %{{hovertext}}<extra></extra>"
)


@dataclass(frozen=True, eq=False)
class PointData:
    """Rows as points; `drawn` holds the positions of those that are drawn, in ascending order."""

    ids: NDArray[np.int64]
    coords: NDArray[np.float64]
    drawn: NDArray[np.int64]
    # What is said of each drawn row, as plain text: half a second for 50,000, which no drawing waits for.
    texts: Callable[[], Sequence[str]]

    def mask(self, ids: Iterable[int]) -> NDArray[np.bool_]:
        """Tell which rows are among some; ids of no row are passed over."""
        return np.isin(self.ids, np.fromiter(ids, dtype=np.int64))


def make_points(
    frame: pd.DataFrame, coords: ArrayLike, *, unit: str = "", hover: pd.DataFrame | None = None,
    limit: int = MAX_DRAWN,
) -> PointData:  # fmt: skip
    """Make points of valued rows, `hover` being columns to tell of them; at most `limit` are drawn."""
    coords = np.asarray(coords, dtype=np.float64)
    drawn = np.sort(points_shown(frame, coords, limit))
    points = frame.iloc[drawn]

    def texts() -> list[str]:
        ending = f" {html.unescape(safe(unit, 40))}" if unit else ""
        descriptions = (
            html.unescape(text.replace("<br>", "\n")) for text in _descriptions(points, hover)
        )
        return [
            f"value = intrinsic + extrinsic\n{amounts}{ending}\nlabel {description}"
            for amounts, description in zip(_sums(points), descriptions, strict=True)
        ]

    return PointData(frame.index.to_numpy(dtype=np.int64), coords, drawn, texts)


def points_shown(frame: pd.DataFrame, coords: NDArray, limit: int) -> NDArray[np.int64]:
    """Return the positions of the rows that are drawn, the lowest last: all, or the lowest and a sample."""
    values = frame["value"].to_numpy(dtype=float)
    is_placed = np.isfinite(values) & np.isfinite(coords).all(axis=1)
    return lowest_and_sample(np.where(is_placed, values, np.nan), limit)[::-1]


def lowest_and_sample(amounts: NDArray[np.float64], limit: int) -> NDArray[np.int64]:
    """Return the positions of amounts, the lowest first: of all, or of the lowest quarter and a sample."""
    lowest_first = np.argsort(amounts, kind="stable")[: np.count_nonzero(~np.isnan(amounts))]
    if len(lowest_first) <= limit:
        return lowest_first
    n_lowest = min(MAX_LOWEST, limit // 4)
    rest = np.random.default_rng(0).permutation(np.arange(n_lowest, len(lowest_first)))
    return lowest_first[np.sort([*range(n_lowest), *rest[: limit - n_lowest]])]


def count_shown(frame: pd.DataFrame, shown: NDArray) -> str:
    """Return how many of the rows are drawn, in words; nothing if all are."""
    if len(shown) == len(frame):
        return ""
    return f" · showing {len(shown):,} of {len(frame):,} rows"


def point_trace(
    points: pd.DataFrame, coords: NDArray, marker: dict[str, Any], unit: str = ""
) -> go.Scattergl:
    """Draw rows as points that carry their row id and say in words what they are."""
    return bare_trace(
        points.index, coords, {"opacity": 0.9, **marker}, _sums(points),
        hovertext=_descriptions(points, None),
        hovertemplate=HOVER_TEMPLATE.format(unit=safe(unit, 40)),
        selected={"marker": {"opacity": 1.0}},
    )  # fmt: skip


def bare_trace(
    index: pd.Index, coords: NDArray, marker: dict[str, Any], texts: list[str], **options: Any
) -> go.Scattergl:
    """Draw points, smaller the more there are, whose `customdata` is the row id."""
    ids = index.to_numpy()
    size = next((size for most, size in ((300, 10), (2_500, 8), (8_000, 6)) if len(ids) <= most), 4)
    # Plotly has no 64-bit integers; a double holds every id exactly. Streamlit passes on nothing longer
    # than one number unharmed.
    fits = ids.max(initial=0) < np.iinfo(np.int32).max
    x, y = coords.T.astype(np.float32)
    return go.Scattergl(
        x=x, y=y, mode="markers", name="rows", text=texts,
        customdata=ids.astype(np.int32 if fits else np.float64),
        marker={"size": size, "line": {"width": 0}, **marker}, **options,
    )  # fmt: skip


def _sums(points: pd.DataFrame) -> list[str]:
    texts = []
    for row in points[["value", "intrinsic", "extrinsic"]].itertuples(index=False):
        value, intrinsic, extrinsic = aligned(row)
        sign = "-" if extrinsic[0] == MINUS else "+"
        # Plain signs: any other takes six bytes on its way to the browser.
        text = f"{value} = {intrinsic} {sign} {extrinsic.lstrip(MINUS)}"
        texts.append(text.replace(MINUS, "-"))
    return texts


def _descriptions(points: pd.DataFrame, hover: pd.DataFrame | None) -> list[str]:
    rows = zip(_written(points["label"]), points["cluster"], strict=True)
    texts = [f"{label}, cluster {cluster}" for label, cluster in rows]
    for position in np.flatnonzero(points["flipped"]):
        original = _cell(points["original_label"].iloc[position])
        texts[position] += f"<br>planted noise, it was {original}"
    if hover is None:
        return texts
    details = hover.reindex(points.index).iloc[:, :MAX_HOVER_COLUMNS]
    for column in details:
        title, cells = safe(column), _written(details[column])
        texts = [f"{text}<br>{title}: {cell}" for text, cell in zip(texts, cells, strict=True)]
    return texts


def _written(cells: pd.Series) -> list[str]:
    codes, distinct = pd.factorize(cells)
    written = [*(_cell(cell) for cell in distinct), "missing"]
    return [written[code] for code in codes]


def _cell(cell: Any) -> str:
    if types.is_float(cell):
        return number(float(cell), 6, trim=True)
    return safe(cell, 36)
