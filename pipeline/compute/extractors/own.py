"""Your own: ``package.module.function[:size=WIDTHxHEIGHT]``, a function ``(n, h, w, 3) uint8 -> (n, d) float32``.

It is given 16 images at a time (the last are black where there are no more), so that what it makes of an image cannot
come to depend on how many there were.  The module's source is part of the digest: an edit makes its vectors stale.
"""

import sys
from collections.abc import Callable
from hashlib import blake2b
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

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
from pipeline.compute.extractors.options import read_options, size
from pipeline.compute.extractors.preprocessing import Preprocessing
from pipeline.errors import UserError

_VERSION = 1
_OPTIONS = {"size": (size, (224, 224))}


def parse(name: str, rest: str) -> ExtractorSpec:
    """The specification; the module is not imported.

    Raises:
        UserError: a setting that there is not.
    """
    width, height = read_options(name, rest, _OPTIONS)["size"]
    path = name.partition(":")[0]
    return ExtractorSpec(name, "own", path, rest or None, Preprocessing(height, width), "", _VERSION)


def weights_hash(spec: ExtractorSpec) -> str:
    """Hash of the module's source; imports only the packages above it.

    Raises:
        UserError: there is no such module on Python's path.
    """
    module = spec.model.rpartition(".")[0]
    try:
        found = find_spec(module)
    except (ImportError, ValueError):
        found = None
    if found is None or found.origin is None:
        raise UserError(
            f"fingerprint.extractor: found {spec.name}, and no module {module} on Python's path\n"
            "name a function as package.module.function, and put its folder into PYTHONPATH (on a cluster: everywhere)"
        )
    return blake2b(Path(found.origin).read_bytes(), digest_size=16).hexdigest()


def dimensions(spec: ExtractorSpec) -> int:
    """Length of a vector; runs the function once."""
    return build(spec, "", Settings()).dimensions


def build(spec: ExtractorSpec, digest: str, settings: Settings) -> Extractor:
    """The extractor; the function is tried on one batch of black images, for the length of a vector.

    Raises:
        UserError: the module has no such function, or what it returns is no (n, d) float32.
    """
    del settings
    function = _function(spec)
    how = spec.preprocessing

    def run(images: Pixels) -> Vectors:
        found = function(images)
        fits = isinstance(found, np.ndarray) and found.dtype == np.float32 and found.ndim == 2
        if not fits or len(found) != len(images):
            raise UserError(
                f"fingerprint.extractor: {spec.model} returned {_shown(found)}, "
                f"expected an array ({len(images)}, d) float32 for {images.shape} uint8"
            )
        vectors: Vectors = found
        return vectors

    probe = run(np.zeros((CPU_BATCH, how.height, how.width, 3), dtype=np.uint8))
    return BatchExtractor(spec, digest, Engine(run, probe.shape[1]), CPU_BATCH)


def _function(spec: ExtractorSpec) -> Callable[[Pixels], Any]:
    module, _, name = spec.model.rpartition(".")
    found = getattr(sys.modules.get(module) or import_module(module), name, None)
    if not callable(found):
        raise UserError(f"fingerprint.extractor: found {spec.name}; {module} has no function {name}")
    function: Callable[[Pixels], Any] = found
    return function


def _shown(found: object) -> str:
    return f"{found.shape} {found.dtype}" if isinstance(found, np.ndarray) else type(found).__name__
