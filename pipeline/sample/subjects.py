"""Which photographs become subjects: crops of the pictures that ship inside scikit-image and scikit-learn."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import UserError

Pixels = NDArray[np.float32]

PRINT_SIDE = 384
"""Longer side of a print, in pixels: about what a photograph of it resolves."""

MARGIN = 0.035
"""White paper around the picture, as a share of the print's longer side."""


@dataclass(frozen=True)
class Photograph:
    """A crop of a shipped picture: ``box`` is left, upper, right, lower as shares of its width and height."""

    package: str
    file: str
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    tone: tuple[float, float, float] | None = None


SUBJECTS: dict[str, Photograph] = {
    "astronaut": Photograph("skimage", "data/astronaut.png", (0.08, 0.0, 0.78, 0.92)),
    "cameraman": Photograph("skimage", "data/camera.png", (0.06, 0.02, 0.98, 0.98)),
    "cat": Photograph("skimage", "data/chelsea.png", (0.03, 0.0, 0.97, 1.0)),
    "coffee": Photograph("skimage", "data/coffee.png", (0.08, 0.0, 0.92, 1.0)),
    "coins": Photograph("skimage", "data/coins.png"),
    "flower": Photograph("sklearn", "datasets/images/flower.jpg", (0.2, 0.06, 0.78, 0.98)),
    "galaxies": Photograph("skimage", "data/hubble_deep_field.jpg", (0.1, 0.2, 0.7, 0.75)),
    "gravel": Photograph("skimage", "data/gravel.png", (0.0, 0.0, 0.7, 0.6), tone=(1.0, 0.94, 0.86)),
    "handwriting": Photograph("skimage", "data/text.png", (0.0, 0.0, 0.75, 1.0), tone=(1.0, 0.97, 0.9)),
    "lake": Photograph("sklearn", "datasets/images/china.jpg", (0.6, 0.22, 1.0, 1.0)),
    "moon": Photograph("skimage", "data/moon.png", (0.0, 0.0, 0.9, 1.0)),
    "motorcycle": Photograph("skimage", "data/motorcycle_left.png", (0.05, 0.08, 1.0, 0.98)),
    "page": Photograph("skimage", "data/page.png", (0.0, 0.0, 1.0, 1.0)),
    "pagoda": Photograph("sklearn", "datasets/images/china.jpg", (0.08, 0.04, 0.6, 0.98)),
    "retina": Photograph("skimage", "data/retina.jpg"),
    "rocket": Photograph("skimage", "data/rocket.jpg", (0.26, 0.0, 0.76, 1.0)),
    "tissue": Photograph("skimage", "data/ihc.png"),
}


def paper(subject: str) -> Pixels:
    """The new print of a subject: (h, w, 3) float32, 0 to 1, with its white margin; the longer side is fixed.

    Raises:
        UserError: the picture is not where its package has it.
    """
    photograph = SUBJECTS[subject]
    with Image.open(_shipped(photograph)) as opened:
        image = opened.convert("RGB")
    width, height = image.size
    left, upper, right, lower = photograph.box
    image = image.crop((round(left * width), round(upper * height), round(right * width), round(lower * height)))
    margin = round(MARGIN * PRINT_SIDE)
    scale = (PRINT_SIDE - 2 * margin) / max(image.size)
    inner = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    sheet = np.full((inner.height + 2 * margin, inner.width + 2 * margin, 3), 0.96, dtype=np.float32)
    picture = np.asarray(inner, dtype=np.float32) / 255
    if photograph.tone is not None:
        picture = picture * np.asarray(photograph.tone, dtype=np.float32)
    sheet[margin:-margin, margin:-margin] = picture
    return sheet


def texture(name: str) -> Pixels:
    """A shipped grey texture (``brick`` or ``grass``): (512, 512) float32, 0 to 1."""
    with Image.open(_shipped(Photograph("skimage", f"data/{name}.png"))) as opened:
        grey = np.asarray(opened.convert("L"), dtype=np.float32)
    return np.asarray(grey / 255, dtype=np.float32)


def _shipped(photograph: Photograph) -> Path:
    spec = find_spec(photograph.package)
    if spec is None or spec.origin is None:
        raise UserError(f"the sample needs {photograph.package}, which is not installed: pip install imagetracks again")
    path = Path(spec.origin).parent / photograph.file
    if not path.is_file():
        raise UserError(f"{photograph.package} has no {photograph.file}: install a version that ships it")
    return path
