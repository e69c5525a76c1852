"""Rows beside their class, clusters beside all rows, and tables that are pictures."""

import base64
import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_breast_cancer, load_digits

from ecoval_core.columns.pictures import detect_grid, to_image
from ecoval_core.evaluation.profiles import compare_with_class, describe_group


@pytest.fixture
def people():
    """A hundred rows of each of two classes; class a is small, red and in no need of class b's ranges."""
    n = np.arange(100)
    return pd.DataFrame(
        {
            "size": np.concatenate([n, n + 1000]).astype(float),
            "colour": ["red"] * 90 + ["blue"] * 10 + ["green"] * 100,
            "name": [f"n{i}" for i in range(200)],
        },
        index=pd.Index(range(500, 700), name="row_id"),
    ), pd.Series(["a"] * 100 + ["b"] * 100, index=range(500, 700))


def line(table, column):
    return table.set_index("column").loc[column]


def spread_of_a(features, labels):
    """The 5th and 95th percentile of the sizes of class a without row 550."""
    return features.loc[(labels == "a") & (labels.index != 550), "size"].quantile([0.05, 0.95])


def test_a_typical_row_has_nothing_unusual(people):
    table = compare_with_class(*people, 550)
    low, high = spread_of_a(*people)
    assert not table["unusual"].any()
    assert line(table, "size")["typical"] == f"{low:.4g} to {high:.4g}"
    assert line(table, "colour")["typical"] == "red (90%), blue (10%)"


def test_distance_of_an_unusual_number_is_in_widths_of_its_class(people):
    features, labels = people
    features.loc[550, "size"] = 300.0
    table = compare_with_class(features, labels, 550)
    low, high = spread_of_a(features, labels)
    assert line(table, "size")["unusual"]
    assert line(table, "size")["distance"] == pytest.approx((300 - high) / (high - low))
    assert table["column"][0] == "size", "the most unusual comes first"


def test_a_category_rare_in_its_class_is_unusual_though_common_elsewhere(people):
    features, labels = people
    features.loc[550, "colour"] = "green"
    result = line(compare_with_class(features, labels, 550), "colour")
    assert result["unusual"]
    assert result["distance"] == 1.0
    assert not line(compare_with_class(features, labels, 650), "colour")["unusual"]


def test_missing_values_and_unique_text_are_not_unusual(people):
    features, labels = people
    features.loc[550, "size"] = np.nan
    table = compare_with_class(features, labels, 550)
    assert line(table, "size")["value"] == "missing"
    assert not table["unusual"].any()


def test_a_group_is_described_by_what_sets_it_apart(people):
    features, _ = people
    traits = describe_group(features, pd.Index(range(600, 700)))
    texts = {trait.text.split()[0]: trait.text for trait in traits}
    assert set(texts) == {"size", "colour"}
    assert texts["colour"] == "colour is green in 100% of them (50% of all)"
    assert texts["size"].startswith("size is higher (1,005 to 1,094; all rows around 549.5")
    assert describe_group(features[["size", "colour"]], features.index) == []


def test_columns_that_are_pixels_are_found_and_others_are_not():
    digits, random = load_digits(as_frame=True).data, np.random.default_rng(0)
    assert detect_grid(digits) == (8, 8)
    for other in (
        digits.iloc[:, random.permutation(64)],
        digits.assign(pixel_0_0="text"),
        load_breast_cancer(as_frame=True).data,
        pd.DataFrame(random.random((200, 64))),
    ):
        assert detect_grid(other) is None


def test_an_oblong_picture_is_found():
    grid = np.random.default_rng(0).random((300, 12, 9))
    smooth = (grid + np.roll(grid, 1, 1) + np.roll(grid, 1, 2) + np.roll(grid, (1, 1), (1, 2))) / 4
    assert detect_grid(pd.DataFrame(smooth.reshape(300, -1))) == (12, 9)


def test_a_picture_holds_its_pixels():
    pixels = load_digits().data[7]
    address = to_image(pixels, (8, 8), greatest=16)
    picture = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
    assert picture.size == (48, 48)
    seen = np.asarray(picture)[::6, ::6]
    np.testing.assert_array_equal(seen, (255 * pixels.reshape(8, 8) / 16).astype(np.uint8))


def test_a_vector_counts_as_one_column_that_is_near_or_far():
    near = [np.array([0.0, 1.0]), np.array([0.1, 1.1]), np.array([0.1, 0.9])] * 8
    features = pd.DataFrame({"embedding": pd.Series([*near, np.array([9.0, 9.0])])})
    labels = pd.Series("a", features.index)
    table = compare_with_class(features, labels, 24)
    assert table["column"].tolist() == ["embedding"]
    assert table["unusual"].tolist() == [True]
    assert table.loc[0, "value"] == "11.99 from their middle"
    assert not compare_with_class(features, labels, 0)["unusual"].any()
    assert describe_group(features, features.index[:3]) == []
