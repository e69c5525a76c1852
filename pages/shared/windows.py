"""Browser tabs that a visitor has open on one run: each shows what another changed after its next click."""

from __future__ import annotations

import threading
from typing import Any

from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ecoval_core.evaluation.pruning import PruneList
from ecoval_core.workspace.schema import Filters, Review

_lock = threading.Lock()
# Visitor and run by the tab, which is a session of Streamlit.
_tabs: dict[str, tuple[str, str | None]] = {}
# By visitor, run and a review that is another's, or none: the one that was begun in its place, and when.
begun: dict[tuple[str, str, str], tuple[str, float]] = {}
# What is kept for a reload, while two tabs may show different things.
_OF_A_TAB = {
    "label_view", "label_list", "label_threshold", "label_undecided", "card_queue", "card",
    "next_settings",
}  # fmt: skip


def has_another(visitor: str, run: str | None) -> bool:
    """Note the run that this tab shows; return whether another tab of the visitor shows it too."""
    context = get_script_run_ctx(suppress_warning=True)
    mine = "" if context is None else context.session_id
    with _lock:
        for tab in list(_tabs):
            if runtime.exists() and not runtime.get_instance().is_active_session(tab):
                del _tabs[tab]
        _tabs[mine] = visitor, run
        others = [shown for tab, shown in _tabs.items() if tab != mine]
    return run is not None and (visitor, run) in others


def merge(base: Any, mine: Any, theirs: Any) -> Any:
    """Put together what two tabs made of the same review; where both changed one thing, mine holds."""
    if isinstance(mine, (Review, Filters, PruneList)):
        fields = vars(mine).items()
        return type(mine)(
            **{
                name: value
                if name in _OF_A_TAB
                else merge(getattr(base, name), value, getattr(theirs, name))
                for name, value in fields
            }
        )
    if mine == base:
        return theirs
    if theirs == base:
        return mine
    if isinstance(mine, frozenset):
        return (theirs | (mine - base)) - (base - mine)
    if isinstance(mine, dict):
        keys = {**theirs, **mine}
        merged = {key: merge(base.get(key), mine.get(key), theirs.get(key)) for key in keys}
        return {key: value for key, value in merged.items() if value is not None}
    return mine
