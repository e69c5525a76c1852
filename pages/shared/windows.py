"""Browser tabs that a visitor has open on one run: each shows what another changed after its next click."""

from __future__ import annotations

import threading
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar
from uuid import uuid4

from pydantic import BaseModel
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages.shared.session import session

T = TypeVar("T")
_lock = threading.Lock()
# By the tab: its session of Streamlit, the visitor and the run.
_tabs: dict[str, tuple[str, str, str | None]] = {}


def has_another(visitor: str, run: str | None) -> bool:
    """Note the run that this tab shows; return whether another tab of the visitor shows it too."""
    context = get_script_run_ctx(suppress_warning=True)
    session.tab = session.tab or uuid4().hex
    with _lock:
        for tab, (of, _, _) in list(_tabs.items()):
            if runtime.exists() and not runtime.get_instance().is_active_session(of):
                del _tabs[tab]
        _tabs[session.tab] = ("" if context is None else context.session_id, visitor, run)
        others = [shown[1:] for tab, shown in _tabs.items() if tab != session.tab]
    return run is not None and (visitor, run) in others


def merge(base: T, mine: T, theirs: T) -> T:
    """Put together what two tabs made of the same; where both changed one thing, mine holds."""
    if mine == base:
        return theirs
    if theirs == base:
        return mine
    found: Any = mine
    one, two, three = base, mine, theirs
    if isinstance(two, frozenset) and isinstance(one, frozenset) and isinstance(three, frozenset):
        found = (three | (two - one)) - (one - two)
    elif isinstance(two, dict) and isinstance(one, dict) and isinstance(three, dict):
        merged = {
            key: merge(one.get(key), two.get(key), three.get(key)) for key in {**three, **two}
        }
        found = {key: value for key, value in merged.items() if value is not None}
    elif isinstance(two, BaseModel):
        names = type(two).model_fields
        found = two.model_copy(update=_merge_fields(names, one, two, three))
    elif is_dataclass(two) and not isinstance(two, type):
        found = replace(
            two, **_merge_fields([field.name for field in fields(two)], one, two, three)
        )
    return found  # type: ignore[no-any-return]


def _merge_fields(names: Any, base: Any, mine: Any, theirs: Any) -> dict[str, Any]:
    return {
        name: merge(getattr(base, name), getattr(mine, name), getattr(theirs, name))
        for name in names
    }
