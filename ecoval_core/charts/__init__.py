"""Every chart of a valuation: pure functions from tidy data and a theme to a Plotly figure.

In Streamlit draw them with ``theme=None``, and with `CHART_CONFIG`. `unit` only names the unit of values.
"""

from __future__ import annotations

from typing import Any

from ecoval_core.charts.comparison import agreement_scatter, class_bars, overlap_bars
from ecoval_core.charts.curves import Mark, orders_chart, peak_of, removal_chart
from ecoval_core.charts.data import class_counts, missing_by_column, split_bar
from ecoval_core.charts.decomposition import (
    QUADRANTS,
    TYPICAL_QUALITY,
    decomposition_scatter,
    quadrant_of,
)
from ecoval_core.charts.map import region_notes, value_map
from ecoval_core.charts.style import compact
from ecoval_core.charts.values import totals_by, value_distribution

__all__ = [
    "CHART_CONFIG", "QUADRANTS", "TYPICAL_QUALITY", "Mark", "agreement_scatter", "class_bars",
    "class_counts", "compact", "decomposition_scatter", "missing_by_column", "orders_chart", "overlap_bars",
    "peak_of", "quadrant_of", "region_notes", "removal_chart", "split_bar", "totals_by",
    "value_distribution", "value_map",
]  # fmt: skip

CHART_CONFIG: dict[str, Any] = {
    "displaylogo": False,
    # The button would upload the data to a web service.
    "showSendToCloud": False,
    "modeBarButtonsToRemove": ["sendChartToCloud", "zoomIn2d", "zoomOut2d", "autoScale2d"],
    "toImageButtonOptions": {"format": "png", "scale": 2, "filename": "ecoval"},
}
