"""A second try for a file that was read but refused: another target, columns left out."""

from __future__ import annotations

import streamlit as st

from pages.shared import formats, loading


def draw() -> None:
    """Draw the choices that could open the file last refused, if there is one."""
    refused = loading.refused()
    if refused is None:
        return
    with st.container(border=True, key="refused"):
        st.markdown(
            f"**{formats.plain(refused.name)}** was read. Choose another target, or leave columns out, "
            "to open it:"
        )
        target, excluded, button = st.columns([1, 2, 0.6], vertical_alignment="bottom")
        columns = [str(column) for column in refused.frame.columns]
        chosen = target.selectbox(
            "Target", columns, columns.index(refused.target), key="refused_target"
        )
        left_out = excluded.multiselect(
            "Columns left out",
            [column for column in columns if column != chosen],
            key="refused_excluded",
            placeholder="None but those that look like ids or say nothing",
        )
        button.button(
            "Open it",
            key="open_refused",
            type="primary",
            width="stretch",
            on_click=loading.open_refused,
            args=(refused, chosen, left_out),
        )
