"""How a run is looked at: filters, and the colour and projection of the map; as a desk keeps them."""

from __future__ import annotations

from typing import Any

from pages.shared.session import Entry, Family, Session, filter_ranges, filter_values, session

# By the name of the target: the amounts that pass.
target_ranges: Family[tuple[float, float]] = Family("filter_target")
# By the key of a range: all amounts that there are.
_wholes: Family[tuple[float, float]] = Family("whole")
_FILTERS: tuple[Entry[Any], ...] = (
    Session.filter_labels, Session.filter_negative, Session.filter_planted, Session.filter_column,
)  # fmt: skip


def note_whole(ranges: Family[tuple[float, float]], name: str, whole: tuple[float, float]) -> None:
    """Note which range takes all, so that an untouched slider is no filter, also when there are more rows."""
    if ranges.get(name) is not None and is_whole(ranges, name):
        ranges.set(name, whole)
    _wholes.set(ranges.key(name), whole)


def is_whole(ranges: Family[tuple[float, float]], name: str) -> bool:
    """Whether a range takes all that there were when it was drawn last, or is none."""
    chosen = ranges.get(name)
    return chosen is None or tuple(chosen) == _wholes.get(ranges.key(name))


def contents() -> dict[str, Any]:
    """Return filters, colour and projection, as JSON takes them.

    Returns
    -------
    dict
        For :func:`lay_out`.
    """
    column, target = session.filter_column, _target()
    return {
        # Whatever else a class may be is not known to JSON.
        "labels": [
            label for label in session.filter_labels if isinstance(label, (str, int, float))
        ],
        "negative": bool(session.filter_negative),
        "planted": bool(session.filter_planted),
        "column": column,
        "range": _range(filter_ranges, column),
        "values": list(filter_values.get(column) or []),
        "target": _range(target_ranges, target),
        "color": session.map_color,
        "projection": session.projection,
    }


def lay_out(kept: dict[str, Any]) -> None:
    """Look at the run as it was; call before the widgets are drawn.

    Parameters
    ----------
    kept : dict
        From :func:`contents`; what is missing stays as it is.
    """
    session.filter_labels = list(kept.get("labels", session.filter_labels))
    session.filter_negative = bool(kept.get("negative", session.filter_negative))
    session.filter_planted = bool(kept.get("planted", session.filter_planted))
    session.filter_column = str(kept.get("column", session.filter_column))
    session.map_color = str(kept.get("color", session.map_color))
    session.projection = str(kept.get("projection", session.projection))
    column = session.filter_column
    _lay_out_range(filter_ranges, column, kept.get("range"))
    _lay_out_range(target_ranges, _target(), kept.get("target"))
    filter_values.set(column, [str(value) for value in kept.get("values", [])])


def forget_filters() -> None:
    """Let every row pass again, as before another table; colour and projection stay."""
    for family in (filter_ranges, target_ranges, filter_values, _wholes):
        family.forget_all()
    for entry in _FILTERS:
        entry.forget()


def _target() -> str:
    return "" if session.prepared is None else str(session.prepared.table.target)


def _range(ranges: Family[tuple[float, float]], name: str) -> list[float] | None:
    chosen = ranges.get(name)
    return None if chosen is None or is_whole(ranges, name) else [float(end) for end in chosen]


def _lay_out_range(ranges: Family[tuple[float, float]], name: str, kept: Any) -> None:
    if kept is None:
        ranges.forget(name)
    else:
        low, high = kept
        ranges.set(name, (float(low), float(high)))
