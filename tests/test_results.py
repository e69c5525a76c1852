"""Results as bytes: whatever a task returns comes back, and equal results have equal bytes."""

import io
import json
import pickle
import zipfile
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from small_runs import SETTINGS, curves, drawn_values, frames, small_table

from ecoval_core.evaluation.measures import Change
from ecoval_core.evaluation.pruning import Effect
from ecoval_core.runs.run import Values
from ecoval_core.tables.table import content_digest
from ecoval_core.work.slow import Acquisition, Curves
from ecoval_core.workspace.results import read_result, write_result
from ecoval_core.workspace.schema import Settings


def same(one, other, but=()):
    """Whether two results are equal to the last bit, types and all, `but` for some fields."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        bits = one.tolist() if one.dtype == object else one.tobytes()
        other_bits = other.tolist() if other.dtype == object else other.tobytes()
        return (one.dtype, one.shape, bits) == (other.dtype, other.shape, other_bits)
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
        return True
    if is_dataclass(one):
        names = [field.name for field in fields(one) if field.name not in but]
        return all(same(getattr(one, name), getattr(other, name), but) for name in names)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key], but) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(partial(same, but=but), one, other))
    return one == other or (one != one and other != other)


def check_round_trip(value, kind):
    written = write_result(value)
    found = read_result(written, kind)
    assert same(found, value)
    assert write_result(found) == written
    return found


FRAMES = frames() | {
    "no rows": pd.DataFrame({"a": pd.Series(dtype="int64"), "b": pd.Series(dtype="str")}),
    "no rows, object": pd.DataFrame({"a": pd.Series(dtype=object)}),
    "named range": pd.DataFrame({"a": [1.5, 2.5]}, index=pd.RangeIndex(2, name="row_id")),
    "index without a name": pd.DataFrame({"index": [1, 2]}, index=[5, 9]),
    "index of a column's name": pd.DataFrame({"n": [1, 2]}, index=pd.Index([5, 9], name="n")),
    "text index": pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], name="class")),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_frame_comes_back_with_its_cells_its_types_its_index_and_its_digest(frame):
    found = check_round_trip(frame, pd.DataFrame)
    assert content_digest(found) == content_digest(frame)


ARRAYS = {
    "reals": np.array([[0.1, np.nan], [-0.0, np.inf]]),
    "small": np.arange(6, dtype="float32").reshape(3, 2),
    "wholes": np.array([2**62, -1]),
    "truth": np.array([True, False]),
    "text": np.array(["naïve", "a longer label", ""]),
    "objects": np.array(["b", "a"], dtype=object),
    "columns first": np.asfortranarray(np.random.default_rng(0).random((4, 3))),
    "none": np.empty((0, 3)),
}


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_array_comes_back_with_its_type_and_its_shape(array):
    check_round_trip(np.ascontiguousarray(array), np.ndarray)
    np.testing.assert_array_equal(read_result(write_result(array)), array)


class Pair(NamedTuple):
    number: float
    rows: np.ndarray


@dataclass(frozen=True)
class Whole:
    pairs: tuple[Pair, ...]
    frames: dict[str, pd.DataFrame]
    settings: Settings
    maybe: Pair | None = None


@pytest.mark.parametrize("maybe", [None, Pair(float("nan"), np.arange(2))])
def test_dataclass_of_documents_frames_and_pairs_comes_back(maybe):
    frame = pd.DataFrame({"a": [1, None, "x"]}, dtype=object)
    check_round_trip(Whole((Pair(0.1 + 0.2, np.arange(3)),), {"f": frame}, SETTINGS, maybe), Whole)


EFFECT = Effect("accuracy", (Change("accuracy", 0.5, 0.6, float("nan"), 0.1, 9),))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (drawn_values(small_table()), Values),
        ([drawn_values(small_table(), seed) for seed in (1, 2)], list[Values]),
        (curves(), Curves),
        (EFFECT, Effect),
        (Acquisition(curves(), EFFECT), Acquisition),
        ({"split": "x", "n": 3, "left": None, "notes": ["a"]}, dict),
        (0.1, float),
        ([], list),
    ],
    ids=["values", "repeats", "curves", "effect", "acquisition", "dict", "number", "nothing"],
)
def test_result_of_a_task_comes_back(value, kind):
    check_round_trip(value, kind)


def test_numbers_of_numpy_become_plain():
    found = read_result(write_result({"n": np.int64(3), "x": np.float64(0.1), "t": np.True_}))
    assert [(type(one), one) for one in found.values()] == [(int, 3), (float, 0.1), (bool, True)]


def test_column_that_cannot_be_kept_is_named():
    frame = pd.DataFrame({"fine": [1], "odd": [object()]})
    with pytest.raises(ValueError, match=r"^Column 'odd' holds values that cannot be kept"):
        write_result(frame)


def test_nothing_is_unpickled():
    class Evil:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    target = io.BytesIO()
    np.save(target, np.array([Evil()], dtype=object), allow_pickle=True)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("result.json", json.dumps({"array": "0.npy", "dtype": ""}))
        archive.writestr("0.npy", target.getvalue())
    with pytest.raises(ValueError, match="pickle"):
        read_result(written.getvalue(), np.ndarray)
    with pytest.raises(zipfile.BadZipFile):
        read_result(pickle.dumps(Evil()), np.ndarray)
