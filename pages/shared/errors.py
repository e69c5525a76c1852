"""What a visitor reads when something unforeseen goes wrong; the traceback goes to the log."""

import streamlit as st

from pages.shared import formats


def explain(error: Exception) -> bool:
    """Show one sentence instead of a traceback."""
    if isinstance(error, ValueError) and "\n" not in str(error):
        st.error(formats.plain(error))
    else:
        st.error(
            f"Something unexpected happened here ({type(error).__name__}). Your table and your "
            "runs are kept; go to another page or reload this one. The server's log has the details."
        )
    return True
