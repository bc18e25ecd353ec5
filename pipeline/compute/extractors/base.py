"""What every extractor is: its specification, its settings and how a network becomes one."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from hashlib import blake2b
from json import dumps
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.compute.extractors.preprocessing import Preprocessing, prepare

Pixels = NDArray[np.uint8]
Vectors = NDArray[np.float32]
Precision = Literal["float32", "float16", "bfloat16"]

CPU_BATCH = 16
"""Images at a time on a CPU.

1x1 convolutions leave oneDNN's fast path below 16 images and one thread, and larger batches only take memory
(PERFORMANCE.md B, traps 1 and 2).
"""


@dataclass(frozen=True)
class Settings:
    """What a builder is told beside the specification.

    Attributes:
        weights: path or URI of a weights file; None for the published weights.
        precision: of the arithmetic; part of the digest.
        device: ``cpu`` or ``cuda``; not part of the digest, for results agree to a stated tolerance.
        threads: CPU threads of the forward pass.
        fitted: the visual words (n, 128) of an extractor that is fitted to the collection; None for all others.
    """

    weights: str | None = None
    precision: Precision = "float32"
    device: str = "cpu"
    threads: int = 1
    fitted: Vectors | None = None


@dataclass(frozen=True)
class ExtractorSpec:
    """An extractor as its name says it; nothing heavy is loaded to make one.

    Attributes:
        name: as in the configuration, e.g. ``torchvision/vgg16:classifier.3``.
        family: key of the registry.
        model: the network within the family; empty where the family is one network.
        node: where in the network the vector is taken; None for the family's default.
        preprocessing: how an image becomes the network's input.
        published: the file name of the published weights, which holds their hash or version.
        version: raised when the family's code gives other vectors.
    """

    name: str
    family: str
    model: str
    node: str | None
    preprocessing: Preprocessing
    published: str
    version: int

    @property
    def min_side(self) -> int:
        """Pixels the shorter side of an image should have, so that none is invented by enlarging."""
        return self.preprocessing.min_side

    def digest(self, weights: str, precision: Precision) -> str:
        """32 hex digits over all that decides a vector besides the pixels.

        Args:
            weights: hash of the weights' content.
            precision: of the arithmetic.
        """
        parts = asdict(self) | {"weights": weights, "precision": precision}
        del parts["published"]  # the content's hash says it
        return blake2b(dumps(parts, sort_keys=True).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Engine:
    """A network at its one batch shape.

    Attributes:
        run: (batch, h, w, 3) uint8 -> (batch, d) float32.
        dimensions: d.
        at_once: batches that may run at the same time, each in a thread of its own.
    """

    run: Callable[[Pixels], Vectors]
    dimensions: int
    at_once: int = 1


class Prepares(Protocol):
    """What the stage needs of an extractor, or of several as one."""

    dimensions: int
    batch_size: int

    def prepare(self, rgb: Pixels) -> Pixels:
        """``rgb`` (any h, any w, 3) -> what the extractor takes, of one shape for all images.

        Raises:
            Flaw: the image has nothing for it.
        """
        ...

    def __call__(self, images: Pixels) -> Vectors:
        """Prepared images (n, …) uint8 -> (n, d) float32, in the same order."""
        ...


class Extractor(Prepares, Protocol):
    """An image -> vector function with the preparation it needs; ``(n, h, w, 3) uint8 -> (n, d) float32``."""

    spec: ExtractorSpec
    digest: str


class BatchExtractor:
    """A function of a batch, run at one fixed, padded batch shape: a vector does not depend on its company.

    Libraries choose their kernels by shape, so a shape that never changes is what makes an image's vector bit-equal
    in any position and company on one machine (DESIGN.md rule 10).  Padding costs at most one batch a call.

    Attributes:
        batch_size: images that keep the engine busy, a multiple of the batch's.
    """

    def __init__(self, spec: ExtractorSpec, digest: str, engine: Engine, batch_size: int) -> None:
        self.spec = spec
        self.digest = digest
        self.batch_size = batch_size * engine.at_once
        self._engine = engine
        self._batch = batch_size
        self._shape = (spec.preprocessing.height, spec.preprocessing.width, 3)
        self.dimensions = engine.dimensions

    def prepare(self, rgb: Pixels) -> Pixels:
        """Resize and crop ``rgb`` (any h, any w, 3) to the network's input (h, w, 3)."""
        return prepare(rgb, self.spec.preprocessing)

    def __call__(self, images: Pixels) -> Vectors:
        """(n, h, w, 3) uint8 -> (n, d) float32, in the same order.

        Raises:
            ValueError: the images are not the network's input size.
        """
        if images.shape[1:] != self._shape or images.dtype != np.uint8:
            raise ValueError(f"{self.spec.name}: got {images.shape} {images.dtype}, expected (n, {self._shape}) uint8")
        batches = [images[start : start + self._batch] for start in range(0, len(images), self._batch)]
        if self._engine.at_once == 1 or len(batches) < 2:
            vectors = [self._run(batch) for batch in batches]
        else:
            with ThreadPoolExecutor(self._engine.at_once, "network") as pool:
                vectors = list(pool.map(self._run, batches))
        return np.concatenate([np.empty((0, self.dimensions), np.float32), *vectors])

    def _run(self, found: Pixels) -> Vectors:
        batch = found
        if len(found) < self._batch:
            batch = np.zeros((self._batch, *self._shape), dtype=np.uint8)
            batch[: len(found)] = found
        return self._engine.run(batch)[: len(found)]
