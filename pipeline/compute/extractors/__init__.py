"""Extractors: an image -> a vector.  The registry is a dict; adding a family is one module and one entry.

Names, digests and what an extractor needs are known without loading torch; :func:`build` loads it, in a worker.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from pipeline.compute.extractors import (
    bag_of_sift,
    classical,
    efficientnet_lite,
    faces_dlib,
    own,
    raw_pixels,
    timm_models,
    torchvision_models,
    weights,
)
from pipeline.compute.extractors.bag_of_sift import Words
from pipeline.compute.extractors.base import Extractor, ExtractorSpec, Pixels, Precision, Prepares, Settings, Vectors
from pipeline.errors import UserError

__all__ = [
    "FAMILIES",
    "Extractor",
    "ExtractorSpec",
    "Family",
    "Pixels",
    "Precision",
    "Prepares",
    "Settings",
    "Vectors",
    "Words",
    "build",
    "digest",
    "is_fitted",
    "resolve",
    "weights_hash",
]


@dataclass(frozen=True)
class Family:
    """A kind of extractor.

    Attributes:
        parse: (whole name, what follows ``family/`` or ``family:``) -> specification; light.
        weights_hash: what tells the published weights from others; light.
        build: (specification, digest, settings) -> extractor; loads what it needs.
        dimensions: length of a vector; light, but for a node of a network: its shapes are then asked.
        weights_file: where published weights lie once they are there; None: they come with an installation, or there
            are none.
        takes_weights: whether a file of weights can be given.
    """

    parse: Callable[[str, str], ExtractorSpec]
    weights_hash: Callable[[ExtractorSpec], str]
    build: Callable[[ExtractorSpec, str, Settings], Extractor]
    dimensions: Callable[[ExtractorSpec], int]
    weights_file: Callable[[ExtractorSpec], Path] | None = None
    takes_weights: bool = False


def _no_weights(spec: ExtractorSpec) -> str:
    del spec
    return ""


FAMILIES: dict[str, Family] = {
    "efficientnet_lite0": Family(
        efficientnet_lite.parse,
        efficientnet_lite.weights_hash,
        efficientnet_lite.build,
        efficientnet_lite.dimensions,
        takes_weights=True,
    ),
    "torchvision": Family(
        torchvision_models.parse,
        torchvision_models.weights_hash,
        torchvision_models.build,
        torchvision_models.dimensions,
        torchvision_models.weights_file,
        takes_weights=True,
    ),
    "timm": Family(
        timm_models.parse,
        timm_models.weights_hash,
        timm_models.build,
        timm_models.dimensions,
        timm_models.weights_file,
        takes_weights=True,
    ),
    "faces": Family(faces_dlib.parse, faces_dlib.weights_hash, faces_dlib.build, faces_dlib.dimensions),
    "classical": Family(classical.parse, _no_weights, classical.build, classical.dimensions),
    bag_of_sift.FAMILY: Family(bag_of_sift.parse, _no_weights, bag_of_sift.build, bag_of_sift.dimensions),
    "raw_pixels": Family(raw_pixels.parse, _no_weights, raw_pixels.build, raw_pixels.dimensions),
    "own": Family(own.parse, own.weights_hash, own.build, own.dimensions),
}
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+(:.*)?")


def resolve(name: str) -> ExtractorSpec:
    """What ``name`` stands for: ``family``, ``family/model[:node]`` or a dotted path; loads nothing heavy.

    Raises:
        UserError: there is no such extractor; names the nearest.
    """
    if _DOTTED.fullmatch(name):
        return FAMILIES["own"].parse(name, name.partition(":")[2])
    family, rest = (*re.split("[/:]", name, maxsplit=1), "")[:2]
    if re.match(r"classical/bag_of_sift(:|$)", name):
        return FAMILIES[bag_of_sift.FAMILY].parse(name, name.partition(":")[2])
    known = sorted({*FAMILIES} - {"own", bag_of_sift.FAMILY})
    if family not in known:
        near = get_close_matches(family, known, n=1, cutoff=0.0)[0]
        raise UserError(f"fingerprint.extractor: found {name!r}; nearest: {near}; known are {', '.join(known)}")
    return FAMILIES[family].parse(name, rest)


def digest(spec: ExtractorSpec, source: str | None, precision: Precision) -> str:
    """32 hex digits over what decides a vector besides the pixels; loads nothing heavy.

    Args:
        spec: the extractor.
        source: a weights file's path or URI, of which the content counts; None for the published weights.
        precision: of the arithmetic.

    Raises:
        UserError: the weights file cannot be read.
    """
    return spec.digest(weights_hash(spec, source), precision)


def weights_hash(spec: ExtractorSpec, source: str | None) -> str:
    """What tells the weights from others: those of a file, or (None) the published ones; loads nothing heavy.

    Raises:
        UserError: the weights file cannot be read, or the extractor has no weights.
    """
    if not source:
        return FAMILIES[spec.family].weights_hash(spec)
    if not FAMILIES[spec.family].takes_weights:
        raise UserError(f"fingerprint.weights: found {source}, and {spec.name} has no weights; leave it out")
    return weights.content_hash(source)


def is_fitted(spec: ExtractorSpec) -> bool:
    """Whether it has to be fitted to the collection first: :attr:`Settings.fitted`."""
    return spec.family == bag_of_sift.FAMILY


def build(spec: ExtractorSpec, settings: Settings) -> Extractor:
    """Load the extractor; for a worker, once.

    Raises:
        UserError: no such node, no weights, weights of another network, or a device that is not there.
    """
    return FAMILIES[spec.family].build(spec, digest(spec, settings.weights, settings.precision), settings)
