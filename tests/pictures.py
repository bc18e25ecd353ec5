"""Small real image files for tests, made by Pillow."""

import io
from typing import Any

import numpy as np
from PIL import Image


def photo(width: int = 64, height: int = 48, seed: int = 0) -> Image.Image:
    """A smooth random picture with some noise: compresses like a photograph, and no two places look alike."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), dtype=np.int16)
    noisy = smooth + rng.integers(-6, 7, smooth.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def quadrants(width: int = 64, height: int = 32) -> Image.Image:
    """Red, green over blue, white: every turn and mirror of it looks different."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[: height // 2, : width // 2] = (255, 0, 0)
    pixels[: height // 2, width // 2 :] = (0, 255, 0)
    pixels[height // 2 :, : width // 2] = (0, 0, 255)
    pixels[height // 2 :, width // 2 :] = (255, 255, 255)
    return Image.fromarray(pixels)


def saved(image: Image.Image, name: str = "JPEG", **options: Any) -> bytes:
    """The bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def exif(orientation: int | None = None, gps: dict[int, Any] | None = None, **camera: str) -> Image.Exif:
    """EXIF with tags by their number, e.g. ``exif(t36867="2024:01:05 10:15:30")``."""
    block = Image.Exif()
    if orientation is not None:
        block[274] = orientation
    for tag, text in camera.items():
        number = int(tag[1:])
        (block if number == 306 else block.get_ifd(0x8769))[number] = text
    if gps:
        block.get_ifd(0x8825).update(gps)
    return block
