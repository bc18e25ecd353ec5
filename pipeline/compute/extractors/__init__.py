"""Extractors: an image -> a vector.  The registry is a dict; adding a family is one module and one entry.

Names, digests and what an extractor needs are known without loading torch; :func:`build` loads it, in a worker.
"""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

from pipeline.compute.extractors import efficientnet_lite, torchvision_models, weights
from pipeline.compute.extractors.base import Extractor, ExtractorSpec, Pixels, Precision, Settings, Vectors
from pipeline.errors import UserError

__all__ = [
    "FAMILIES",
    "Extractor",
    "ExtractorSpec",
    "Family",
    "Pixels",
    "Precision",
    "Settings",
    "Vectors",
    "build",
    "digest",
    "resolve",
    "weights_hash",
]


@dataclass(frozen=True)
class Family:
    """A kind of extractor.

    Attributes:
        parse: (whole name, what follows ``family/``) -> specification; light.
        weights_hash: what tells the published weights from others; light.
        build: (specification, digest, settings) -> extractor; loads what it needs.
    """

    parse: Callable[[str, str], ExtractorSpec]
    weights_hash: Callable[[ExtractorSpec], str]
    build: Callable[[ExtractorSpec, str, Settings], Extractor]


FAMILIES: dict[str, Family] = {
    "efficientnet_lite0": Family(efficientnet_lite.parse, efficientnet_lite.weights_hash, efficientnet_lite.build),
    "torchvision": Family(torchvision_models.parse, torchvision_models.weights_hash, torchvision_models.build),
}


def resolve(name: str) -> ExtractorSpec:
    """What ``name`` stands for: ``family`` or ``family/model[:node]``; loads nothing heavy.

    Raises:
        UserError: there is no such extractor; names the nearest.
    """
    family, _, rest = name.partition("/")
    if family not in FAMILIES:
        near = get_close_matches(family, FAMILIES, n=1, cutoff=0.0)[0]
        raise UserError(
            f"fingerprint.extractor: found {name!r}; nearest: {near}; known are {', '.join(sorted(FAMILIES))}"
        )
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
        UserError: the weights file cannot be read.
    """
    return weights.content_hash(source) if source else FAMILIES[spec.family].weights_hash(spec)


def build(spec: ExtractorSpec, settings: Settings) -> Extractor:
    """Load the extractor; for a worker, once.

    Raises:
        UserError: no such node, no weights, weights of another network, or a device that is not there.
    """
    return FAMILIES[spec.family].build(spec, digest(spec, settings.weights, settings.precision), settings)
