"""Tasks: what makes two of them equal, and what their functions get."""

import numpy as np
import pandas as pd
from data_files import make_frame

from ecoval_core.runs.tasks import DEFAULT_MB, READING, Work, task
from ecoval_core.tables import Fix, suggest_fixes
from ecoval_core.work import opening, slow
from ecoval_core.workspace.schema import Settings, SplitSpec, key_of

DIGEST = "0" * 32
SETTINGS = Settings(model="logistic_regression", n_clusters=8, scoring="probability")


def test_key_follows_from_name_and_arguments_without_defaults():
    asked = slow.curves("a", weight=0.25)
    assert asked.key == key_of("curves", {"run": "a", "weight": 0.25})
    equal = [
        slow.curves(run="a", weight=0.25),
        slow.curves("a", weight=np.float64(0.25), balanced=False, baseline=None),
    ]
    assert {one.key for one in equal} == {asked.key}
    others = [
        slow.curves("b", weight=0.25), slow.curves("a"), slow.curves("a", weight=0.25, balanced=True),
        slow.repeats("a"),
    ]  # fmt: skip
    assert len({asked.key, *(one.key for one in others)}) == 5


def test_new_argument_with_a_default_keeps_the_keys():
    @task("Counting {column}")
    def counts(
        work: Work, frame: str, column: str, *, normalized: bool = False, rare: int = 0
    ) -> pd.DataFrame: ...

    later, now = counts("f", "label"), key_of("counts", {"frame": "f", "column": "label"})
    assert later.key == now
    assert counts("f", "label", rare=2).key != now


def test_values_have_the_key_that_their_run_carries():
    asked = slow.value(DIGEST, "split", SETTINGS)
    assert asked.key == DIGEST
    assert slow.value(DIGEST, "split", SETTINGS.replace(random_state=3)).key == DIGEST


def test_arguments_are_plain_json_and_come_back_as_their_types():
    fixes = suggest_fixes(make_frame(60).assign(rate=[f"{n}%" for n in range(60)]))
    asked = opening.open_table(
        {"frame": DIGEST}, "rates.csv", fixes=fixes, split=SplitSpec(noise=0.1), excluded={"a": "id"}
    )  # fmt: skip
    assert asked.arguments["split"] == {"noise": 0.1}
    assert isinstance(asked.arguments["fixes"][0], dict)
    typed = asked.typed_arguments()
    assert typed["split"] == SplitSpec(noise=0.1)
    assert [type(one) for one in typed["fixes"]] == [Fix] * len(fixes)
    assert list(typed["fixes"]) == list(fixes)
    effect = slow.effect("a", [1, 2], [(3, "yes")])
    assert effect.arguments["relabelled"] == [[3, "yes"]]
    assert effect.typed_arguments()["relabelled"] == [(3, "yes")]


def test_rows_of_a_change_may_come_in_any_order():
    class Named:
        key = "a"

    one = slow.change_effect(Named, [3, 1], {9: "no", 2: "yes"})
    other = slow.change_effect(Named, [1, np.int64(3)], {np.int64(2): "yes", 9: "no"})
    assert one.key == other.key


def test_label_names_what_is_worked_on_even_with_braces_in_its_name():
    assert opening.read_file(DIGEST, "a{b}.csv").label == "Reading a{b}.csv"


def test_limits_of_long_work_come_from_the_environment(monkeypatch):
    asked = slow.repeats("a")
    monkeypatch.setenv("ECOVAL_JOB_MINUTES", "0.5")
    monkeypatch.setenv("ECOVAL_JOB_MB", "")
    assert (asked.limits.seconds, asked.limits.megabytes) == (30, DEFAULT_MB)
    assert opening.read_file(DIGEST, "a.csv").limits == READING
