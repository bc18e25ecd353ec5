"""``classical/<descriptor>[:settings]``: descriptors that were designed, not learned; no weights, no network.

All see the whole image squashed to one square, so that a subject at the edge is not cropped away.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.compute.extractors.base import (
    CPU_BATCH,
    BatchExtractor,
    Engine,
    Extractor,
    ExtractorSpec,
    Pixels,
    Settings,
    Vectors,
)
from pipeline.compute.extractors.options import Read, choice, integer, read_options
from pipeline.compute.extractors.preprocessing import Preprocessing
from pipeline.compute.extractors.raw_pixels import grey
from pipeline.errors import UserError

_VERSION = 1
_SCALES = ((8, 1.0), (16, 2.0), (24, 3.0))
"""Points and radius of local binary patterns, as Ojala et al. combine them."""

Describe = Callable[[Pixels], npt.NDArray[np.floating]]
"""One image (h, w, 3) uint8 -> its vector (d,)."""


@dataclass(frozen=True)
class Descriptor:
    """A way to describe an image.

    Attributes:
        side: of the square that it sees, pixels.
        options: settings in its name: key -> how it is read, and its default.
        dimensions: settings -> length of a vector.
        make: settings -> the function of one image; imports what it needs.
    """

    side: int
    options: Mapping[str, tuple[Read, Any]]
    dimensions: Callable[[Mapping[str, Any]], int]
    make: Callable[[Mapping[str, Any]], Describe]


def color_histogram(options: Mapping[str, Any]) -> Describe:
    """Joint histogram of three channels (Swain and Ballard, 1991), as square roots of its shares.

    The dot product of two such vectors is the Bhattacharyya coefficient of the two histograms; their length is 1.
    """
    import cv2

    bins, space = options["bins"], options["space"]
    codes = {"hsv": cv2.COLOR_RGB2HSV_FULL, "lab": cv2.COLOR_RGB2LAB}

    def describe(image: Pixels) -> npt.NDArray[np.floating]:
        channels = cv2.cvtColor(image, codes[space]) if space in codes else image
        cells = (channels.reshape(-1, 3).astype(np.int64) * bins) >> 8
        joint = (cells[:, 0] * bins + cells[:, 1]) * bins + cells[:, 2]
        return np.asarray(np.sqrt(np.bincount(joint, minlength=bins**3) / len(joint)))

    return describe


def hog(options: Mapping[str, Any]) -> Describe:
    """Histograms of oriented gradients (Dalal and Triggs, 2005): 9 orientations, blocks of 2 x 2 cells, L2-Hys."""
    from skimage.feature import hog as by_skimage

    cell = options["cell"]

    def describe(image: Pixels) -> npt.NDArray[np.floating]:
        found: npt.NDArray[np.floating] = by_skimage(
            grey(image), orientations=9, pixels_per_cell=(cell, cell), cells_per_block=(2, 2), block_norm="L2-Hys"
        )
        return found

    return describe


def lbp(options: Mapping[str, Any]) -> Describe:
    """Uniform local binary patterns (Ojala, Pietikäinen and Mäenpää, 2002) at three radii, a histogram a cell.

    Cells as for faces (Ahonen, Hadid and Pietikäinen, 2006); square roots of shares, as for colours.
    """
    from skimage.feature import local_binary_pattern

    cells = options["grid"]

    def describe(image: Pixels) -> npt.NDArray[np.floating]:
        luma = grey(image)
        height, width = luma.shape
        cell = (np.arange(height) * cells // height)[:, None] * cells + np.arange(width) * cells // width
        found = []
        for points, radius in _SCALES:
            patterns = local_binary_pattern(luma, points, radius, "uniform").astype(np.int64)  # type: ignore[no-untyped-call]  # scikit-image types it not
            kinds = points + 2
            counts = np.bincount((cell * kinds + patterns).reshape(-1), minlength=cells * cells * kinds)
            found.append(np.sqrt(counts / luma.size))
        return np.concatenate(found)

    return describe


DESCRIPTORS: dict[str, Descriptor] = {
    "colour_histogram": Descriptor(
        256,
        {"bins": (integer(2, 16), 8), "space": (choice("hsv", "lab", "rgb"), "hsv")},
        lambda options: int(options["bins"] ** 3),
        color_histogram,
    ),
    "hog": Descriptor(
        128, {"cell": (integer(4, 64), 16)}, lambda options: 4 * 9 * (128 // int(options["cell"]) - 1) ** 2, hog
    ),
    "lbp": Descriptor(
        128,
        {"grid": (integer(1, 16), 4)},
        lambda options: int(options["grid"] ** 2) * sum(points + 2 for points, _ in _SCALES),
        lbp,
    ),
}


def parse(name: str, rest: str) -> ExtractorSpec:
    """The specification of ``classical/<rest>``.

    Raises:
        UserError: there is no such descriptor, or no such setting; names the nearest.
    """
    model, _, options = rest.partition(":")
    if model not in DESCRIPTORS:
        known = [*DESCRIPTORS, "bag_of_sift"]
        near = get_close_matches(model, known, n=1, cutoff=0.0)[0]
        raise UserError(f"fingerprint.extractor: found {name}; nearest: classical/{near}; known are {', '.join(known)}")
    read_options(name, options, DESCRIPTORS[model].options)
    side = DESCRIPTORS[model].side
    return ExtractorSpec(name, "classical", model, options or None, Preprocessing(side, side), "", _VERSION)


def build(spec: ExtractorSpec, digest: str, settings: Settings) -> Extractor:
    """The extractor."""
    del settings
    describe = DESCRIPTORS[spec.model].make(_options(spec))

    def run(images: Pixels) -> Vectors:
        return np.stack([describe(image) for image in images]).astype(np.float32)

    return BatchExtractor(spec, digest, Engine(run, dimensions(spec)), CPU_BATCH)


def dimensions(spec: ExtractorSpec) -> int:
    """Length of a vector."""
    return DESCRIPTORS[spec.model].dimensions(_options(spec))


def _options(spec: ExtractorSpec) -> dict[str, Any]:
    return read_options(spec.name, spec.node, DESCRIPTORS[spec.model].options)
