"""Tables whose columns are the pixels of small pictures."""

from __future__ import annotations

import base64
import io
import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

MIN_SIDE = 6
# Height and width that are tried besides the square.
RATIOS = ((1, 1), (3, 4), (4, 3), (2, 3), (3, 2), (1, 2), (2, 1))
# Neighbouring pixels of a picture are alike; those of columns in any order are not.
LEAST_CORRELATION = 0.27
N_ROWS_LOOKED_AT = 500
THUMBNAIL_PIXELS = 48


def detect_grid(features: pd.DataFrame) -> tuple[int, int] | None:
    """Find out whether the columns of a table are the pixels of a picture, row by row."""
    n_columns = features.shape[1]
    if n_columns < MIN_SIDE**2 or not all(
        types.is_numeric_dtype(kind) and not types.is_bool_dtype(kind) for kind in features.dtypes
    ):
        return None
    pixels = features.iloc[:: max(1, len(features) // N_ROWS_LOOKED_AT)].to_numpy(np.float64)
    if not np.isfinite(pixels).all() or pixels.min() < 0 or not pixels.max() > 0:
        return None
    shapes = [shape for ratio in RATIOS if (shape := _shape(n_columns, *ratio)) is not None]
    scored = [(_neighbour_correlation(pixels, *shape), shape) for shape in shapes]
    best, shape = max(scored, default=(0.0, None), key=lambda one: one[0])
    return shape if best >= LEAST_CORRELATION else None


def _shape(n_columns: int, down: int, across: int) -> tuple[int, int] | None:
    unit = math.isqrt(n_columns // (down * across))
    height, width = down * unit, across * unit
    is_shape = height * width == n_columns and min(height, width) >= MIN_SIDE
    return (height, width) if is_shape else None


def _neighbour_correlation(pixels: NDArray, height: int, width: int) -> float:
    grid = (pixels - pixels.mean(axis=0)).reshape(-1, height, width)
    deviation = np.sqrt((grid**2).mean(axis=0))
    means = []
    for one, other, a, b in (
        (grid[:, :, 1:], grid[:, :, :-1], deviation[:, 1:], deviation[:, :-1]),
        (grid[:, 1:], grid[:, :-1], deviation[1:], deviation[:-1]),
    ):
        varies = (a > 0) & (b > 0)
        together = (one * other).mean(axis=0)[varies] / (a * b)[varies]
        means.append(float(together.mean()) if together.size else 0.0)
    return min(means)


def to_image(pixels: NDArray, shape: tuple[int, int], *, greatest: float) -> str:
    """Draw a picture as a data address of a PNG, enlarged without smoothing."""
    from PIL import Image

    grey = np.nan_to_num(np.asarray(pixels, dtype=np.float64)) / greatest
    picture = Image.fromarray((255 * np.clip(grey, 0, 1)).astype(np.uint8).reshape(shape))
    times = max(1, THUMBNAIL_PIXELS // max(shape))
    picture = picture.resize((shape[1] * times, shape[0] * times), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
