"""Which extractors there are: names, dimensions, input sizes, and whether their weights lie on this machine."""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pipeline.compute.extractors import FAMILIES, resolve, timm_models
from pipeline.compute.extractors.classical import DESCRIPTORS
from pipeline.compute.extractors.torchvision_table import PUBLISHED
from pipeline.errors import UserError


@dataclass(frozen=True)
class Listed:
    """An extractor.

    Attributes:
        name: as in the configuration.
        dimensions: length of a vector.
        width: of its input, pixels.
        height: of its input, pixels.
        weights: where published weights lie or are to be put; None: nothing has to be fetched.
    """

    name: str
    dimensions: int
    width: int
    height: int
    weights: Path | None

    @property
    def there(self) -> bool:
        """Whether it can be used here without a network."""
        return self.weights is None or self.weights.exists()


def listed(pattern: str | None = None) -> Iterator[Listed]:
    """The extractors whose names fit ``pattern`` (``*`` stands for anything); None: all but timm's, which are many.

    A name with a node or with settings is itself.  timm's names are looked through where the pattern begins with
    ``timm/``; their lengths are found from shapes, up to a second each.

    Raises:
        UserError: none fits.
    """
    names = [name for name in _names(pattern) if pattern is None or fnmatchcase(name, pattern)]
    if not names and pattern is not None:
        names = [resolve(pattern).name]  # which says what is wrong with it
    return (_listed(name) for name in names)


def _names(pattern: str | None) -> list[str]:
    if pattern is not None and pattern.startswith("timm/"):
        return [f"timm/{name}" for name in timm_models.catalogue()]
    single = ["efficientnet_lite0", "faces/dlib", "raw_pixels", "classical/bag_of_sift"]
    return [*single, *(f"classical/{name}" for name in DESCRIPTORS), *(f"torchvision/{name}" for name in PUBLISHED)]


def _listed(name: str) -> Listed:
    spec = resolve(name)
    family = FAMILIES[spec.family]
    how = spec.preprocessing
    try:
        dimensions = family.dimensions(spec)
    except UserError:
        raise
    except Exception as error:  # some of a thousand networks do not run without numbers
        raise UserError(f"{name}: the length of its vectors is known only once it is run ({error})") from error
    return Listed(name, dimensions, how.width, how.height, family.weights_file(spec) if family.weights_file else None)
