"""Entry point: ``streamlit run app.py``."""

import streamlit as st
from starlette.middleware import Middleware

from pages.shared.errors import explain
from pages.shared.front import Front
from pages.shared.gate import Gate
from pages.shared.headers import SecurityHeaders
from pages.shared.pointmap.wire import routes
from pages.shared.server import VisitorCookie, lifespan

app = st.App(
    "pages/main.py",
    lifespan=lifespan,
    middleware=[
        Middleware(SecurityHeaders),
        Middleware(Gate),
        Middleware(VisitorCookie),
        Middleware(Front),
    ],
    routes=routes(),
    on_script_error=explain,
)
