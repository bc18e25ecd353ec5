"""Hanging prints on the wall: from a view of the script to a scene that a camera can look at."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from pipeline.sample.ageing import Sheet, Weathering, effects
from pipeline.sample.fields import fractal, generator, resized, rgb
from pipeline.sample.ivy import Ivy
from pipeline.sample.subjects import paper, texture
from pipeline.sample.world import View

Pixels = NDArray[np.float32]

FRAME = (496, 372)
"""Width and height of a photograph; turned for an upright print."""

FILL = 0.86
"""How much of the frame the print takes up, along the side that is tighter."""

AROUND = 1.45
"""A scene's sides in frames: the room that a turned, wider or shifted view needs."""

TEAR_AT = 0.58
"""Where a print tears in two, as a share of its width: the left piece is the larger."""


class Wall:
    """All that stays the same from date to date; may be used from several threads, and gives the same scenes."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._brick = texture("brick").T
        self._grass = texture("grass")
        self._papers: dict[str, Pixels] = {}
        self._weathering: dict[str, Weathering] = {}
        self._ivy: dict[str, Ivy] = {}
        self._stretches: dict[tuple[str, tuple[int, int]], Image.Image] = {}

    def scene(self, view: View) -> tuple[Image.Image, tuple[int, int]]:
        """A view as an RGB scene with the print in its middle, and the frame (width, height) to take it in."""
        sheet = _side_by_side([self._part(part.subject, part.place, part.age, part.piece) for part in view.parts])
        height, width = sheet.cover.shape
        frame = FRAME if width >= height else FRAME[::-1]
        scale = FILL * min(frame[0] / width, frame[1] / height)
        sheet = _scaled(sheet, (round(height * scale), round(width * scale)))
        size = (round(AROUND * frame[0]), round(AROUND * frame[1]))
        scene = self._hung(sheet, self._bricks(view.identity, size))
        ivy = max(effects(part.place, part.age).get("ivy", 0.0) for part in view.parts)
        if ivy > 0:
            if view.identity not in self._ivy:
                self._ivy[view.identity] = Ivy(self._seed, view.identity, size)
            scene = self._ivy[view.identity].over(scene, ivy)
        return scene, frame

    def _part(self, subject: str, place: str, age: float, piece: str) -> Sheet:
        if subject not in self._weathering:
            self._papers[subject] = paper(subject)
            self._weathering[subject] = Weathering(self._seed, subject, self._papers[subject].shape[:2], self._grass)
        sheet = self._weathering[subject].sheet(self._papers[subject], age, place)
        return _torn(sheet, piece, self._seed) if piece else sheet

    def _bricks(self, identity: str, size: tuple[int, int]) -> Image.Image:
        """Bare wall, RGB: every subject hangs on a stretch of its own."""
        if (identity, size) not in self._stretches:
            self._stretches[identity, size] = self._laid(identity, size)
        return self._stretches[identity, size]

    def _laid(self, identity: str, size: tuple[int, int]) -> Image.Image:
        rng = generator(self._seed, "bricks", identity)
        width, height = size
        top, left = (int(offset) for offset in rng.integers(0, 512, 2))
        rows, columns = (np.arange(start, start + side) for start, side in ((top, height), (left, width)))
        grey = self._brick[_mirrored(rows)[:, None], _mirrored(columns)[None, :]][..., None]
        tint = 0.5 + 0.15 * fractal(rng, (height, width), octaves=3)[..., None]
        warm = rgb(1.0, 0.72, 0.58) * tint + rgb(0.9, 0.84, 0.78) * (1 - tint)
        return Image.fromarray((255 * np.clip((0.12 + 0.9 * grey) * warm, 0, 1)).astype(np.uint8))

    def _hung(self, sheet: Sheet, bricks: Image.Image) -> Image.Image:
        """The sheet in the middle of the wall, with the soft shadow that it casts to the right and down."""
        height, width = sheet.cover.shape
        left, top = (bricks.width - width) // 2, (bricks.height - height) // 2
        cover = Image.fromarray((255 * sheet.cover).astype(np.uint8))
        shadow = Image.new("L", bricks.size, 0)
        shadow.paste(cover.point(lambda value: int(0.6 * value)), (left + 4, top + 6))
        scene = Image.composite(Image.new("RGB", bricks.size, 0), bricks, shadow.filter(ImageFilter.BoxBlur(4)))
        scene.paste(Image.fromarray((255 * np.clip(sheet.pixels, 0, 1)).astype(np.uint8)), (left, top), cover)
        return scene


def _mirrored(positions: NDArray[np.int64], side: int = 512) -> NDArray[np.int64]:
    """Positions on an endless line that runs to and fro over a texture of ``side`` pixels."""
    turned = positions % (2 * side)
    return np.where(turned < side, turned, 2 * side - 1 - turned)


def _torn(sheet: Sheet, piece: str, seed: int) -> Sheet:
    """One piece of a sheet that tore from top to bottom; the tear shows the white inside of the paper."""
    height, width = sheet.cover.shape
    rng = generator(seed, "tear")
    jag = fractal(rng, (height, 8), cells=(6, 1), octaves=5)[:, :1]
    line = TEAR_AT * width + 0.016 * width * jag
    beyond = (np.arange(width, dtype=np.float32)[None, :] - line) * (1 if piece == "right" else -1)
    cover = sheet.cover * np.clip(beyond, 0, 1)
    inside = (1 - np.clip((beyond - 4) / 2, 0, 1))[..., None]
    pixels = sheet.pixels * (1 - inside) + np.float32(0.93) * inside
    columns = np.flatnonzero((beyond > 0).any(axis=0))
    cut = slice(int(columns[0]), int(columns[-1]) + 1)
    return Sheet(np.asarray(pixels[:, cut], dtype=np.float32), np.asarray(cover[:, cut], dtype=np.float32))


def _side_by_side(sheets: list[Sheet]) -> Sheet:
    """Several sheets at one height in one dark wooden frame; a single sheet stays as it is."""
    if len(sheets) == 1:
        return sheets[0]
    height = max(sheet.cover.shape[0] for sheet in sheets)
    rim = round(0.05 * height)
    even = [_scaled(sheet, (height, round(sheet.cover.shape[1] * height / sheet.cover.shape[0]))) for sheet in sheets]
    width = sum(sheet.cover.shape[1] for sheet in even) + rim * (len(even) + 1)
    wood = np.full((height + 2 * rim, width, 3), 1.0, dtype=np.float32) * rgb(0.2, 0.13, 0.09)
    left = rim
    for sheet in even:
        across = slice(left, left + sheet.cover.shape[1])
        window = wood[rim:-rim, across]
        window += (sheet.pixels - window) * sheet.cover[..., None]
        left = across.stop + rim
    return Sheet(wood, np.ones(wood.shape[:2], dtype=np.float32))


def _scaled(sheet: Sheet, shape: tuple[int, int]) -> Sheet:
    channels = [resized(sheet.pixels[..., channel], shape) for channel in range(3)]
    return Sheet(np.clip(np.stack(channels, axis=-1), 0, 1), np.clip(resized(sheet.cover, shape), 0, 1))
