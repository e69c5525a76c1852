"""Entry point: ``streamlit run app.py``."""

import streamlit as st

from pages.shared.errors import explain

app = st.App("pages/main.py", on_script_error=explain)
