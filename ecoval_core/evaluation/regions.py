"""Regions of a map: where rows lie dense, and what the rows of a region have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances_argmin

from ecoval_core.evaluation.profiles import describe_group

N_REGIONS = 8
# A class names a region in which it is so common.
MAJORITY = 0.6
# More rows do not move the middle of a region.
MAX_ROWS = 20_000
N_BINS = 96
# Width and height of a name on a map of one.
ROOM = np.array([0.25, 0.05])


@dataclass(frozen=True)
class Region:
    """A part of a map: a row in its middle, and what sets its rows apart, in a few words."""

    x: float
    y: float
    text: str


def name_regions(
    coords: NDArray,
    labels: Sequence[str] | None,
    features: pd.DataFrame,
    n_regions: int = N_REGIONS,
) -> list[Region]:
    """Cut a map into regions, and name each by its class, if any, and what sets it apart most."""
    random = np.random.default_rng(0)
    sample = np.sort(random.permutation(len(coords))[:MAX_ROWS])
    coords, features = coords[sample], features.iloc[sample].reset_index(drop=True)
    classes = None if labels is None else pd.Series(labels)[sample].reset_index(drop=True)
    # Names written closer than this run into each other.
    apart = np.ptp(coords, axis=0) * ROOM
    n_regions = min(n_regions, len(np.unique(coords, axis=0)))
    means = KMeans(n_regions, n_init=1, random_state=0).fit(coords)
    middles = pairwise_distances_argmin(means.cluster_centers_, coords)
    regions: list[Region] = []
    by_size = np.bincount(means.labels_).argsort(kind="stable")[::-1]
    for region, middle in zip(by_size, middles[by_size], strict=True):
        members = pd.Index(np.flatnonzero(means.labels_ == region))
        words = []
        if classes is not None:
            shares = classes[members].value_counts(normalize=True)
            words += [str(shares.index[0])] if shares.iloc[0] >= MAJORITY else []
        words += [trait.short for trait in describe_group(features, members, 1)]
        text, place = " · ".join(words), coords[middle]
        if words and not any(
            text == other.text or (abs(place - (other.x, other.y)) < apart).all()
            for other in regions
        ):
            regions.append(Region(float(place[0]), float(place[1]), text))
    return regions


def density(coords: NDArray) -> dict[str, Any]:
    """Count rows on a grid and smooth the counts; `z` is a share of the highest, by `y` and `x`."""
    counts, *edges = np.histogram2d(coords[:, 0], coords[:, 1], bins=N_BINS)
    smooth = gaussian_filter(counts, sigma=1.5)
    x, y = ((edge[1:] + edge[:-1]) / 2 for edge in edges)
    return {"x": x.tolist(), "y": y.tolist(), "z": (smooth.T / smooth.max()).round(3).tolist()}
