"""What is kept for a visitor: no line that reads or writes it may be where a script is cut short."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from streamlit.runtime.scriptrunner import RerunData, RerunException
from streamlit.runtime.state import SafeSessionState, SessionState

from ecoval_core.evaluation.pruning import PruneList
from pages.shared import prunelist
from pages.shared import session as module
from pages.shared.session import Session, prune_thresholds, session


@pytest.fixture
def busy(monkeypatch):
    """A visitor who has clicked on while the script runs: whatever uses Streamlit's state ends it."""

    def interrupt():
        raise RerunException(RerunData())

    kept = SafeSessionState(SessionState(), interrupt)
    with pytest.raises(RerunException):
        kept["anything"] = 1
    monkeypatch.setitem(module._own_by_state, kept, {})
    monkeypatch.setattr(
        module, "get_script_run_ctx", lambda **_: SimpleNamespace(session_state=kept)
    )
    monkeypatch.setattr(module.st, "session_state", kept)


def test_a_callback_does_all_or_nothing_of_what_it_does(busy):
    prunelist.change(PruneList(share=0.1))
    prunelist.change(PruneList(share=0.2))
    prunelist.undo()
    assert session.prune_list.share == 0.1
    assert [rules.share for rules in session.prune_past] == [0.0]
    assert [rules.share for rules in session.prune_future] == [0.2]


def test_what_is_kept_can_be_read_taken_and_forgotten(busy):
    session.selected_ids = [3, 4]
    assert session.selected_ids == [3, 4]
    Session.selected_ids.forget()
    Session.selected_ids.forget()
    assert session.selected_ids == []
    session.lead_to_map = True
    assert Session.lead_to_map.take()
    assert not Session.lead_to_map.take()


def test_what_a_widget_is_to_show_waits_until_it_is_drawn(busy, monkeypatch):
    session.label_threshold = 0.7
    assert session.label_threshold == 0.7
    prune_thresholds["share"].set(0.5)
    prune_thresholds["value"].set(0.1)
    prune_thresholds["value"].forget()
    prune_thresholds["share"].fill(0.7)
    assert prune_thresholds["share"].get() == 0.5
    assert prune_thresholds["value"].get() is None
    drawn = {prune_thresholds["value"].name: 3.0}
    monkeypatch.setattr(module.st, "session_state", drawn)
    assert drawn == {"prune_threshold_value": 3.0}
    for entry in (Session.label_threshold, prune_thresholds["share"], prune_thresholds["value"]):
        assert entry.key == entry.name
    assert drawn == {"label_threshold": 0.7, "prune_threshold_share": 0.5}
    drawn["label_threshold"] = 0.9
    assert session.label_threshold == 0.9


def test_pages_use_nothing_private_of_streamlit():
    pages = Path(module.__file__).parents[1].rglob("*.py")
    private = re.compile(r"(session_state|st|runtime|context|app)\._[a-z]")
    assert [path.name for path in pages if private.search(path.read_text(encoding="utf-8"))] == []
