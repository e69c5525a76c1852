"""Charts that show the one selection and take it: a click or a box on their marks selects the rows behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from plotly.graph_objects import Figure

from ecoval_core import charts
from ecoval_core.charts.selection import Mode, rows_behind
from ecoval_core.runs.run import Run
from pages.shared import formats, layout, state
from pages.shared.pointmap.chart import Touch, live_chart
from pages.shared.session import session


def change(ids: Iterable[int], mode: Mode) -> None:
    """Change the selection by what was touched."""
    before, touched = session.selected_ids, list(ids)
    if mode == "replace":
        state.select([] if set(touched) == set(before) else touched)
    elif mode == "add":
        state.select([*before, *(row for row in touched if row not in set(before))])
    else:
        state.select([row for row in before if row not in set(touched)])


def draw(run: Run, figure: Figure, name: str, on_touch: Callable[[Touch], None]) -> None:
    """Draw a chart that takes clicks."""
    unit = formats.unit_of(run)
    view = f"{run.opened.key} {run.settings.every_row} {unit.factor:.6g} {name}"
    live_chart(figure, name, view=view, on_touch=on_touch)


def draw_bars(run: Run, figure: Figure, name: str) -> None:
    """Draw a chart whose bars select the rows behind them."""
    frame = formats.unit_of(run).scale(run.frame)
    draw(run, figure, name, lambda touch: change(rows_behind(frame, touch.keys), touch.mode))


def draw_distribution(run: Run, name: str) -> None:
    """Draw the distribution of values, with the selection in a tone of its own."""
    unit = formats.unit_of(run)
    figure = charts.value_distribution(
        unit.scale(run.frame), theme=layout.theme(), unit=unit.label, selected=session.selected_ids
    )
    # A drag takes whole bars, however low they are.
    figure.update_layout(dragmode="select", selectdirection="h")
    draw_bars(run, figure, name)
