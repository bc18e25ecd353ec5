"""Regions of a photograph: from a box as a person gives it to the pixels that are cut out."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.compute.pixels import Pixels
from pipeline.compute.reasons import Flaw, Reason

Unit = Literal["pixels", "fractions"]

_LEAST_INSIDE = 0.5
"""A box with less of its area within the photograph was drawn on another one, or in another unit."""

_ROUNDING = 1e-6
"""Of a pixel: what 0.1 * 30 is above 3 is no reason to begin a fourth pixel."""


@dataclass(frozen=True)
class Box:
    """A rectangle in the upright image: left and top edge, width and height, in whole pixels or as a person gave it."""

    x: float
    y: float
    width: float
    height: float


def box_text(box: Box) -> str:
    """The box as a name, the same for 10 and 10.0: ``10,20,30,40``."""
    return ",".join(format(side, ".12g") for side in (box.x, box.y, box.width, box.height))


def to_pixels(box: Box, unit: Unit, width: int, height: int) -> Box:
    """The whole pixels that a box touches, within a photograph of so many pixels.

    Args:
        box: finite numbers, width and height above 0.
        unit: pixels, or fractions of the photograph's width and height.
        width: of the upright photograph.
        height: of the upright photograph.

    Raises:
        Flaw: less than half of it lies within the photograph.
    """
    across, down = (width, height) if unit == "fractions" else (1, 1)
    left, right = box.x * across, (box.x + box.width) * across
    top, bottom = box.y * down, (box.y + box.height) * down
    inside = _overlap(left, right, width) * _overlap(top, bottom, height)
    if not inside >= _LEAST_INSIDE * (right - left) * (bottom - top) or not inside > 0:
        raise Flaw(Reason.BAD_REGION, f"{box_text(box)} in {unit} lies outside {width}x{height} pixels")
    x, y = (max(0, math.floor(edge + _ROUNDING)) for edge in (left, top))
    ends = (min(limit, math.ceil(edge - _ROUNDING)) for edge, limit in ((right, width), (bottom, height)))
    return Box(x, y, *(max(1, end - start) for end, start in zip(ends, (x, y), strict=True)))


def crop(rgb: Pixels, box: Box, margin: float) -> Pixels:
    """A region and some of what surrounds it.

    Args:
        rgb: the upright photograph, (height, width, 3).
        box: whole pixels within it, by :func:`to_pixels`.
        margin: this share of the box's width is added to its left and right, of its height above and below, as far as
            the photograph goes; rounded to whole pixels, half up.
    """
    height, width = rgb.shape[:2]
    across, down = math.floor(margin * box.width + 0.5), math.floor(margin * box.height + 0.5)
    left, top = max(0, int(box.x) - across), max(0, int(box.y) - down)
    right, bottom = min(width, int(box.x + box.width) + across), min(height, int(box.y + box.height) + down)
    return np.ascontiguousarray(rgb[top:bottom, left:right])


def _overlap(start: float, end: float, limit: int) -> float:
    return max(0.0, min(end, limit) - max(start, 0.0))
