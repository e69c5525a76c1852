"""What is kept for a visitor: no line that reads or writes it may be where a script is cut short."""

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
    """The state of a visitor who has clicked on while the script runs."""

    def interrupt():
        raise RerunException(RerunData())

    kept = SafeSessionState(SessionState(), interrupt)
    with pytest.raises(RerunException):
        kept["anything"] = 1
    context = SimpleNamespace(session_state=kept)
    monkeypatch.setattr(module, "get_script_run_ctx", lambda **_: context)
    return kept


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
    prune_thresholds.fill("share", 0.5)
    prune_thresholds.fill("share", 0.7)
    assert prune_thresholds.get("share") == 0.5
    prune_thresholds.forget("share")
    assert prune_thresholds.get("share") is None
    module.fill_widgets({"a": 1}, replace=False)
    module.fill_widgets({"a": 2}, replace=False)
    assert module._state()["a"] == 1
