"""``classical/bag_of_sift[:words=N][:side=PIXELS]``: how often each visual word occurs in an image.

Sivic and Zisserman, Video Google (ICCV 2003); SIFT by Lowe (IJCV 2004, OpenCV's), compared by the Hellinger kernel
(Arandjelović and Zisserman, CVPR 2012: "RootSIFT").  The words are the centers of a k-means over the descriptors of a
sample of the collection: a model that has to be fitted before any image has a vector.
"""

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
from pipeline.compute.extractors.options import integer, read_options
from pipeline.compute.extractors.preprocessing import Preprocessing
from pipeline.compute.extractors.raw_pixels import grey
from pipeline.errors import UserError

Words = npt.NDArray[np.float32]

FAMILY = "bag_of_sift"
LENGTH = 128
"""Numbers of a SIFT descriptor."""

_VERSION = 1
_OPTIONS = {"words": (integer(2, 65536), 256), "side": (integer(32, 1024), 256)}
_MOST = 400
"""Descriptors that are taken of an image: those of the strongest points."""
_ITERATIONS = 25


def parse(name: str, rest: str) -> ExtractorSpec:
    """The specification.

    Raises:
        UserError: a setting that there is not.
    """
    side = read_options(name, rest, _OPTIONS)["side"]
    return ExtractorSpec(name, FAMILY, "", rest or None, Preprocessing(side, side), "", _VERSION)


def dimensions(spec: ExtractorSpec) -> int:
    """Words, which is the length of a vector."""
    return int(read_options(spec.name, spec.node, _OPTIONS)["words"])


def descriptors(image: Pixels) -> Words:
    """RootSIFT of the strongest points: (h, w, 3) uint8 -> (k, 128) float32 of length 1; k may be 0."""
    import cv2

    sift = cv2.SIFT_create(nfeatures=_MOST)  # type: ignore[attr-defined]  # OpenCV's stubs lack it
    found = sift.detectAndCompute(grey(image), None)[1]
    if found is None:
        return np.zeros((0, LENGTH), dtype=np.float32)
    shares = found[:_MOST] / np.maximum(found[:_MOST].sum(axis=1, keepdims=True), 1e-12)
    return np.asarray(np.sqrt(shares), dtype=np.float32)


def fit_words(sample: Words, count: int) -> Words:
    """Centers of a seeded k-means in one thread (FAISS): (n, 128) -> (``count``, 128), or the sample where it is less.

    The same rows in the same order give the same words.
    """
    import faiss

    if len(sample) <= count:
        return sample
    faiss.omp_set_num_threads(1)
    trainer = faiss.Kmeans(LENGTH, count, niter=_ITERATIONS, seed=1, min_points_per_centroid=1)
    trainer.train(np.ascontiguousarray(sample))
    return np.asarray(trainer.centroids, dtype=np.float32)


def build(spec: ExtractorSpec, digest: str, settings: Settings) -> Extractor:
    """The extractor with the words of ``settings.fitted``.

    Raises:
        UserError: there are none.
    """
    import faiss

    words = settings.fitted
    if words is None or not len(words):
        raise UserError(f"fingerprint.extractor: {spec.name} has no words: no image of the collection has a SIFT point")
    length = dimensions(spec)
    index = faiss.IndexFlatL2(LENGTH)
    index.add(np.ascontiguousarray(words, dtype=np.float32))

    def count(image: Pixels) -> npt.NDArray[np.float64]:
        found = descriptors(image)
        nearest = index.search(found, 1)[1][:, 0] if len(found) else np.zeros(0, dtype=np.int64)
        return np.asarray(np.sqrt(np.bincount(nearest, minlength=length) / max(len(found), 1)))

    def run(images: Pixels) -> Vectors:
        return np.stack([count(image) for image in images]).astype(np.float32)

    return BatchExtractor(spec, digest, Engine(run, length), CPU_BATCH)
