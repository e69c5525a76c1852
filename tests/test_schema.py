"""The documents of a run: what their keys depend on, and how a wrong field is named."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError, create_model
from small_runs import SETTINGS, cleaned_table

from ecoval_core.evaluation.pruning import PruneList
from ecoval_core.tables import Fix
from ecoval_core.workspace.schema import (
    Filters,
    OpenSpec,
    Review,
    RunSpec,
    Settings,
    SplitSpec,
    TableSpec,
    explain,
    key_of,
)

DIGEST = "0123456789abcdef" * 2
TABLE = TableSpec(name="t.csv", content=DIGEST, target="y", task="classification")
SPEC = RunSpec(table=TABLE, split=SplitSpec(), settings=SETTINGS)


def changed(**of):
    """The run with fields of its table, split or settings changed."""
    parts = {name: getattr(SPEC, name).model_dump() | given for name, given in of.items()}
    return RunSpec.model_validate(SPEC.model_dump() | parts)


# --- Keys -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"table": {"name": "other.csv"}},
        {"table": {"sample": "wine"}},
        {"settings": {"extrinsic_weight": 0.9}},
        {"settings": {"random_state": 0, "balanced": False, "parameters": {}}},
        {"split": {"noise": 0.0, "proportions": (0.6, 0.2, 0.2)}},
    ],
    ids=str,
)
def test_names_weight_and_defaults_do_not_change_the_key(change):
    assert changed(**change).key == SPEC.key
    assert changed(**change).opened_key == SPEC.opened_key


def test_explanations_of_columns_and_fixes_do_not_change_the_key():
    spec = cleaned_table()[1].spec.table
    fix = spec.fixes[0].model_copy(update={"sentence": "other words", "n_cells": 1})
    one, other = (
        OpenSpec(table=spec.model_copy(update={"fixes": fixes, "excluded": {"width": why}}))
        for fixes, why in ((spec.fixes, "looks like an id"), ((fix,), "left out by you"))
    )
    assert one.key == other.key


@pytest.mark.parametrize(
    ("change", "is_same_split"),
    [
        ({"table": {"content": DIGEST[::-1]}}, False),
        ({"table": {"target": "z"}}, False),
        ({"table": {"excluded": {"a": ""}}}, False),
        ({"table": {"fixes": (Fix(column="a", kind="stray", sentence="", n_cells=1, mapping=()),)}}, False),
        ({"split": {"noise": 0.1}}, False),
        ({"split": {"random_state": 1}}, False),
        ({"split": {"proportions": (0.5, 0.3, 0.2)}}, False),
        ({"settings": {"model": "naive_bayes"}}, True),
        ({"settings": {"n_clusters": 5}}, True),
        ({"settings": {"scoring": "log_loss"}}, True),
        ({"settings": {"random_state": 1}}, True),
        ({"settings": {"every_row": True}}, True),
        ({"settings": {"balanced": True}}, True),
        ({"settings": {"parameters": {"C": 2.0}}}, True),
    ],
    ids=str,
)  # fmt: skip
def test_all_else_changes_the_key_and_of_the_split_what_it_depends_on(change, is_same_split):
    assert changed(**change).key != SPEC.key
    assert (changed(**change).opened_key == SPEC.opened_key) == is_same_split


def test_key_is_that_of_this_version_for_good():
    assert (SPEC.opened_key, SPEC.key) == (
        "d56f54aa488f7db6597210e28de930b3",
        "07bf99a2404e631e2d6aa04ebed749f7",
    )
    one, other = {"b": 1, "a": [1.5, None]}, {"a": [1.5, None], "b": 1}
    assert key_of("curves", one) == key_of("curves", other)


def test_field_with_a_default_that_is_added_changes_no_key():
    later = create_model("Settings", __base__=Settings, penalty=(str, "none"))
    later_run = create_model("RunSpec", __base__=RunSpec, settings=(later, ...))
    run = later_run.model_validate_json(json.dumps(SPEC.dump()))
    assert run.settings.penalty == "none"
    assert (run.key, run.opened_key) == (SPEC.key, SPEC.opened_key)
    other = run.model_copy(update={"settings": run.settings.replace(penalty="l2")})
    assert other.key != SPEC.key


DOCUMENTS = [
    OpenSpec(table=cleaned_table()[1].spec.table, split=SplitSpec(noise=0.1)),
    Review(),
    Review(
        selected=(1, 2), picked=2, unit="score",
        filters=Filters(labels=("a", 1, 2.5), columns={"a": (0.5, 2), "b": ("x", "2"), "c": ()}),
        saved={"odd ones": (1, 3)},
        prune=PruneList(0.1, -0.5, frozenset({3, 1}), frozenset({2}), 0.25),
        prune_past=(PruneList(),), labels={3: "accept"}, labels_past=({}, {4: "keep"}),
    ),
]  # fmt: skip


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda one: type(one).__name__)
def test_document_comes_back_from_json(document):
    assert type(document).model_validate_json(json.dumps(document.dump())) == document
    assert type(document).model_validate_json(document.model_dump_json()) == document


@pytest.mark.parametrize(
    ("before", "columns"),
    [
        ({"column": "a", "range": [0.5, 2]}, {"a": (0.5, 2.0)}),
        ({"column": "b", "values": ["x", "2"], "color": "label"}, {"b": ("x", "2")}),
        ({"column": "c"}, {"c": ()}),
        ({"column": "", "range": [1, 2]}, {}),
        ({"labels": ["yes"]}, {}),
    ],
)
def test_filter_by_one_column_of_an_older_review_is_read(before, columns):
    review = Review.model_validate_json(json.dumps({"filters": before}))
    assert review.filters.columns == columns
    assert review.filters.color == before.get("color", "value")


# --- Refusals -------------------------------------------------------------------------------

WRONG = [
    ("table.content", "../x"), ("table.task", "ranking"), ("table.fixes", [{}]), ("split.kind", "by hand"),
    ("split.proportions", [0.9, 0.2, 0.2]), ("split.proportions", [0.5, 0.5, 0]), ("split.noise", 1),
    ("split.random_state", 2**32), ("settings.n_clusters", 1.5), ("settings.n_clusters", 10**400),
    ("settings.extrinsic_weight", float("inf")), ("settings.parameters", [1]), ("settings.n_jobs", 4),
]  # fmt: skip


def refusal(document, given):
    with pytest.raises(ValidationError) as refused:
        document.model_validate_json(json.dumps(given))
    sentence = explain(refused.value)
    assert sentence.endswith(".")
    assert sentence.isprintable()
    assert len(sentence) < 300
    return sentence


@pytest.mark.parametrize(("field", "value"), WRONG, ids=lambda one: str(one)[:30])
def test_wrong_field_is_named(field, value):
    given = SPEC.model_dump(mode="json")
    part, name = field.split(".")
    given[part][name] = value
    assert refusal(RunSpec, given).startswith(field)


def test_missing_field_is_named():
    given = SPEC.model_dump(mode="json")
    del given["table"]["target"]
    assert refusal(RunSpec, given) == "table.target is missing."


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"target": "a", "excluded": {"a": "x"}}, "the target 'a' is one of the excluded columns"),
        ({"sample": "../wine"}, "there is no sample '../wine'"),
    ],
)
def test_table_that_contradicts_itself_is_refused(change, words):
    assert words in refusal(TableSpec, TABLE.model_dump(mode="json") | change)


@pytest.mark.parametrize(
    "change",
    [
        {"selected": [-1]}, {"picked": -1}, {"unit": "percent"}, {"prune": {"more": 1}},
        {"prune_past": [{"quota": 2}]}, {"labels": {"9" * 5000: "keep"}}, {"labels": {"1": "maybe"}},
    ],
    ids=lambda one: str(one)[:40],
)  # fmt: skip
def test_review_that_cannot_be_shown_is_refused(change):
    assert next(iter(change)) in refusal(Review, change)


@pytest.mark.parametrize(
    ("change", "task", "words"),
    [
        ({"model": "svm"}, "classification", "settings.model is 'svm': choose one of "),
        ({"model": "ridge", "scoring": "probability"}, "classification", "settings.model is 'ridge'"),
        ({"scoring": "squared_error"}, "classification", "settings.scoring is 'squared_error'"),
        ({"model": "ridge", "scoring": "squared_error", "balanced": True}, "regression", "no classes"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_the_task_are_refused(change, task, words):
    with pytest.raises(ValueError, match=words):
        SETTINGS.replace(**change).check(task)
    SETTINGS.check("classification")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
FIELDS = [(part, name) for part in SPEC.model_dump() for name in SPEC.model_dump()[part]]


@given(field=st.sampled_from(FIELDS), value=ANYTHING)
@example(field=("settings", "parameters"), value={"C": float("inf")})
def test_whatever_stands_in_a_field_is_taken_or_refused_with_its_name(field, value):
    given = SPEC.model_dump(mode="json")
    given[field[0]][field[1]] = value
    try:
        spec = RunSpec.model_validate_json(json.dumps(given))
    except ValidationError as error:
        sentence = explain(error)
        assert sentence.isprintable()
        assert sentence.startswith((field[0], "Invalid JSON"))
    else:
        assert RunSpec.model_validate_json(spec.model_dump_json()) == spec
