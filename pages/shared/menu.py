"""The screens in the order in which they are used, those behind them, and addresses of before."""

from __future__ import annotations

from functools import partial

import streamlit as st

_SCREENS = {
    "data": ("Data", ":material/table:"),
    "value": ("Value", ":material/price_check:"),
    "explore": ("Explore", ":material/scatter_plot:"),
    "labels": ("Labels", ":material/spellcheck:"),
    "prune": ("Prune", ":material/content_cut:"),
    "new_data": ("New data", ":material/note_add:"),
    "runs": ("Runs", ":material/history:"),
    "compare": ("Compare", ":material/compare_arrows:"),
    "method": ("Method", ":material/menu_book:"),
}
# Opened from the run switcher, from Runs and from the question mark.
_BEHIND = ("compare", "method")
# The default screen is served at "/" only, yet would keep "/data" from the page below.
_MOVED = {
    "data": "data", "decompose": "explore", "curves": "prune", "review": "labels",
}  # fmt: skip


def pages() -> list[st.Page]:
    """Every screen as Streamlit wants it, the first one as the default."""
    screens = [
        st.Page(
            f"{name}.py",
            title=title,
            default=name == "data",
            url_path="start" if name == "data" else name,
            visibility="hidden" if name in _BEHIND else "visible",
        )
        for name, (title, _) in _SCREENS.items()
    ]
    moved = [
        st.Page(
            partial(_forward, name), title=_SCREENS[name][0], url_path=path, visibility="hidden"
        )
        for path, name in _MOVED.items()
    ]
    return [*screens, *moved]


def _forward(name: str) -> None:
    st.switch_page(f"{name}.py", query_params=st.query_params.to_dict())


def link(name: str, label: str) -> None:
    """Draw a link to a screen."""
    st.page_link(f"{name}.py", label=label, icon=_SCREENS[name][1])


def lead_on(name: str, label: str) -> None:
    """Draw the button that leads on to the next screen."""
    if st.button(label, key="lead_on", type="primary", icon=":material/arrow_forward:"):
        st.switch_page(f"{name}.py")
