"""How a print weathers: slow changes that never go back, each driven by an age from 0 (new) to 1 (end of the script)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.sample.fields import Field, covering, fractal, generator

Pixels = NDArray[np.float32]

PLACES: dict[str, dict[str, float]] = {
    "sun": {"bleach": 0.95, "peel": 0.34, "grime": 0.15},
    "damp": {"moss": 0.66, "grime": 0.6, "bleach": 0.25},
    "gutter": {"rust": 0.95, "yellow": 0.9, "mould": 0.1},
    "ivy": {"ivy": 1.0, "mould": 0.3, "yellow": 0.4},
}
"""What each place on the wall does to a print by age 1: shares of the area for peel, moss and mould, strengths 0 to 1
for the rest.  Prints in one place come to look alike; that is what defeats clustering the whole collection by look."""


@dataclass(frozen=True)
class Sheet:
    """A print as it is on a date: ``pixels`` (h, w, 3) and ``cover`` (h, w), how much paper is left; both 0 to 1."""

    pixels: Pixels
    cover: Field


class Weathering:
    """The fate of one print: its fields are drawn once, so that on every date the same stains are a bit larger."""

    def __init__(self, seed: int, subject: str, shape: tuple[int, int], grass: Field) -> None:
        rng = generator(seed, "weathering", subject)
        height, width = shape
        low = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * np.ones((1, width), dtype=np.float32)
        self._blotches = fractal(rng, shape)
        self._runs = fractal(rng, shape, cells=(1, 14), octaves=4)
        self._drips = fractal(rng, shape, cells=(1, 9), octaves=5) - 0.9 * low
        self._growth = fractal(rng, shape, cells=(3, 4)) + 0.9 * low
        self._spots = fractal(rng, shape, cells=(16, 16), octaves=3) + 0.5 * self._blotches
        self._tears = fractal(rng, shape, cells=(3, 3)) + 1.3 * _to_the_edges(shape)
        top, left = (int(rng.integers(0, 512 - min(side, 511))) for side in shape)
        self._grass = grass[top : top + height, left : left + width]

    def sheet(self, paper: Pixels, age: float, place: str) -> Sheet:
        """``paper`` (h, w, 3) as it looks at ``age`` in ``place``."""
        effects: Mapping[str, float] = PLACES[place]
        amount = {name: age * strength for name, strength in effects.items()}
        pixels = bleached(paper, amount.get("bleach", 0.0))
        pixels = yellowed(pixels, amount.get("yellow", 0.0))
        pixels = self._grimy(pixels, amount.get("grime", 0.0))
        pixels = self._rusty(pixels, amount.get("rust", 0.0))
        pixels = self._mouldy(pixels, amount.get("mould", 0.0))
        pixels = self._mossy(pixels, amount.get("moss", 0.0))
        torn = covering(self._tears, amount.get("peel", 0.0), softness=0.08)
        rim = covering(self._tears, 1.15 * amount.get("peel", 0.0), softness=0.08)[..., None]
        return Sheet(pixels * (1 - rim) + 0.9 * rim, 1 - torn)

    def _grimy(self, pixels: Pixels, amount: float) -> Pixels:
        layer = np.clip(0.75 + 0.3 * self._runs + 0.2 * self._blotches, 0, 1.3)[..., None] * amount
        return np.asarray(pixels * (1 - np.clip(layer * np.float32([0.72, 0.74, 0.8]), 0, 0.92)), dtype=np.float32)

    def _rusty(self, pixels: Pixels, amount: float) -> Pixels:
        layer = covering(self._drips, 0.85 * amount, softness=1.6)[..., None] * min(1.0, 0.45 + amount)
        stain = pixels * np.float32([0.85, 0.5, 0.26]) + np.float32([0.1, 0.03, 0.0])
        return np.asarray(pixels * (1 - layer) + stain * layer, dtype=np.float32)

    def _mouldy(self, pixels: Pixels, amount: float) -> Pixels:
        layer = 0.82 * covering(self._spots, amount, softness=0.5)[..., None]
        return np.asarray(pixels * (1 - layer) + np.float32([0.13, 0.14, 0.12]) * layer, dtype=np.float32)

    def _mossy(self, pixels: Pixels, amount: float) -> Pixels:
        if amount <= 0:
            return pixels
        shade = covering(self._growth, amount * 1.12, softness=0.5)[..., None]
        layer = covering(self._growth, amount, softness=0.18)[..., None]
        tint = 0.5 + 0.22 * self._blotches[..., None]
        green = np.float32([0.12, 0.2, 0.05]) + self._grass[..., None] * (
            np.float32([0.28, 0.46, 0.12]) + np.float32([0.26, 0.1, 0.02]) * tint
        )
        return np.asarray(pixels * (1 - 0.55 * shade) * (1 - layer) + green * layer, dtype=np.float32)


def bleached(pixels: Pixels, amount: float) -> Pixels:
    """Sunlight on printing inks: yellow goes first, then magenta, cyan last, so that a poster turns pale and blue."""
    ink = 1 - pixels
    kept = 1 - amount * np.float32([0.62, 0.88, 0.97])
    return np.asarray(1 - ink * kept - amount * np.float32([0.1, 0.03, 0.0]), dtype=np.float32)


def yellowed(pixels: Pixels, amount: float) -> Pixels:
    """Old paper and varnish: colours go brown, white goes amber, contrast goes down."""
    grey = pixels @ np.float32([0.3, 0.59, 0.11])
    brown = (0.12 + 0.72 * grey[..., None]) * np.float32([1.0, 0.8, 0.5])
    return np.asarray(pixels * (1 - 0.85 * amount) + brown * (0.85 * amount), dtype=np.float32)


def _to_the_edges(shape: tuple[int, int]) -> Field:
    """0 in the middle of a sheet, 1 at its edges, more in the corners."""
    rows, columns = (np.abs(np.linspace(-1, 1, side, dtype=np.float32)) for side in shape)
    return np.asarray(0.5 * (rows[:, None] ** 3 + columns[None, :] ** 3) * 1.6, dtype=np.float32)
