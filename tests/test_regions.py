"""Names of a map's regions and the density of its points, on maps of which both are known."""

import numpy as np
import pandas as pd

from ecoval_core.charts import region_notes
from ecoval_core.evaluation.regions import density, name_regions


def make_map(n=300):
    """Three clumps on a line: cats, light dogs, heavy dogs."""
    random = np.random.default_rng(0)
    clump = np.repeat([0, 1, 2], n // 3)
    coords = np.column_stack([10.0 * clump, np.zeros(n)]) + random.normal(size=(n, 2))
    weight = np.where(clump == 2, 40.0, 5.0) + random.normal(size=n)
    features = pd.DataFrame(
        {"weight": weight, "noise": random.normal(size=n)}, index=range(7, n + 7)
    )
    return coords, np.where(clump == 0, "cat", "dog"), features


def test_regions_are_named_by_class_and_by_what_sets_them_apart():
    coords, labels, features = make_map()
    regions = name_regions(coords, labels.tolist(), features, n_regions=3)
    by_place = {round(region.x / 10): region.text for region in regions}
    assert by_place[0].startswith("cat")
    assert by_place[1].startswith("dog")
    assert by_place[2] == "dog · high weight"


def test_region_is_named_without_classes_and_lies_at_a_row():
    coords, _, features = make_map()
    regions = name_regions(coords, None, features, n_regions=3)
    assert "high weight" in {region.text for region in regions}
    places = set(map(tuple, coords.tolist()))
    assert {(region.x, region.y) for region in regions} <= places


def test_region_without_anything_to_say_has_no_name():
    coords, _, features = make_map()
    assert name_regions(coords, None, features[["noise"]], n_regions=1) == []
    assert len(name_regions(np.zeros((20, 2)), ["a"] * 20, features[:20], n_regions=5)) == 1


def test_density_is_highest_where_rows_lie():
    coords, *_ = make_map(3_000)
    dense = density(np.vstack([coords, coords[:2000] * 0.1 + [20, 0]]))
    z = np.array(dense["z"])
    row, column = np.unravel_index(z.argmax(), z.shape)
    assert z.max() == 1.0
    assert abs(dense["x"][column] - 20) < 1
    assert abs(dense["y"][row]) < 1
    assert z.shape == (len(dense["y"]), len(dense["x"]))


def test_names_near_an_end_of_the_map_are_written_away_from_it():
    places = [(x, 0.0, "dog") for x in (-10.0, 0.0, 10.0)]
    notes = region_notes(places, (-10.0, 10.0), theme="light")
    assert [note["xanchor"] for note in notes] == ["left", "center", "right"]
    assert region_notes(places[1:2], (0.0, 0.0), theme="light")[0]["xanchor"] == "left"
