"""``raw_pixels[:size=WIDTHxHEIGHT][:color=grey|rgb]``: the image itself, squashed to one size, as a vector.

The oldest fingerprint of faces (eigenfaces: Turk and Pentland, 1991), and the baseline of the rest.
"""

import numpy as np

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
from pipeline.compute.extractors.options import choice, read_options, size
from pipeline.compute.extractors.preprocessing import Preprocessing

_VERSION = 1
_OPTIONS = {"size": (size, (32, 32)), "color": (choice("rgb", "grey"), "rgb")}
# ITU-R BT.601 luma in 16-bit fixed point, as Pillow's conversion to "L": it sums to one, so grey stays grey.
_LUMA = np.array([19595, 38470, 7471], dtype=np.uint32)
_HALF = 1 << 15


def parse(name: str, rest: str) -> ExtractorSpec:
    """The specification.

    Raises:
        UserError: a setting that there is not.
    """
    width, height = read_options(name, rest, _OPTIONS)["size"]
    return ExtractorSpec(name, "raw_pixels", "", rest or None, Preprocessing(height, width), "", _VERSION)


def build(spec: ExtractorSpec, digest: str, settings: Settings) -> Extractor:
    """The extractor."""
    del settings
    as_grey = _as_grey(spec)

    def run(images: Pixels) -> Vectors:
        rows = grey(images) if as_grey else images
        vectors: Vectors = rows.reshape(len(images), -1).astype(np.float32) / np.float32(255)
        return vectors

    return BatchExtractor(spec, digest, Engine(run, dimensions(spec)), CPU_BATCH)


def dimensions(spec: ExtractorSpec) -> int:
    """Length of a vector."""
    return spec.preprocessing.height * spec.preprocessing.width * (1 if _as_grey(spec) else 3)


def _as_grey(spec: ExtractorSpec) -> bool:
    return bool(read_options(spec.name, spec.node, _OPTIONS)["color"] == "grey")


def grey(images: Pixels) -> Pixels:
    """Luma (..., 3) uint8 -> (...) uint8, the values of Pillow's ``convert("L")``."""
    found: Pixels = ((images.astype(np.uint32) @ _LUMA + _HALF) >> 16).astype(np.uint8)
    return found
