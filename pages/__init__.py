"""The Streamlit front end: one module per screen, what they share in `pages.shared`."""
