"""Ivy that creeps over a print from one side: stems are drawn once, leaves come out and grow with age."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from pipeline.sample.fields import generator

OVERSAMPLE = 2
"""Drawn twice as large and reduced, for smooth edges."""

LOBES = np.array(
    [(0, 1.0), (0.28, 0.45), (0.9, 0.5), (0.5, 0.02), (0.72, -0.5), (0.16, -0.42), (0, -0.3)], dtype=np.float64
)
"""Half the outline of an ivy leaf, tip first, in leaf lengths; mirrored for the other half."""


@dataclass(frozen=True)
class Leaf:
    """A leaf: where (pixels), how large (pixels), turned by how much (radians), out from which age on, how green."""

    x: float
    y: float
    size: float
    turn: float
    born: float
    shade: float


class Ivy:
    """The leaves of one subject's corner of the wall, over a scene of ``size`` (width, height) pixels."""

    def __init__(self, seed: int, subject: str, size: tuple[int, int]) -> None:
        rng = generator(seed, "ivy", subject)
        self._size = size
        self._from_left = bool(rng.random() < 0.5)
        self._leaves = sorted(
            (leaf for _ in range(20) for leaf in self._stem(rng)), key=lambda leaf: (-leaf.born, leaf.x, leaf.y)
        )

    def _stem(self, rng: np.random.Generator) -> list[Leaf]:
        width, height = self._size
        x, y = 0.02 * width, float(rng.uniform(0.1, 1.0)) * height
        heading = float(rng.uniform(-0.5, 0.2))
        start = float(rng.uniform(0.0, 0.3))
        leaves = []
        for step in range(36):
            heading += float(rng.normal(0, 0.28)) - 0.15 * heading
            x += 0.024 * width * np.cos(heading)
            y += 0.024 * width * np.sin(heading)
            side = float(rng.normal(0, 0.022)) * width
            leaves.append(
                Leaf(
                    x=(x if self._from_left else width - x),
                    y=y + side,
                    size=float(rng.uniform(0.020, 0.034)) * width,
                    turn=float(rng.uniform(-2.4, 2.4)) + np.pi,
                    born=start + 0.0195 * step,
                    shade=float(rng.uniform(0.55, 1.1)),
                )
            )
        return leaves

    def over(self, scene: Image.Image, age: float) -> Image.Image:
        """``scene`` (RGB) with the ivy of ``age`` over it, and the ivy's shadow."""
        width, height = (OVERSAMPLE * side for side in self._size)
        leaves = Image.new("RGBA", (width, height), (30, 50, 24, 0))
        draw = ImageDraw.Draw(leaves)
        for leaf in self._leaves:
            grown = min(1.0, (age - leaf.born) / 0.12)
            if grown > 0:
                _draw_leaf(draw, leaf, grown)
        leaves = leaves.reduce(OVERSAMPLE)
        shadow = leaves.getchannel("A").filter(ImageFilter.BoxBlur(3)).point(lambda value: int(0.6 * value))
        dark = Image.new("RGB", scene.size, (12, 14, 12))
        shaded = Image.composite(dark, scene, _moved(shadow, 3, 5))
        shaded.paste(leaves, (0, 0), leaves)
        return shaded


def _draw_leaf(draw: ImageDraw.ImageDraw, leaf: Leaf, grown: float) -> None:
    outline = np.concatenate([LOBES, LOBES[::-1] * (-1, 1)]) * (leaf.size * grown)
    cosine, sine = np.cos(leaf.turn), np.sin(leaf.turn)
    turned = outline @ np.array([[cosine, sine], [-sine, cosine]]) + (leaf.x, leaf.y)
    points = [(float(x), float(y)) for x, y in OVERSAMPLE * turned]
    green = tuple(int(leaf.shade * value) for value in (62, 104, 40))
    vein = tuple(int(leaf.shade * value) for value in (120, 156, 88))
    draw.polygon(points, fill=(*green, 255), outline=(*(int(0.6 * value) for value in green), 255))
    draw.line([points[0], points[len(LOBES) - 1]], fill=(*vein, 255), width=OVERSAMPLE)


def _moved(mask: Image.Image, right: int, down: int) -> Image.Image:
    moved = Image.new("L", mask.size, 0)
    moved.paste(mask, (right, down))
    return moved
