"""A server of one map, for the browser test and for benchmarks/map_gestures.py."""

from pathlib import Path

import streamlit as st

from pages.shared.pointmap import wire

app = st.App(Path(__file__).with_name("main.py"), routes=wire.routes())
