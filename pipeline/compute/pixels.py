"""RGB pixels: turned upright, shrunk, and encoded as the JPEG that later stages read."""

import io
import threading
from typing import Literal

import numpy as np
import numpy.typing as npt
import simplejpeg

Pixels = npt.NDArray[np.uint8]
"""Height x width x 3, RGB, 0 to 255."""

MAX_ELONGATION = 16
"""The longer side of a shrunken image is at most this many times the shorter side that was asked for.

A panorama has 2 to 10.  Without a bound 100 x 1 000 000 pixels would be kept whole, since the shorter side is small.
"""


class Scratch:
    """Memory that one image after another is decoded into.

    A fresh array an image costs a third of the decoding in page faults.  What was decoded into it is gone with the
    next image, so it is for one thread, and for pixels that are shrunk at once.
    """

    def __init__(self) -> None:
        self._memory = bytearray()

    def of(self, size: int) -> memoryview | None:
        """``size`` bytes with any content; None for an image too large to hold on to its memory."""
        if size > _LARGEST_SCRATCH:
            return None
        if size > len(self._memory):
            self._memory = bytearray(size)
        return memoryview(self._memory)[:size]


_LARGEST_SCRATCH = 2**26
"""Bytes: 22 megapixels."""


def upright(stored: Pixels, orientation: int) -> Pixels:
    """Turn and mirror stored pixels by EXIF orientation 1 to 8 (Exif 2.32, tag 274); the result is contiguous."""
    turned = stored.transpose(1, 0, 2) if orientation >= 5 else stored
    vertical = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    horizontal = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return np.ascontiguousarray(turned[vertical, horizontal])


def shrink(rgb: Pixels, image_px: int) -> Pixels:
    """Shrink so that the shorter side has ``image_px`` pixels; never enlarge.

    The antialiased bilinear filter on uint8 that torchvision's resize calls too: within one grey level of Pillow's
    at a fraction of the cost, on one thread.  Each side keeps at least one pixel, and the longer one has at most
    ``MAX_ELONGATION * image_px`` (an image longer than that is shrunk further, to at least one pixel of width).
    """
    height, width = rgb.shape[:2]
    return resized(rgb, shrunken_size(height, width, image_px))


def resized(rgb: Pixels, size: tuple[int, int], interpolation: Literal["bilinear", "bicubic"] = "bilinear") -> Pixels:
    """``rgb`` with the height and width given, by the same antialiasing kernel; itself if it has them already."""
    if size == rgb.shape[:2]:
        return rgb
    import torch

    if getattr(_calling_thread, "alone", False):
        torch.set_num_threads(1)
    # The kernel is called as torchvision does, without the two CPU-seconds that importing torchvision costs a worker.
    # It is fast for interleaved pixels seen as planes, if the batch is the outermost of them.
    planes = torch.from_numpy(np.require(rgb, requirements=["C", "W"]))[None].permute(0, 3, 1, 2)
    scaled = torch.nn.functional.interpolate(planes, size=size, mode=interpolation, antialias=True, align_corners=False)
    return np.ascontiguousarray(scaled[0].permute(1, 2, 0).numpy())


def resize_in_one_thread() -> None:
    """Let the calling thread resize alone: images are spread over threads, and torch would start more in each."""
    _calling_thread.alone = True


_calling_thread = threading.local()


def shrunken_size(height: int, width: int, image_px: int) -> tuple[int, int]:
    """Height and width after :func:`shrink`; those given if nothing is to be done."""
    short, long = min(height, width), max(height, width)
    scale = min(1.0, image_px / short, MAX_ELONGATION * image_px / long)
    return max(1, round(height * scale)), max(1, round(width * scale))


def encode(rgb: Pixels, quality: int) -> bytes:
    """JPEG of RGB pixels, 4:2:0 as cameras write it."""
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), quality=quality, colorsubsampling="420"))


def encode_png(rgb: Pixels) -> bytes:
    """PNG bytes of an RGB image, lossless; the same for the same pixels."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, format="PNG")
    return buffer.getvalue()
