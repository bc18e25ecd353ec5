"""How a print weathers: slow changes that never go back, driven by an age from 0 (new) to 1 (end of the script)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.sample.fields import Field, covering, fractal, generator, rgb, smoothstep

Pixels = NDArray[np.float32]


@dataclass(frozen=True)
class Course:
    """How one effect goes: nothing until age ``start``, then evenly up to ``final`` at age ``full``, then no further.

    ``final`` is a share of the area for peel, moss, mould, lichen and rust, a strength from 0 to 1 for the rest.
    """

    final: float
    start: float = 0.0
    full: float = 1.0

    def at(self, age: float) -> float:
        """The effect at ``age``, 0 to ``final``."""
        return self.final * min(1.0, max(0.0, (age - self.start) / (self.full - self.start)))


PLACES: dict[str, dict[str, Course]] = {
    "sun": {"bleach": Course(0.9, 0.0, 0.7), "grime": Course(0.2), "peel": Course(0.46, 0.2, 1.0)},
    "damp": {"grime": Course(0.75, 0.0, 0.6), "bleach": Course(0.3), "moss": Course(0.76, 0.15, 1.0)},
    "gutter": {"yellow": Course(1.0, 0.0, 0.5), "rust": Course(0.7, 0.0, 0.6), "lichen": Course(0.55, 0.4, 1.0)},
    "ivy": {"yellow": Course(0.9, 0.0, 0.5), "mould": Course(0.28, 0.0, 0.6), "ivy": Course(0.88, 0.2, 1.0)},
}
"""What each place on the wall does to a print, first one thing, then another.  Prints in one place come to look alike:
that is what defeats clustering the whole collection by look."""


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
        self._growth: Field = np.add(fractal(rng, shape, cells=(3, 4)), 0.9 * low, dtype=np.float32)
        self._spots = fractal(rng, shape, cells=(16, 16), octaves=3) + 0.5 * self._blotches
        self._rosettes = np.add(fractal(rng, shape, cells=(9, 9), octaves=4), 0.6 * self._growth, dtype=np.float32)
        self._tears = fractal(rng, shape, cells=(3, 3)) + 1.3 * _to_the_edges(shape)
        top, left = (int(rng.integers(0, 512 - min(side, 511))) for side in shape)
        self._grass = grass[top : top + height, left : left + width]

    def sheet(self, paper: Pixels, age: float, place: str) -> Sheet:
        """``paper`` (h, w, 3) as it looks at ``age`` in ``place``."""
        amount = effects(place, age)
        pixels = bleached(paper, amount.get("bleach", 0.0))
        pixels = yellowed(pixels, amount.get("yellow", 0.0))
        pixels = self._grimy(pixels, amount.get("grime", 0.0))
        pixels = self._rusty(pixels, amount.get("rust", 0.0))
        pixels = self._mouldy(pixels, amount.get("mould", 0.0))
        pixels = self._overgrown_by_lichen(pixels, amount.get("lichen", 0.0))
        pixels = self._mossy(pixels, amount.get("moss", 0.0))
        torn = covering(self._tears, amount.get("peel", 0.0), softness=0.08)
        rim = covering(self._tears, 1.15 * amount.get("peel", 0.0), softness=0.08)[..., None]
        return Sheet(pixels * (1 - rim) + 0.9 * rim, 1 - torn)

    def _grimy(self, pixels: Pixels, amount: float) -> Pixels:
        layer = np.clip(0.75 + 0.3 * self._runs + 0.2 * self._blotches, 0, 1.3)[..., None] * amount
        return np.asarray(pixels * (1 - np.clip(layer * rgb(0.72, 0.74, 0.8), 0, 0.92)), dtype=np.float32)

    def _rusty(self, pixels: Pixels, amount: float) -> Pixels:
        layer = covering(self._drips, amount, softness=1.6)[..., None] * min(1.0, 0.45 + amount)
        crust = 0.8 + 0.25 * self._blotches[..., None]
        stain = pixels * rgb(0.42, 0.27, 0.16) + crust * rgb(0.32, 0.14, 0.05)
        return np.asarray(pixels * (1 - layer) + stain * layer, dtype=np.float32)

    def _mouldy(self, pixels: Pixels, amount: float) -> Pixels:
        layer = 0.82 * covering(self._spots, amount, softness=0.5)[..., None]
        return np.asarray(pixels * (1 - layer) + rgb(0.13, 0.14, 0.12) * layer, dtype=np.float32)

    def _overgrown_by_lichen(self, pixels: Pixels, amount: float) -> Pixels:
        if amount <= 0:
            return pixels
        layer = covering(self._rosettes, amount, softness=0.2)[..., None]
        rim = covering(self._rosettes, min(1.0, amount + 0.05), softness=0.2)[..., None]
        tint = smoothstep(0.5 + 0.35 * self._growth)[..., None]
        crust = rgb(0.66, 0.7, 0.58) * (1 - tint) + rgb(0.74, 0.64, 0.26) * tint
        crust = crust * (0.55 + 0.55 * self._grass[..., None])
        return np.asarray(pixels * (1 - 0.4 * rim) * (1 - layer) + crust * layer, dtype=np.float32)

    def _mossy(self, pixels: Pixels, amount: float) -> Pixels:
        if amount <= 0:
            return pixels
        shade = covering(self._growth, amount * 1.12, softness=0.5)[..., None]
        layer = covering(self._growth, amount, softness=0.18)[..., None]
        tint = 0.5 + 0.22 * self._blotches[..., None]
        green = rgb(0.12, 0.2, 0.05) + self._grass[..., None] * (rgb(0.28, 0.46, 0.12) + rgb(0.26, 0.1, 0.02) * tint)
        return np.asarray(pixels * (1 - 0.55 * shade) * (1 - layer) + green * layer, dtype=np.float32)


def effects(place: str, age: float) -> dict[str, float]:
    """What ``place`` has done to a print by ``age``: effect -> amount."""
    return {name: course.at(age) for name, course in PLACES[place].items()}


def bleached(pixels: Pixels, amount: float) -> Pixels:
    """Sunlight on printing inks: yellow goes first, then magenta, cyan last, so that a poster turns pale and blue."""
    ink = 1 - pixels
    kept = 1 - amount * rgb(0.62, 0.88, 0.97)
    return np.asarray(1 - ink * kept - amount * rgb(0.1, 0.03, 0.0), dtype=np.float32)


def yellowed(pixels: Pixels, amount: float) -> Pixels:
    """Old paper and varnish: colours go brown, white goes amber, contrast goes down."""
    grey = pixels @ rgb(0.3, 0.59, 0.11)
    brown = (0.12 + 0.72 * grey[..., None]) * rgb(1.0, 0.8, 0.5)
    return np.asarray(pixels * (1 - 0.85 * amount) + brown * (0.85 * amount), dtype=np.float32)


def _to_the_edges(shape: tuple[int, int]) -> Field:
    """0 in the middle of a sheet, 1 at its edges, more in the corners."""
    rows, columns = (np.abs(np.linspace(-1, 1, side, dtype=np.float32)) for side in shape)
    return np.asarray(0.5 * (rows[:, None] ** 3 + columns[None, :] ** 3) * 1.6, dtype=np.float32)
