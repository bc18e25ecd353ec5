"""Raw pixels, classical descriptors and a person's own function: answers by hand, and a published figure."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.compute import extractors
from pipeline.compute.extractors.raw_pixels import grey
from pipeline.compute.scoring import contingency, partition_scores
from pipeline.errors import UserError
from pipeline.stages.fingerprint import Fingerprinter, FingerprintParams
from pipeline.stages.vectors import to_matrix
from tests import objects
from tests.pictures import photo
from tests.shared_sets import DATA, rows_of

pytestmark = pytest.mark.slow  # torch resizes, scikit-image describes: importing them takes seconds

UMIST = DATA / "umist"


def build(name):
    return extractors.build(extractors.resolve(name), extractors.Settings())


def vectors(name, *images):
    extractor = build(name)
    found = extractor(np.stack([extractor.prepare(np.asarray(image)) for image in images]))
    assert found.shape == (len(images), extractor.dimensions)
    assert found.dtype == np.float32
    return found


def plain(color, size=(40, 30)):
    return np.full((size[1], size[0], 3), color, dtype=np.uint8)


def test_raw_pixels_are_the_pixels():
    picture = photo(8, 6)
    (found,) = vectors("raw_pixels:size=8x6", picture)
    np.testing.assert_array_equal(np.rint(found * 255).reshape(6, 8, 3), np.asarray(picture))
    (found,) = vectors("raw_pixels:size=8x6:color=grey", picture)
    np.testing.assert_array_equal(np.rint(found * 255).reshape(6, 8), np.asarray(picture.convert("L")))


def test_grey_is_pillows():
    rgb = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    np.testing.assert_array_equal(grey(rgb), np.asarray(Image.fromarray(rgb).convert("L")))


def test_a_histogram_of_two_colours_by_hand():
    half = plain((255, 0, 0))
    half[15:] = (0, 0, 0)
    (found,) = vectors("classical/colour_histogram:space=rgb:bins=2", half)
    np.testing.assert_allclose(found, np.sqrt([0.5, 0, 0, 0, 0.5, 0, 0, 0]), atol=0.01)
    red, green, both = vectors("classical/colour_histogram", plain((255, 0, 0)), plain((0, 255, 0)), half)
    assert red @ green == 0
    assert red @ both == pytest.approx(np.sqrt(0.5), abs=0.01)


def test_gradients_have_the_orientation_of_the_edges():
    columns, rows = (np.zeros((128, 128, 3), dtype=np.uint8) for _ in range(2))
    columns[:, ::16][:, :] = 255
    rows[::16] = 255
    one, other = (found.reshape(7, 7, 4, 9).sum((0, 1, 2)) for found in vectors("classical/hog", columns, rows))
    assert (one.argmax(), other.argmax()) == (0, 4)  # 0 to 20 degrees, 80 to 100


def test_patterns_of_a_flat_image_are_one_kind():
    (found,) = vectors("classical/lbp:grid=1", plain((7, 7, 7)))
    assert found.shape == (10 + 18 + 26,)
    for kinds in np.split(found, [10, 28]):
        np.testing.assert_allclose(np.sort(kinds)[-2:], [0, 1], atol=0.2)  # the border looks outside


@pytest.mark.parametrize("name", ["raw_pixels", "classical/colour_histogram", "classical/hog", "classical/lbp"])
def test_a_vector_is_bit_equal_in_any_company(name):
    pictures = [photo(60, 50, seed) for seed in range(18)]
    together = vectors(name, *pictures)
    np.testing.assert_array_equal(vectors(name, *pictures[::-1])[::-1], together)
    np.testing.assert_array_equal(vectors(name, pictures[17])[0], together[17])


OWN = """
import numpy as np

def mean(images):
    return images.mean((1, 2)).astype(np.float32)

def doubles(images):
    return images.mean((1, 2))

nothing = None
"""


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_fingerprints.py").write_text(OWN)


@pytest.mark.usefixtures("own_module")
def test_your_own_function():
    np.testing.assert_array_equal(vectors("my_fingerprints.mean:size=8", plain((1, 2, 3))), [[1, 2, 3]])
    with pytest.raises(UserError, match=r"returned \(16, 3\) float64, expected an array \(16, d\) float32"):
        build("my_fingerprints.doubles")
    for name in ("nothing", "absent"):
        with pytest.raises(UserError, match=f"my_fingerprints has no function {name}"):
            build(f"my_fingerprints.{name}")


@pytest.mark.skipif(not UMIST.exists(), reason=f"no {UMIST}")
def test_raw_pixels_of_umist_cluster_as_published():
    """Ward's method at 20 clusters: figures of studies of this set, reproduced to the digit."""
    from scipy.cluster.hierarchy import fcluster, ward

    rows = rows_of("umist")
    images = objects.images([row["path"] for row in rows], [(UMIST / row["path"]).read_bytes() for row in rows])
    found = Fingerprinter(FingerprintParams(extractor="raw_pixels:size=92x112:color=grey"))(images)
    labels = fcluster(ward(to_matrix(found["vector"])), 20, "maxclust")
    scores = partition_scores(contingency([row["identity"] for row in rows], labels))
    shown = {name: round(scores[name], 4) for name in ("purity", "fowlkes_mallows", "nmi_geometric", "nmi_arithmetic")}
    assert shown == {"purity": 0.5026, "fowlkes_mallows": 0.3792, "nmi_geometric": 0.6633, "nmi_arithmetic": 0.6632}


def test_the_readmes_example_runs(tmp_path, monkeypatch):
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    (example,) = [block for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "mean_colors" in block]
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "readme_fingerprints.py").write_text(example)
    assert "fingerprint.extractor=fingerprints.mean_colors:size=64" in readme
    (found,) = vectors("readme_fingerprints.mean_colors:size=64", plain((1, 2, 3)))
    np.testing.assert_allclose(found.reshape(16, 3), [[1, 2, 3]] * 16)
