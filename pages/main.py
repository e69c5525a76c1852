"""Page set-up, navigation and the status line; every screen runs inside this script."""

import streamlit as st

from pages.shared import layout, mapview, menu, state
from pages.shared.session import session

st.set_page_config(page_title="EcoVal", page_icon="⚖️", layout="wide")
page = st.navigation(menu.pages(), position="top")
state.restore_from_address()
state.write_address()
if session.page != page.title:
    session.page = page.title
    mapview.refresh_marks()
layout.status_line(is_value_page=page.title == "Value")
page.run()
