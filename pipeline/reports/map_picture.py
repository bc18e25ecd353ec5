"""The picture of a map: thumbnails where there is room, dots elsewhere, coloured by cluster or track."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipeline.reports.picture_ink import FAINT, INK, QUIET, Canvas, track_colour

WIDTH, HEIGHT = 1560, 1200
EDGE, HEAD, FOOT = 40, 100, 40
SIDE_LARGEST, SIDE_SMALLEST = 72, 36

Places = npt.NDArray[np.float64]


def on_paper(places: npt.NDArray[np.floating]) -> Places:
    """Scale places (n, 2), y upwards, into the picture, both axes alike; all at one place lie in its middle."""
    wide = np.asarray(places, dtype=np.float64)
    low, high = wide.min(axis=0), wide.max(axis=0)
    room = np.array([WIDTH - 2 * EDGE - SIDE_LARGEST, HEIGHT - HEAD - FOOT - SIDE_LARGEST], dtype=np.float64)
    extent = np.maximum(high - low, 1e-9)
    scale = float((room / extent).min()) if (high > low).any() else 1.0
    middle = np.array([WIDTH / 2, HEAD + (HEIGHT - HEAD - FOOT) / 2])
    return np.asarray(middle + (wide - (low + high) / 2) * scale * np.array([1.0, -1.0]))


def side_of(count: int) -> int:
    """Side of a thumbnail: smaller where there are many images."""
    return int(np.clip(900 / np.sqrt(max(count, 1)), SIDE_SMALLEST, SIDE_LARGEST))


def thumbnails(at: Places, groups: Sequence[int], side: int) -> list[int]:
    """Rows that are drawn as thumbnails: none overlaps another; the first of each group has precedence."""
    first = sorted(np.unique(np.asarray(groups, dtype=np.int64), return_index=True)[1].tolist())
    order = first + sorted(set(range(len(at))) - set(first))
    taken: dict[tuple[int, int], list[int]] = {}
    chosen = []
    for row in order:
        x, y = at[row]
        cell = (int(x // side), int(y // side))
        near = (other for i in (-1, 0, 1) for j in (-1, 0, 1) for other in taken.get((cell[0] + i, cell[1] + j), ()))
        if all(np.abs(at[row] - at[other]).max() >= side + 3 for other in near):
            taken.setdefault(cell, []).append(row)
            chosen.append(row)
    return chosen


def draw_map(
    at: Places, groups: Sequence[int], pixels: dict[int, bytes | None], title: str, caption: str
) -> Image.Image:
    """Draw a map.

    Args:
        at: Places on the paper (n, 2), of :func:`on_paper`.
        groups: What colours each image; below 0: none (grey).
        pixels: Row -> image file, of the rows of :func:`thumbnails`.
        title: What it shows.
        caption: A line below it.
    """
    canvas = Canvas(WIDTH, HEIGHT)
    canvas.text((EDGE, 36), title, 24, INK, bold=0.35)
    canvas.text((EDGE, 68), caption, 14, QUIET)
    side = side_of(len(at))
    for row in sorted(set(range(len(at))) - set(pixels)):
        canvas.dot((at[row][0], at[row][1]), 4, track_colour(groups[row]) if groups[row] >= 0 else QUIET)
    for row, data in pixels.items():
        rim = track_colour(groups[row]) if groups[row] >= 0 else FAINT
        canvas.picture((at[row][0] - side / 2, at[row][1] - side / 2), side, data, rim)
    return canvas.finished()
