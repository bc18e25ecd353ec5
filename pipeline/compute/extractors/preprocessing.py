"""An image of any size -> the fixed input of a network, on the CPU, in uint8."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

# A longer image is cut at its ends first: enlarging a strip of one pixel by 60 000 would take gigabytes, and the
# centre crop drops the ends anyway.
_MAX_ASPECT = 16


@dataclass(frozen=True)
class Preprocessing:
    """How a network's published weights want their input.

    Attributes:
        height: of the input, pixels.
        width: of the input, pixels.
        resize: what the shorter side is resized to before the centre is cut out, or (height, width) whatever the
            aspect; None: to ``height`` and ``width`` (the whole image is seen, squashed).
        interpolation: always antialiased.
        mean: subtracted from each channel (0 to 255, red green blue).
        std: divides each channel after that.
    """

    height: int
    width: int
    resize: int | tuple[int, int] | None = None
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @property
    def min_side(self) -> int:
        """Pixels on the shorter side below which ``prepare`` would have to enlarge."""
        return self.resize if isinstance(self.resize, int) else max(self.resize or (self.height, self.width))


def prepare(rgb: NDArray[np.uint8], how: Preprocessing) -> NDArray[np.uint8]:
    """Resize, and crop the centre where ``how`` says so.

    The values are those of ``torchvision.transforms.v2.functional.resize(uint8, antialias=True)`` and ``center_crop``
    (a test compares them), without torchvision's import, which costs a worker 3 CPU seconds and 160 MB.

    Args:
        rgb: (any h, any w, 3) uint8, both sides at least 1.
        how: the network's preprocessing.

    Returns:
        (height, width, 3) uint8, contiguous.
    """
    if how.resize is None:
        return _resize(rgb, how.height, how.width, how)
    if isinstance(how.resize, int):
        rgb = _cut_ends(rgb)
        height, width = rgb.shape[:2]
        shorter = min(height, width)
        # torchvision truncates the longer side.
        tall, wide = int(how.resize * height / shorter), int(how.resize * width / shorter)
    else:
        tall, wide = how.resize
    resized = _resize(rgb, tall, wide, how)
    top, left = round((tall - how.height) / 2.0), round((wide - how.width) / 2.0)
    return np.ascontiguousarray(resized[top : top + how.height, left : left + how.width])


def _cut_ends(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    most = _MAX_ASPECT * min(rgb.shape[:2])
    top, left = (max(0, (side - most) // 2) for side in rgb.shape[:2])
    return rgb[top : top + most, left : left + most]


def _resize(rgb: NDArray[np.uint8], height: int, width: int, how: Preprocessing) -> NDArray[np.uint8]:
    from pipeline.compute.pixels import resized

    return np.ascontiguousarray(resized(rgb, (height, width), how.interpolation))
