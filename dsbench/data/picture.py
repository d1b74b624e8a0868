"""An image file as the bytes of one size that training reads: decoded, turned upright, cropped, made smaller."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

GAP = 3.0  # how many times larger than wanted a picture may be before the slow, exact filter takes over


class Unreadable(Exception):  # noqa: N818 - the caller decides whether it is an error
    """This file is no picture that can be read: a few words that say why."""


@dataclass(frozen=True, eq=False)
class Picture:
    """The `pixels` (size, size, channels) uint8 of a file, and what remarks are made of."""

    pixels: np.ndarray
    enlarged: bool
    coloured: bool


def read(path: Path, size: int, grey: bool) -> Picture:
    """The middle of the picture in `path`, as large a square as it holds, at `size` pixels a side in RGB or grey.

    Of several frames it is the first. It is turned as its EXIF data say, put on white where it is transparent, and of
    16 bits keeps the upper 8. A square picture of `size` pixels keeps each of its values. Raises Unreadable.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, and of sizes that are large but can be read
            with Image.open(path) as file:
                file.draft(None, (round(GAP * size),) * 2)  # a JPEG is decoded at an eighth to all of its size
                picture = _in_bytes(ImageOps.exif_transpose(file))
    except Exception as error:  # damaged files make decoders raise nearly anything
        reason = str(error) if isinstance(error, (OSError, ValueError)) else type(error).__name__
        raise Unreadable("no picture" if "cannot identify" in reason else reason.partition("\n")[0]) from error
    coloured = picture.mode != "L"
    side = min(picture.size)
    left, upper = ((length - side) // 2 for length in picture.size)
    square = picture.convert("L" if grey else "RGB").resize(
        (size, size), Image.Resampling.BICUBIC, (left, upper, left + side, upper + side), reducing_gap=GAP
    )
    return Picture(np.asarray(square).reshape(size, size, -1), enlarged=side < size, coloured=coloured)


def _in_bytes(picture: Image.Image) -> Image.Image:
    """The picture in L or RGB, a byte a channel."""
    picture.load()
    if picture.mode.startswith(("I", "F")):
        values = np.asarray(picture)
        if values.dtype.kind not in "iu" or values.min() < 0 or values.max() > 0xFFFF:
            raise ValueError("its values are not of 8 or 16 bits")
        return Image.fromarray((values >> 8).astype(np.uint8))
    grey = picture.mode in ("1", "L", "LA", "La")
    if picture.has_transparency_data:
        seen = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen)
    return picture.convert("L" if grey else "RGB")
