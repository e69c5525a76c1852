"""Entry point: ``streamlit run app.py``."""

import streamlit as st
from starlette.middleware import Middleware

from pages.shared.front import Front
from pages.shared.gate import Gate, OnAnswer, SecurityHeaders
from pages.shared.pointmap.wire import routes
from pages.shared.server import explain, lifespan, name_visitor

app = st.App(
    "pages/main.py",
    lifespan=lifespan,
    middleware=[
        Middleware(SecurityHeaders),
        Middleware(Gate),
        Middleware(OnAnswer, change=name_visitor),
        Middleware(Front),
    ],
    routes=routes(),
    on_script_error=explain,
)
