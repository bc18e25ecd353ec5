"""Names, digests and what an extractor needs: known without loading torch."""

import subprocess
import sys

import pytest

from pipeline.compute import extractors
from pipeline.errors import UserError


def test_the_default_is_one_network():
    spec = extractors.resolve("efficientnet_lite0")
    assert (spec.family, spec.node, spec.min_side) == ("efficientnet_lite0", None, 224)


def test_a_torchvision_name_has_a_model_and_a_node():
    spec = extractors.resolve("torchvision/vgg16:classifier.3")
    assert (spec.family, spec.model, spec.node, spec.min_side) == ("torchvision", "vgg16", "classifier.3", 256)
    assert extractors.resolve("torchvision/resnet50").node is None


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("efficientnet_lite", "efficientnet_lite0"),
        ("torchvison/resnet50", "torchvision"),
        ("torchvision/resnet5O", "torchvision/resnet50"),
        ("torchvision/vgg_16", "torchvision/vgg16"),
        ("torchvision", "torchvision/"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_one(name, nearest):
    with pytest.raises(UserError, match=f"nearest: {nearest}"):
        extractors.resolve(name)


@pytest.mark.parametrize("name", ["efficientnet_lite0/b0", "torchvision/resnet50:", "no such thing"])
def test_a_name_with_something_left_over_is_refused(name):
    with pytest.raises(UserError, match=name):
        extractors.resolve(name)


def test_a_digest_changes_with_all_that_changes_a_vector(tmp_path):
    def digest(name, source=None, precision="float32"):
        return extractors.digest(extractors.resolve(name), source, precision)

    one, other = tmp_path / "one.pth", tmp_path / "other.pth"
    one.write_bytes(b"weights")
    other.write_bytes(b"other weights")
    found = [
        digest("efficientnet_lite0"),
        digest("efficientnet_lite0", precision="bfloat16"),
        digest("efficientnet_lite0", str(one)),
        digest("efficientnet_lite0", str(other)),
        digest("torchvision/resnet50"),
        digest("torchvision/resnet50:layer4"),
        digest("torchvision/resnet50", str(one)),
    ]
    assert len(set(found)) == len(found)
    assert digest("efficientnet_lite0") == found[0]


def test_a_digest_depends_on_the_content_of_the_weights_and_not_on_where_they_lie(tmp_path):
    spec = extractors.resolve("torchvision/resnet50")
    paths = [tmp_path / "a.pth", tmp_path / "b.pth"]
    for path in paths:
        path.write_bytes(b"weights")
    assert len({extractors.digest(spec, str(path), "float32") for path in paths}) == 1


@pytest.mark.slow
def test_planning_loads_neither_torch_nor_a_network():
    code = (
        "import sys\n"
        "from pipeline.stages.fingerprint import FingerprintParams, extractor_digest, extractor_folder, min_side\n"
        "for name in ('efficientnet_lite0', 'torchvision/vgg16:classifier.3'):\n"
        "    params = FingerprintParams(extractor=name)\n"
        "    extractor_digest(params), extractor_folder(name), min_side(params)\n"
        "heavy = {'torch', 'torchvision', 'onnxruntime', 'onnx', 'ray'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
