"""The vocabulary of a bag of SIFT: a sample of images -> visual words (the verb fit)."""

import hashlib

import numpy as np
import pyarrow as pa

from pipeline.compute import extractors
from pipeline.compute.extractors import bag_of_sift
from pipeline.compute.reasons import Flaw
from pipeline.schemas import VOCABULARY

SAMPLE = 2000
"""Images, at most, whose descriptors are clustered."""


def fit_vocabulary(images: pa.Table, extractor: str, num_images: int) -> pa.Table:
    """Fit the words of ``extractor``.

    Args:
        images: columns image_id and pixels of the sample; order and splits do not matter.
        extractor: its name.
        num_images: images with pixels in the collection.

    Returns:
        One row of ``schemas.VOCABULARY``; without a word where no image has a SIFT point.
    """
    spec = extractors.resolve(extractor)
    found = [_descriptors(data, spec) for data in images.sort_by("image_id")["pixels"].to_pylist()]
    sample = np.concatenate(found) if found else np.zeros((0, bag_of_sift.LENGTH), dtype=np.float32)
    words = bag_of_sift.fit_words(sample, bag_of_sift.dimensions(spec))
    row = {
        "model": hashlib.blake2b(np.ascontiguousarray(words, dtype="<f4").tobytes(), digest_size=8).hexdigest(),
        "num_words": len(words),
        "words": words.reshape(-1),
        "num_images": num_images,
        "sample_size": len(found),
    }
    return VOCABULARY.check(pa.table({c.name: pa.array([row[c.name]], type=c.type) for c in VOCABULARY.columns}))


def words_of(model: pa.Table) -> bag_of_sift.Words:
    """The words (n, 128) of a fitted model."""
    return np.array(model["words"][0].as_py(), dtype=np.float32).reshape(-1, bag_of_sift.LENGTH)


def _descriptors(data: bytes, spec: extractors.ExtractorSpec) -> bag_of_sift.Words:
    from pipeline.compute.decoding import open_pixels
    from pipeline.compute.extractors.preprocessing import prepare

    try:
        return bag_of_sift.descriptors(prepare(open_pixels(data), spec.preprocessing))
    except Flaw:
        return np.zeros((0, bag_of_sift.LENGTH), dtype=np.float32)
