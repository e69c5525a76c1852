"""What was changed since the values on the pages were made: marked where it stands, and in the header."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ecoval_core.runs.opened import Opened
from ecoval_core.text import join
from ecoval_core.valuation.scoring import SCORINGS
from ecoval_core.workspace.schema import Settings, SplitSpec
from pages.shared import formats, state
from pages.shared.session import session

# The header has one line.
MAX_NAMED = 2
# What visitors know the fields of a split by.
_SPLIT = {
    "kind": "split", "column": "split", "words": "split", "validation": "split", "test": "split",
    "groups": "split", "proportions": "proportions", "weights": "weights", "noise": "planted errors",
    "random_state": "seed of the split",
}  # fmt: skip


def of_table(opened: Opened) -> dict[str, str]:
    """Return what of the open table differs from what was valued, with what was valued."""
    run = state.run()
    if run is None or run.opened.key == opened.key:
        return {}
    now, before = opened.spec, run.opened.spec
    changed = {}
    if now.table.target != before.table.target:
        changed["target"] = formats.plain(before.table.target)
    if now.table.task != before.table.task:
        changed["task"] = before.table.task
    if set(now.table.excluded) != set(before.table.excluded):
        changed["ignored columns"] = formats.plain(", ".join(before.table.excluded) or "none")
    if now.table.fixes != before.table.fixes:
        changed["cells fixed"] = f"{len(before.table.fixes):,}"
    for field, name in _SPLIT.items():
        if getattr(now.split, field) != getattr(before.split, field):
            changed[name] = _split_words(before.split)[name]
    return changed


def _split_words(split: SplitSpec) -> dict[str, str]:
    shares = "–".join(f"{100 * share:.0f}" for share in split.proportions)
    return {
        "split": formats.plain(split.describe()), "proportions": f"{shares} %",
        "weights": formats.plain(split.weights or "none"), "planted errors": f"{split.noise:.0%}",
        "seed of the split": str(split.random_state),
    }  # fmt: skip


def settings_of(opened: Opened) -> Settings | None:
    """Return the settings that those on the Value page can be held against, if there are some."""
    run = state.run()
    if run is None or run.own_model is not None or run.split.task != opened.table.task:
        return None
    return run.settings


def say(field: str, settings: Settings) -> str:
    """Write what a setting was when the rows were valued."""
    value: Any = getattr(settings, field)
    if field == "model":
        return formats.model_title(value)
    if field == "scoring":
        return SCORINGS[value].title if value in SCORINGS else str(value)
    if field == "parameters":
        return formats.plain(", ".join(f"{k} {v}" for k, v in value.items()) or "the defaults")
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:,}" if field != "random_state" else str(value)


def mark(changed: dict[str, str], *names: str) -> None:
    """Say below a choice that it is not valued yet, and what it was, if it was changed."""
    # A place of its own, empty or not, lest what stands below is made anew under the visitor's hands.
    with st.container():
        for name in names:
            if name in changed:
                st.markdown(
                    f":small[:material/edit: **Not yet valued**; valued with: {changed[name]}]"
                )


def note(changed: dict[str, str], chosen: Settings) -> None:
    """Keep what was changed on the Value page for the header, which is drawn again if that is news."""
    later = state.next_record()
    is_next = later is not None and later.settings == chosen
    session.unvalued_settings = chosen if changed and not is_next else None
    if changed != session.unvalued:
        session.unvalued = changed
        st.rerun()


def summary() -> str:
    """Name in a few words for the header what was changed and is not valued yet."""
    opened = session.opened
    names = [*({} if opened is None else of_table(opened)), *session.unvalued]
    if state.run() is None or not names:
        return ""
    return f"not yet valued: {join(names[:MAX_NAMED], len(names))}"
