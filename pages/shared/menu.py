"""The screens in the order in which they are used, those behind them, and their addresses."""

from __future__ import annotations

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
# The default screen is served at "/" only.
ADDRESSES = {"", *_SCREENS} - {"data"}
# What took the content of a screen over, by its address of before.
MOVED = {
    "data": "", "start": "", "decompose": "explore", "curves": "prune", "review": "labels",
}  # fmt: skip


def pages() -> list[st.Page]:
    """Every screen as Streamlit wants it, the first one as the default."""
    return [
        st.Page(
            f"{name}.py",
            title=title,
            default=name == "data",
            url_path="start" if name == "data" else name,
            visibility="hidden" if name in _BEHIND else "visible",
        )
        for name, (title, _) in _SCREENS.items()
    ]


def link(name: str, label: str) -> None:
    """Draw a link to a screen."""
    st.page_link(f"{name}.py", label=label, icon=_SCREENS[name][1])


def lead_on(name: str, label: str) -> None:
    """Draw the button that leads on to the next screen."""
    if st.button(label, key="lead_on", type="primary", icon=":material/arrow_forward:"):
        st.switch_page(f"{name}.py")
