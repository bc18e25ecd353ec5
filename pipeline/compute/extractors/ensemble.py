"""Several extractors as one: their vectors side by side, each a block of unit length times the root of its share.

So the squared distance of two such vectors is the weighted mean of the blocks' squared distances, whatever the lengths
and scales of the blocks were.
"""

from collections.abc import Sequence
from hashlib import blake2b
from json import dumps

import numpy as np

from pipeline.compute.extractors.base import Extractor, Pixels, Vectors

_VERSION = 1


class Ensemble:
    """See :class:`pipeline.compute.extractors.base.Extractor`; what it takes is its members' inputs end to end.

    An image that one of them refuses (a photograph without a face) has no vector.
    """

    def __init__(self, members: Sequence[Extractor], weights: Sequence[float]) -> None:
        """``weights``: of the members' squared distances, each above 0; their sum does not matter."""
        self._members = tuple(members)
        self._scales = np.sqrt(np.array(weights) / np.sum(weights)).astype(np.float32)
        self.dimensions = sum(one.dimensions for one in members)
        self.batch_size = max(one.batch_size for one in members)
        self._shapes = [(how.height, how.width, 3) for how in (one.spec.preprocessing for one in members)]
        self._ends = np.cumsum([int(np.prod(shape)) for shape in self._shapes])[:-1]

    def prepare(self, rgb: Pixels) -> Pixels:
        """``rgb`` (any h, any w, 3) -> (bytes,), every member's input."""
        return np.concatenate([one.prepare(rgb).reshape(-1) for one in self._members])

    def __call__(self, images: Pixels) -> Vectors:
        """(n, bytes) uint8 -> (n, d) float32, of length 1, in the same order; a block that is all zeros stays so."""
        inputs = np.split(images, self._ends, axis=1)
        blocks = [
            scale * _unit(one(np.ascontiguousarray(given).reshape(-1, *shape)))
            for one, given, shape, scale in zip(self._members, inputs, self._shapes, self._scales, strict=True)
        ]
        return np.concatenate(blocks, axis=1)


def digest(members: Sequence[str], weights: Sequence[float]) -> str:
    """32 hex digits over the members' digests and shares."""
    shares = [float(weight) / float(sum(weights)) for weight in weights]
    return blake2b(dumps([_VERSION, list(members), shares]).encode(), digest_size=16).hexdigest()


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):  # not finite: the stage makes a failed row of it
        unit: Vectors = (vectors / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)
    return unit
