"""Smooth random fields: the shapes of stains, moss, tears and shadows."""

import hashlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Field = NDArray[np.float32]


def rgb(red: float, green: float, blue: float) -> Field:
    """A colour (3,) float32: pictures stay in single precision."""
    return np.array([red, green, blue], dtype=np.float32)


def generator(seed: int, *names: object) -> np.random.Generator:
    """A generator of its own for every (seed, names): one draw more somewhere changes nothing elsewhere."""
    key = "/".join(str(name) for name in (seed, *names)).encode()
    return np.random.default_rng(int.from_bytes(hashlib.blake2b(key, digest_size=16).digest(), "big"))


def resized(field: Field, shape: tuple[int, int]) -> Field:
    """``field`` (h, w) float32 stretched to ``shape`` (height, width), bicubic."""
    height, width = shape
    image = Image.fromarray(np.ascontiguousarray(field, dtype=np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)


def fractal(
    rng: np.random.Generator, shape: tuple[int, int], cells: tuple[int, int] = (4, 4), octaves: int = 5
) -> Field:
    """Fractal value noise (h, w) float32, roughly standard normal: each octave twice as fine and 0.6 as strong.

    ``cells`` are the rows and columns of the coarsest grid; unequal ones give streaks.
    """
    total = np.zeros(shape, dtype=np.float32)
    weight = 1.0
    squares = 0.0
    for octave in range(octaves):
        rows, columns = (min(n * 2**octave, side) for n, side in zip(cells, shape, strict=True))
        grid = rng.standard_normal((rows + 1, columns + 1), dtype=np.float32)
        total += weight * resized(grid, shape)
        squares += weight**2
        weight *= 0.6
    return np.asarray(total / np.sqrt(squares), dtype=np.float32)


def covering(field: Field, share: float, softness: float = 0.25) -> Field:
    """The highest ``share`` (0 to 1) of a field's area as a mask, 0 to 1, with an edge ``softness`` field units wide.

    As the share grows the mask only grows: what is covered stays covered, which is how moss and tears spread.
    """
    if share <= 0:
        return np.zeros_like(field)
    threshold = float(np.quantile(field[::4, ::4], max(0.0, 1.0 - share)))
    return smoothstep((field - threshold) / softness + 0.5)


def smoothstep(values: Field) -> Field:
    """0 below 0, 1 above 1, smooth between (3x² - 2x³)."""
    clipped = np.clip(values, 0.0, 1.0).astype(np.float32)
    return clipped * clipped * (3 - 2 * clipped)
