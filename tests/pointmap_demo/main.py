"""Three screens: a map with what surrounds it on Explore, a scatter with axes, and one without any map.

The address says how many rows there are (``?rows=20000``) and how many of them are drawn (``&limit=``).
"""

import time

import numpy as np
import streamlit as st

from ecoval_core.charts.coloring import color_by, colorings
from ecoval_core.charts.decomposition import decomposition_layout
from ecoval_core.charts.points import make_points
from ecoval_core.charts.shades import shade
from ecoval_core.charts.style import palette_of
from pages.shared.pointmap.element import PackedPoints, pack_shade, point_map
from tests.pointmap_demo import rows

UNIT = "‰ of the surplus"


make_frame = st.cache_data(rows.make_frame, show_spinner=False)


@st.cache_resource(max_entries=8, show_spinner=False)
def packed_points(n_rows, limit, kind):
    frame, coords = make_frame(n_rows)
    if kind == "scatter":
        coords = frame[["intrinsic", "extrinsic"]].to_numpy()
    points = make_points(frame, coords, unit=UNIT, hover=frame[["amount", "note"]], limit=limit)
    return PackedPoints(points)


@st.cache_resource(max_entries=32, show_spinner=False)
def packed_shade(n_rows, limit, color, theme):
    frame, _ = make_frame(n_rows)
    drawn = packed_points(n_rows, limit, "map").points.drawn
    points, palette = frame.iloc[drawn], palette_of(theme)
    known = colorings(points, palette, UNIT)
    return pack_shade(
        shade(known[color] if color in known else color_by(points[color], palette), palette)
    )


def answer(gesture):
    """Pick a row or change the selection; the filter says which rows a gesture may take."""
    if gesture.kind == "pick":
        st.session_state["picked"] = gesture.row_id
        st.session_state["n_picks"] = st.session_state.get("n_picks", 0) + 1
        return
    points = packed_points(*size(), "map").points
    selected = gesture.selects(points, st.session_state.get("selected", []), shown_ids())
    st.session_state["selected"] = selected
    st.session_state["n_gestures"] = st.session_state.get("n_gestures", 0) + 1


def size():
    rows = int(st.query_params.get("rows", 2000))
    return rows, int(st.query_params.get("limit", 50_000))


def shown_ids():
    frame, _ = make_frame(size()[0])
    return frame.index[frame["value"] < 0] if st.session_state.get("negative") else None


def draw(kind):
    n_rows, limit = size()
    frame, coords = make_frame(n_rows)
    selected = st.session_state.get("selected", [])
    picked = st.session_state.get("picked")
    theme = "dark" if st.context.theme.type == "dark" else "light"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        color = st.selectbox(
            "Colour by",
            ["value", "intrinsic", "cluster", "label", "flipped", "amount", "note"],
            key="color",
            bind="query-params",
            persist_state="session",
        )
        st.toggle("Below zero only", key="negative", bind="query-params")
        st.toggle("Prune list", key="prune", bind="query-params")
        if st.button("Rerun slowly", key="slow"):
            time.sleep(2)
    st.markdown(
        f"**Selected: {len(selected):,}** of {n_rows:,} · picked {picked} "
        f"· gestures {st.session_state.get('n_gestures', 0)} "
        f"· picks {st.session_state.get('n_picks', 0)}"
    )
    left, right = st.columns([2, 1])
    near = []
    if picked is not None:
        gap = ((coords - coords[picked - 100]) ** 2).sum(axis=1)
        near = frame.index[np.argsort(gap)[1:6]]
    with left:
        point_map(
            kind,
            packed_points(n_rows, limit, kind),
            packed_shade(n_rows, limit, color, theme),
            label="Map of synthetic rows" if kind == "map" else "Intrinsic against extrinsic",
            theme=theme,
            on_gesture=answer,
            selected_ids=selected or None,
            shown_ids=shown_ids(),
            picked_id=picked,
            neighbor_ids=near,
            pruned_ids=frame.index[frame["value"] < -1] if st.session_state.get("prune") else (),
            layout=None if kind == "map" else decomposition_layout(frame, theme=theme, unit=UNIT),
            above=360,
        )
    with right:
        st.dataframe(frame.loc[selected].head(500) if selected else frame.head(500), height=300)


st.set_page_config(page_title="Map", layout="wide")
screens = [
    st.Page(lambda: draw("map"), title="Map", url_path="map", default=True),
    st.Page(lambda: draw("scatter"), title="Scatter", url_path="scatter"),
    st.Page(lambda: st.header("Nothing here"), title="Nothing", url_path="nothing"),
]
st.navigation(screens, position="top").run()
