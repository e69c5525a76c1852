"""Rows of the demo, which its test knows too."""

import numpy as np
import pandas as pd


def make_frame(n_rows):
    """Rows in ten heaps, of which one in ten is spoiled."""
    rng = np.random.default_rng(0)
    cluster = rng.integers(0, 30, n_rows)
    angle = cluster * 2.4
    coords = np.c_[np.cos(angle), np.sin(angle)] * (2 + cluster[:, None] / 4)
    coords += rng.normal(0, 0.5, (n_rows, 2))
    flipped = rng.random(n_rows) < 0.1
    quality = np.clip(rng.normal(1, 0.4, n_rows) - 0.6 * flipped, 0, None)
    effect = rng.normal(0.3, 0.8, n_rows) - 1.5 * flipped
    frame = pd.DataFrame(
        {
            "value": quality + effect, "intrinsic": quality, "extrinsic": effect,
            "raw_extrinsic": effect, "quality": quality, "cluster": cluster,
            "label": np.array(list("abcdefghijklmnopq"))[cluster % 17], "flipped": flipped,
            "original_label": "z", "amount": rng.lognormal(3, 1, n_rows),
            "note": np.where(rng.random(n_rows) < 0.3, None, "known"),
        },
        index=pd.RangeIndex(100, 100 + n_rows, name="row_id"),
    )  # fmt: skip
    return frame, coords
