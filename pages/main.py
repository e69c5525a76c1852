"""Page set-up, navigation and the status line; every screen runs inside this script."""

import streamlit as st

from pages.shared import access, layout, loading, menu, state

st.set_page_config(page_title="EcoVal", page_icon="assets/icon.png", layout="wide")
page = st.navigation(menu.pages(), position="top" if access.is_admitted() else "hidden")
access.require()
state.restore_from_address()
loading.finish()
state.open_next()
state.take_over()
state.write_address()
had_run = state.run() is not None
access.draw_user()
layout.status_line(is_value_page=page.title == "Value")
layout.draw_lost(page.title)
page.run()
state.write_address()
if state.open_next() or (not had_run and state.run() is not None):
    # The run was finished while the page was drawn, which does not know yet.
    st.rerun()
