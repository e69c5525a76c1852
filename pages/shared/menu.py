"""The screens in the order in which they are used."""

import streamlit as st

_SCREENS = {
    "data": ("Data", ":material/table:"),
    "value": ("Value", ":material/price_check:"),
    "explore": ("Explore", ":material/scatter_plot:"),
    "decompose": ("Decompose", ":material/call_split:"),
    "labels": ("Wrong labels", ":material/spellcheck:"),
    "review": ("Review", ":material/rate_review:"),
    "curves": ("Curves", ":material/show_chart:"),
    "prune": ("Prune", ":material/content_cut:"),
    "new_data": ("New data", ":material/note_add:"),
    "compare": ("Compare", ":material/compare_arrows:"),
    "runs": ("Runs", ":material/history:"),
    "method": ("Method", ":material/menu_book:"),
}


def pages() -> list[st.Page]:
    """Every screen as Streamlit wants it, the first one as the default."""
    screens = [
        st.Page(
            f"{name}.py",
            title=title,
            # With icons twelve screens do not fit beside each other at 1280 pixels.
            default=name == "data",
            # The default screen is served at "/" only, yet would keep "/data" from the page below.
            url_path="start" if name == "data" else name,
        )
        for name, (title, _) in _SCREENS.items()
    ]
    return [*screens, st.Page(_open_data, title="Data", url_path="data", visibility="hidden")]


def _open_data() -> None:
    st.switch_page("data.py", query_params=st.query_params.to_dict())


def link(name: str, label: str) -> None:
    """Draw a link to a screen."""
    st.page_link(f"{name}.py", label=label, icon=_SCREENS[name][1])
