"""Entry point: ``streamlit run app.py``."""

import streamlit as st
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware

from pages.shared.front import serve_front
from pages.shared.gate import Gate, SecurityHeaders
from pages.shared.pointmap.wire import routes
from pages.shared.server import explain, lifespan, name_visitor

app = st.App(
    "pages/main.py",
    lifespan=lifespan,
    middleware=[
        Middleware(SecurityHeaders),
        Middleware(Gate),
        Middleware(BaseHTTPMiddleware, dispatch=name_visitor),
        Middleware(BaseHTTPMiddleware, dispatch=serve_front),
    ],
    routes=routes(),
    on_script_error=explain,
)
