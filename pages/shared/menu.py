"""The screens in the order in which they are used."""

import streamlit as st

_SCREENS = {
    "data": ("Data", ":material/table:"),
    "value": ("Value", ":material/price_check:"),
    "explore": ("Explore", ":material/scatter_plot:"),
    "decompose": ("Decompose", ":material/call_split:"),
    "curves": ("Curves", ":material/show_chart:"),
    "prune": ("Prune", ":material/content_cut:"),
    "method": ("Method", ":material/menu_book:"),
}


def pages() -> list[st.Page]:
    """Every screen as Streamlit wants it, the first one as the default."""
    return [
        st.Page(f"{name}.py", title=title, icon=icon, default=name == "data")
        for name, (title, icon) in _SCREENS.items()
    ]


def link(name: str, label: str) -> None:
    """Draw a link to a screen.

    Parameters
    ----------
    name : str
        Name of the screen's file without its ending.
    label : str
        Text of the link.
    """
    st.page_link(f"{name}.py", label=label, icon=_SCREENS[name][1])
