"""Faces: real weights on real photographs."""

import numpy as np
import pytest

from pipeline.compute import extractors
from pipeline.compute.extractors.preprocessing import Preprocessing, prepare
from pipeline.compute.reasons import Flaw, Reason
from pipeline.errors import UserError
from tests.shared_sets import DATA, rows_of

pytestmark = pytest.mark.slow  # a network

UMIST = DATA / "umist"
SAME = 0.6
"""Two pictures of one person lie nearer than this: dlib's own figure."""


def build(name="faces/dlib"):
    return extractors.build(extractors.resolve(name), extractors.Settings())


@pytest.fixture(scope="module")
def astronaut():
    from skimage import data

    return data.astronaut()


def encoded(extractor, *images):
    return extractor(np.stack([extractor.prepare(np.ascontiguousarray(image)) for image in images]))


def test_a_face_is_the_same_smaller_darker_and_mirrored(astronaut):
    smaller = prepare(astronaut, Preprocessing(256, 256))
    darker = (astronaut * 0.6).astype(np.uint8)
    first, *others = encoded(build(), astronaut, smaller, darker, astronaut[:, ::-1])
    assert first.shape == (128,)
    for other in others:
        assert np.linalg.norm(first - other) < SAME


def test_a_vector_is_dlibs_own(astronaut):
    import dlib

    from pipeline.compute.extractors.faces_dlib import _ENCODER_FILE
    from pipeline.compute.faces import LANDMARKS_FILE, model_file

    (box,) = dlib.get_frontal_face_detector()(astronaut)
    marks = dlib.shape_predictor(str(model_file(LANDMARKS_FILE)))(astronaut, box)
    encoder = dlib.face_recognition_model_v1(str(model_file(_ENCODER_FILE)))
    expected = np.array(encoder.compute_face_descriptor(astronaut, marks))
    (found,) = encoded(build("faces/dlib:least_size=80"), astronaut)
    assert np.linalg.norm(found - expected) < 0.05  # landmarks are rounded to pixels


def test_jitter_moves_a_vector_a_little_and_alike_in_any_company(astronaut):
    extractor = build("faces/dlib:jitter=2")
    chip = extractor.prepare(astronaut)
    (plain,) = encoded(build(), astronaut)
    first, _, last = extractor(np.stack([chip, chip[:, ::-1], chip]))
    np.testing.assert_array_equal(first, last)
    np.testing.assert_array_equal(build("faces/dlib:jitter=2")(chip[None])[0], first)
    assert 0 < np.linalg.norm(first - plain) < SAME / 2


def test_no_face_is_a_flaw():
    with pytest.raises(Flaw) as caught:
        build().prepare(np.full((200, 200, 3), 128, dtype=np.uint8))
    assert caught.value.reason is Reason.NO_FACE


def test_names_and_weights():
    with pytest.raises(UserError, match="known is faces/dlib"):
        extractors.resolve("faces/other")
    spec = extractors.resolve("faces/dlib")
    assert extractors.weights_hash(spec, None) == extractors.weights_hash(spec, None) != ""


@pytest.mark.skipif(not UMIST.exists(), reason=f"no {UMIST}")
def test_people_of_umist_are_told_apart():
    """The most frontal poses of eight people: of all pairs, the nearest to a picture is of the same person."""
    from PIL import Image

    rows = rows_of("umist")
    people = sorted({row["identity"] for row in rows})[:8]
    extractor, vectors, who = build(), [], []
    for person in people:
        poses = [row for row in rows if row["identity"] == person][-6:]
        for row in poses:
            rgb = np.asarray(Image.open(UMIST / row["path"]).convert("RGB"))
            try:
                vectors.append(encoded(extractor, rgb)[0])
            except Flaw:
                continue
            who.append(person)
    found, names = np.array(vectors), np.array(who)
    assert len(found) >= 24
    distance = np.linalg.norm(found[:, None] - found[None], axis=2) + 9 * np.eye(len(found))
    assert np.mean(names[distance.argmin(1)] == names) == 1
