"""Pictures: bytes in a column, or the pixels of small ones as columns, become thumbnails and numbers."""

from __future__ import annotations

import base64
import io
import math
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

if TYPE_CHECKING:
    from PIL.Image import Image

Mode = Literal["L", "RGB"]
MIN_SIDE = 6
# Height and width that are tried besides the square.
RATIOS = ((1, 1), (3, 4), (4, 3), (2, 3), (3, 2), (1, 2), (2, 1))
# Neighbouring pixels of a picture are alike; those of columns in any order are not.
LEAST_CORRELATION = 0.27
N_ROWS_LOOKED_AT = 500
THUMBNAIL_PIXELS = 48
# How pictures of these formats begin.
FORMATS = {
    "PNG": [b"\x89PNG"], "JPEG": [b"\xff\xd8\xff"], "GIF": [b"GIF8"], "WEBP": [b"RIFF"],
    "BMP": [b"BM"], "TIFF": [b"II*\0", b"MM\0*"],
}  # fmt: skip
_STARTS = tuple(start for starts in FORMATS.values() for start in starts)
# Once reduced while decoding, where the format can. More takes memory and seconds for one picture.
MAX_DECODED_PIXELS = 2**23
N_CELLS_LOOKED_AT = 50
# Measured: more pixels classify digits, MNIST and crops of photographs no better.
SIDES = {"L": 16, "RGB": 8}


# --- Pictures as bytes -----------------------------------------------------------------------


def picture_bytes(cell: Any) -> bytes | None:
    """Return what a cell holds of a picture: bytes, or those in the struct that Hugging Face writes."""
    content = cell.get("bytes") if isinstance(cell, dict) else cell
    return content if isinstance(content, bytes) and content else None


def holds_pictures(column: pd.Series) -> bool:
    """Tell whether most of the first cells of a column that hold something hold a picture."""
    if column.dtype != object:
        return False
    cells = column.dropna().iloc[:N_CELLS_LOOKED_AT]
    starts = [(picture_bytes(cell) or b"").startswith(_STARTS) for cell in cells]
    return 2 * sum(starts) > len(cells)


def open_picture(cell: Any, side: int) -> Image | None:
    """Decode a picture of which `side` pixels are wanted; None if there is none, or a damaged or huge one."""
    from PIL import Image

    content = picture_bytes(cell)
    if content is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what a stranger sent: it counts as missing or it opens
        try:
            picture = Image.open(io.BytesIO(content), formats=tuple(FORMATS))
            picture.draft(None, (2 * side, 2 * side))
            if picture.width * picture.height > MAX_DECODED_PIXELS:
                return None
            return _eight_bits(picture)
        except MemoryError:
            raise
        except Exception:  # whatever damaged content leads Pillow to raise
            return None


def _eight_bits(picture: Image) -> Image:
    """Convert to grey or RGB, transparent parts to white."""
    from PIL import Image

    if picture.mode[0] in "IF":
        levels = np.nan_to_num(np.asarray(picture, dtype=np.float64))
        greatest = 65535 if picture.mode.startswith("I;16") else max(levels.max(), 1.0)
        return Image.fromarray((255 * np.clip(levels / greatest, 0, 1)).astype(np.uint8))
    if picture.mode in ("1", "L"):
        return picture.convert("L")
    if "A" in picture.mode or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        behind = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(behind, picture).convert("RGB")
    return picture.convert("RGB")


def mode_of(column: pd.Series) -> Mode:
    """Return Pillow's mode, with a letter for each channel, that shows the first pictures of a column."""
    opened = (open_picture(cell, SIDES["RGB"]) for cell in column.dropna().iloc[:N_CELLS_LOOKED_AT])
    has_colour = any(
        picture.mode == "RGB" and bool(np.ptp(np.asarray(picture, dtype=int), axis=2).any())
        for picture in opened
        if picture is not None
    )
    return "RGB" if has_colour else "L"


def pixel_matrix(column: pd.Series, mode: Mode) -> NDArray[np.float64]:
    """Return the pixels of pictures, each made a small square, as rows of an array, NaN where none is."""
    from PIL import Image

    side = SIDES[mode]
    pixels = np.full((len(column), side * side * len(mode)), np.nan)
    for row, cell in enumerate(column):
        if (picture := open_picture(cell, side)) is not None:
            small = picture.convert(mode).resize((side, side), Image.Resampling.BOX)
            pixels[row] = np.asarray(small, dtype=np.float64).ravel()
    return pixels


def thumbnail(cell: Any) -> bytes | None:
    """Return a small picture of a cell as PNG, or JPEG where it has colours; None if there is none."""
    picture = open_picture(cell, THUMBNAIL_PIXELS)
    if picture is None:
        return None
    picture.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG" if picture.mode == "L" else "JPEG")
    return buffer.getvalue()


def data_address(picture: bytes) -> str:
    """Return a thumbnail as an address that a page can show."""
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


# --- Pixels as columns -----------------------------------------------------------------------


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
    return data_address(buffer.getvalue())
