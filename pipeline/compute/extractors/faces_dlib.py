"""``faces/dlib[:jitter=N]``: the largest face of an image, aligned by five points, as 128 numbers.

Detection and landmarks are :mod:`pipeline.compute.faces`; the encoding is King's residual network (dlib, 2017), trained
so that two pictures of one person lie less than 0.6 apart.  Model files: ``shape_predictor_5_face_landmarks.dat`` and
``dlib_face_recognition_resnet_model_v1.dat`` of github.com/davisking/dlib-models, both in the public domain (CC0); they
come with the package ``face_recognition_models``.  The file of 68 landmarks beside them is not used: the data it was
trained on excludes commercial use.
"""

from functools import cache
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.compute.extractors import weights
from pipeline.compute.extractors.base import CPU_BATCH, Extractor, ExtractorSpec, Pixels, Settings, Vectors
from pipeline.compute.extractors.options import integer, read_options
from pipeline.compute.extractors.preprocessing import Preprocessing
from pipeline.compute.faces import LANDMARKS_FILE, Face, find_faces, model_file
from pipeline.compute.reasons import Flaw, Reason
from pipeline.errors import UserError

_VERSION = 1
_ENCODER_FILE = "dlib_face_recognition_resnet_model_v1.dat"
_OPTIONS = {"jitter": (integer(0, 1000), 0), "least_size": (integer(20, 1000), 40)}
_SIDE, _PADDING = 150, 0.25
"""The chip that the network was trained on."""
_DIMENSIONS = 128
# As dlib's own jitter: turned by up to 3 degrees, moved by up to 2 %, half of them mirrored.
_TURN, _MOVE, _ZOOM = np.deg2rad(3.0), 0.02, 0.03


def parse(name: str, rest: str) -> ExtractorSpec:
    """The specification.

    Raises:
        UserError: another model than ``dlib``, or a setting that there is not.
    """
    model, _, options = rest.partition(":")
    if model != "dlib":
        raise UserError(f"fingerprint.extractor: found {name}; known is faces/dlib")
    read_options(name, options, _OPTIONS)
    return ExtractorSpec(name, "faces", model, options or None, Preprocessing(_SIDE, _SIDE), "", _VERSION)


def weights_hash(spec: ExtractorSpec) -> str:
    """Hash of both model files' content."""
    del spec
    hashes = [weights.content_hash(str(model_file(name))) for name in (LANDMARKS_FILE, _ENCODER_FILE)]
    return blake2b("\n".join(hashes).encode(), digest_size=16).hexdigest()


def dimensions(spec: ExtractorSpec) -> int:
    """Length of a vector."""
    del spec
    return _DIMENSIONS


def build(spec: ExtractorSpec, digest: str, settings: Settings) -> Extractor:
    """The extractor, ready to run; on the CPU whatever the device, for dlib's wheels know no GPU."""
    del settings
    return _Faces(spec, digest)


class _Faces:
    """See :class:`pipeline.compute.extractors.base.Extractor`; dlib takes one face after another."""

    dimensions, batch_size = _DIMENSIONS, CPU_BATCH

    def __init__(self, spec: ExtractorSpec, digest: str) -> None:
        self.spec, self.digest = spec, digest
        options = read_options(spec.name, spec.node, _OPTIONS)
        self._least_size = options["least_size"]
        self._jitters = _jitters(options["jitter"])

    def prepare(self, rgb: Pixels) -> Pixels:
        """The largest face, upright between its eyes, (150, 150, 3).

        Raises:
            Flaw: there is none.
        """
        import dlib

        faces = find_faces(rgb, self._least_size)
        if not faces:
            raise Flaw(Reason.NO_FACE)
        largest = max(faces, key=lambda face: (face.width * face.height, face.score))
        return np.asarray(dlib.get_face_chip(np.ascontiguousarray(rgb), _as_dlib(largest), _SIDE, _PADDING))

    def __call__(self, images: Pixels) -> Vectors:
        """(n, 150, 150, 3) uint8 -> (n, 128) float32, in the same order."""
        vectors = np.zeros((len(images), _DIMENSIONS), dtype=np.float32)
        for row, chip in enumerate(images):
            vectors[row] = np.mean([_encode(one) for one in self._variants(chip)], axis=0)
        return vectors

    def _variants(self, chip: Pixels) -> list[Pixels]:
        import cv2

        if not len(self._jitters):
            return [chip]
        return [
            np.asarray(cv2.warpAffine(chip, one, (_SIDE, _SIDE), borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8)
            for one in self._jitters
        ]


def _jitters(count: int) -> npt.NDArray[np.float64]:
    """``count`` affine maps (count, 2, 3) of a chip, the same for every face: dlib's own depend on their order."""
    random = np.random.default_rng(0)
    middle = (_SIDE - 1) / 2
    maps = np.empty((count, 2, 3))
    for one in maps:
        turn, zoom = random.uniform(-_TURN, _TURN), 1 + random.uniform(-_ZOOM, _ZOOM)
        mirror = -1.0 if random.random() < 0.5 else 1.0
        one[:, 0] = zoom * np.cos(turn) * mirror, zoom * np.sin(turn) * mirror
        one[:, 1] = -zoom * np.sin(turn), zoom * np.cos(turn)
        one[:, 2] = middle - one[:, :2] @ (middle, middle) + random.uniform(-_MOVE, _MOVE, 2) * _SIDE
    return maps


def _encode(chip: Pixels) -> npt.NDArray[np.float64]:
    return np.asarray(_encoder().compute_face_descriptor(np.ascontiguousarray(chip)))


@cache
def _encoder() -> Any:
    import dlib

    return dlib.face_recognition_model_v1(str(model_file(_ENCODER_FILE)))


def _as_dlib(face: Face) -> Any:
    import dlib

    box = dlib.rectangle(face.x, face.y, face.x + face.width - 1, face.y + face.height - 1)
    return dlib.full_object_detection(box, [dlib.point(int(x), int(y)) for x, y in face.landmarks])
