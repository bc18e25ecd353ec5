"""One geometry for every method: blocks of coordinates, each times the root of its weight, one after another.

    d^2(x, y) = w_content |x_c - y_c|^2 + sum over columns m of w_m d_m^2(x, y) + w_time ((t_x - t_y) / scale)^2

Every kind of column becomes coordinates whose squared Euclidean distance is d_m^2, so k-means, neighbour graphs and
trees all see the same distances.  d_m is 1 between different categories, between the ends of an ordered list, between
opposite points of a cycle, and one ``scale`` apart of numbers, places and times: fixed scales, the same on every date.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Float32s = npt.NDArray[np.float32]
Float64s = npt.NDArray[np.float64]

EARTH_KM = 6371.0088
"""Mean radius of the Earth (IUGG)."""
_RANDOM = 8
"""Coordinates in which missing values point in directions of their own."""


def categorical(values: Sequence[str | None]) -> Float64s:
    """Values (n,) -> (n, number of categories), NaN where None; 1 apart if different."""
    names = sorted({value for value in values if value is not None})
    place = {name: index for index, name in enumerate(names)}
    found = np.zeros((len(values), len(names)))
    for row, value in enumerate(values):
        found[row] = np.nan if value is None else 0.0
        if value is not None:
            found[row, place[value]] = np.sqrt(0.5)
    return found


def numeric(values: Float64s, scale: float) -> Float64s:
    """Numbers (n,), NaN where missing -> (n, 1); 1 apart where they differ by ``scale``."""
    known = values[~np.isnan(values)]
    # Small numbers keep their digits in float32; distances do not see where the origin is.
    origin = known.min() if len(known) else 0.0
    return ((values - origin) / scale)[:, None]


def cyclic(values: Float64s, period: float) -> Float64s:
    """Numbers (n,), NaN where missing -> (n, 2) on a circle; half a ``period`` is 1 apart, the chord counts."""
    angle = 2.0 * np.pi * values / period
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) / 2.0


def geographic(latitude: Float64s, longitude: Float64s, scale: float) -> Float64s:
    """Degrees (n,), NaN where missing -> (n, 3); 1 apart at a chord through the Earth of ``scale`` kilometres."""
    phi, lam = np.radians(latitude), np.radians(longitude)
    ball = np.stack([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi) + 0.0 * lam], axis=1)
    return ball * (EARTH_KM / scale)


def ordered(values: Sequence[str | None], levels: Sequence[str]) -> Float64s:
    """Values (n,), each one of ``levels`` or None -> (n, 1); the first and the last level are 1 apart, steps equal."""
    place = {level: index / max(len(levels) - 1, 1) for index, level in enumerate(levels)}
    return np.array([np.nan if value is None else place[value] for value in values], dtype=float)[:, None]


def fill_missing(block: Float64s, ids: Sequence[str], name: str) -> Float64s:
    """Give rows without a value a place as far from everybody as two rows with one are on average.

    A missing row lies at the mean of the rest, moved out along coordinates of its own: one that all missing rows of the
    column share, and a direction drawn from the image's id.  Its squared distance to the rows with a value is then on
    average the mean squared distance of their pairs, and so is, in expectation over the directions, that of two
    missing rows.

    Args:
        block: Coordinates (n, d), NaN in rows without a value.
        ids: Image ids (n,).
        name: Of the column; another one draws other directions.

    Returns:
        (n, d) where nothing is missing, else (n, d + 9); zeros where fewer than two rows have a value.
    """
    missing = np.isnan(block).any(axis=1)
    if not missing.any():
        return block
    known = block[~missing]
    filled = np.zeros((len(block), block.shape[1] + 1 + _RANDOM))
    if len(known) < 2:
        return filled
    mean = known.mean(axis=0)
    spread = float(((known - mean) ** 2).sum(axis=1).mean())
    pairs = 2.0 * spread * len(known) / (len(known) - 1)
    filled[~missing, : block.shape[1]] = known
    filled[missing, : block.shape[1]] = mean
    filled[missing, block.shape[1]] = np.sqrt(max(pairs / 2.0 - spread, 0.0))
    for row in np.flatnonzero(missing).tolist():
        filled[row, block.shape[1] + 1 :] = np.sqrt(pairs / 2.0) * _direction(name, ids[row])
    return filled


def augment(content: Float32s, weight: float, blocks: Sequence[tuple[float, Float64s]]) -> Float32s:
    """Concatenate ``content`` (n, d) and (weight, block) pairs, each times the root of its weight: float32 (n, d')."""
    scaled = [np.sqrt(weight) * content.astype(np.float64), *(np.sqrt(w) * block for w, block in blocks)]
    return np.concatenate(scaled, axis=1).astype(np.float32)


def _direction(name: str, image_id: str) -> Float64s:
    """A unit vector (8,) that depends on its arguments alone, symmetric around zero."""
    raw = hashlib.blake2b(f"{name}\n{image_id}".encode(), digest_size=4 * _RANDOM).digest()
    even = (np.frombuffer(raw, dtype="<u4").astype(np.float64) + 0.5) / 2.0**32 - 0.5
    return np.asarray(even / np.linalg.norm(even))
