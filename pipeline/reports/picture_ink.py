"""Drawing primitives for the pictures: everything in final pixels, drawn twice as large and reduced at the end."""

import colorsys
import io
from collections.abc import Sequence
from functools import cache

from PIL import Image, ImageDraw, ImageFont, ImageOps, UnidentifiedImageError

Colour = tuple[int, int, int]
Point = tuple[float, float]

PAPER: Colour = (250, 249, 246)
INK: Colour = (38, 40, 46)
QUIET: Colour = (128, 130, 138)
FAINT: Colour = (226, 225, 220)

THREAD = 2.5
"""Width of a track's line, in final pixels."""

SCALE = 2
"""Oversampling: Pillow draws lines and curves without anti-aliasing."""

GOLDEN_ANGLE = 0.61803398875
"""Hues this share of the circle apart never come near each other's neighbours, however many there are."""


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own scalable font, for a height of ``size`` final pixels."""
    return ImageFont.load_default(size * SCALE)


def track_colour(index: int) -> Colour:
    """A colour for the row ``index``: dark enough for lines on white, neighbours clearly apart."""
    hue = (0.58 + index * GOLDEN_ANGLE) % 1.0
    red, green, blue = colorsys.hls_to_rgb(hue, 0.44 + 0.06 * (index % 3 - 1), 0.52)
    return (round(255 * red), round(255 * green), round(255 * blue))


def mixed(colour: Colour, share: float, ground: Colour = PAPER) -> Colour:
    """``share`` of a colour on a ground."""
    red, green, blue = (round(share * a + (1 - share) * b) for a, b in zip(colour, ground, strict=True))
    return (red, green, blue)


class Canvas:
    """A sheet of paper of ``width`` x ``height`` final pixels; coordinates are final pixels, y downwards."""

    def __init__(self, width: int, height: int) -> None:
        self._image = Image.new("RGB", (width * SCALE, height * SCALE), PAPER)
        self._draw = ImageDraw.Draw(self._image)

    def finished(self) -> Image.Image:
        """The picture, reduced to its final size."""
        return self._image.reduce(SCALE)

    def line(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """A polyline with round joints and ends."""
        scaled = [(x * SCALE, y * SCALE) for x, y in points]
        self._draw.line(scaled, fill=colour, width=round(width * SCALE), joint="curve")
        for x, y in (points[0], points[-1]):
            self.dot((x, y), width / 2, colour)

    def dashes(self, start: Point, end: Point, colour: Colour, width: float) -> None:
        """A level dashed line from left to right."""
        x = start[0]
        while x < end[0]:
            self.line([(x, start[1]), (min(x + 4.0, end[0]), start[1])], colour, width)
            x += 11.0

    def dot(self, middle: Point, radius: float, colour: Colour) -> None:
        """A filled circle."""
        self._draw.ellipse(self._box(middle, radius), fill=colour)

    def ring(self, middle: Point, radius: float, colour: Colour, width: float) -> None:
        """A circle filled with paper."""
        self._draw.ellipse(self._box(middle, radius), fill=PAPER, outline=colour, width=round(width * SCALE))

    def begin(self, at: Point, colour: Colour) -> None:
        """The mark of a birth: a ring."""
        self.ring(at, 5, colour, THREAD)

    def stop(self, at: Point, colour: Colour) -> None:
        """The mark of an end: a bar across the line."""
        x, y = at
        self.line([(x, y - 7), (x, y + 7)], colour, 3.5)

    def arrow(self, tip: Point, colour: Colour) -> None:
        """The mark of a line that goes on."""
        x, y = tip
        self.line([(x - 6, y - 5), (x, y), (x - 6, y + 5)], colour, THREAD)

    def bend(self, start: Point, end: Point, colour: Colour, width: float) -> None:
        """An S-curve (a cubic Bézier curve with level ends) from start to end; paper around it where it crosses."""
        reach = (end[0] - start[0]) * 0.9
        handles = (start, (start[0] + reach, start[1]), (end[0] - reach, end[1]), end)
        points = [_bezier(handles, step / 40) for step in range(41)]
        self.line(points[10:31], PAPER, width + 3)
        self.line(points, colour, width)

    def text(self, at: Point, words: str, size: int, colour: Colour, anchor: str = "lm", bold: float = 0.0) -> None:
        """Words; ``anchor`` as Pillow has it; ``bold`` is the thickening in final pixels (the font has one weight)."""
        self._draw.text(
            (at[0] * SCALE, at[1] * SCALE),
            words,
            fill=colour,
            font=font(size),
            anchor=anchor,
            stroke_width=bold * SCALE,
            stroke_fill=colour,
        )

    def pill(self, middle: Point, words: str, size: int, colour: Colour) -> None:
        """A short label: white words on a rounded bar."""
        half = width_of(words, size) / 2 + 6
        x, y = middle
        box = tuple(SCALE * value for value in (x - half, y - size * 0.82, x + half, y + size * 0.82))
        self._draw.rounded_rectangle(box, radius=size * 0.82 * SCALE, fill=colour, outline=PAPER, width=SCALE)
        self.text((x, y), words, size, (255, 255, 255), "mm")

    def picture(self, at: Point, side: int, data: bytes | None, rim: Colour) -> None:
        """A square picture with round corners and a coloured rim; an empty tile where there is nothing to see."""
        x, y = round(at[0] * SCALE), round(at[1] * SCALE)
        pixels = side * SCALE
        radius = max(4, side // 12) * SCALE
        mask = Image.new("L", (pixels, pixels), 0)
        ImageDraw.Draw(mask).rounded_rectangle((0, 0, pixels - 1, pixels - 1), radius, fill=255)
        self._image.paste(_tile(data, pixels), (x, y), mask)
        edge = SCALE
        self._draw.rounded_rectangle(
            (x - edge, y - edge, x + pixels + edge - 1, y + pixels + edge - 1),
            radius + edge,
            outline=rim,
            width=round(1.75 * SCALE),
        )

    def count(self, corner: Point, words: str, size: int) -> None:
        """A small figure on a dark ground in the lower right corner of a picture."""
        width = width_of(words, size) + 7
        x, y = corner
        box = tuple(SCALE * value for value in (x - width, y - size - 4, x, y))
        self._draw.rounded_rectangle(box, radius=4 * SCALE, fill=INK)
        self.text((x - width / 2, y - (size + 4) / 2), words, size, (255, 255, 255), "mm")

    def _box(self, middle: Point, radius: float) -> tuple[float, float, float, float]:
        x, y = middle
        return ((x - radius) * SCALE, (y - radius) * SCALE, (x + radius) * SCALE, (y + radius) * SCALE)


def width_of(words: str, size: int) -> float:
    """Width of words in final pixels."""
    return float(font(size).getlength(words)) / SCALE


def _bezier(handles: Sequence[Point], t: float) -> Point:
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
    x, y = (sum(weight * point[axis] for weight, point in zip(weights, handles, strict=True)) for axis in (0, 1))
    return (x, y)


def _tile(data: bytes | None, side: int) -> Image.Image:
    """The middle square of an image file, ``side`` pixels wide; a plain tile if there is none or it is broken."""
    if data is not None:
        try:
            with Image.open(io.BytesIO(data)) as opened:
                opened.draft("RGB", (side, side))
                upright = ImageOps.exif_transpose(opened).convert("RGB")
            return ImageOps.fit(upright, (side, side), Image.Resampling.LANCZOS)
        except (OSError, UnidentifiedImageError):
            pass
    return Image.new("RGB", (side, side), FAINT)
