"""torchvision's networks: names, preprocessing and last layers of all, vectors of some, weights made by the test."""

from functools import partial
from hashlib import sha256

import numpy as np
import pytest
import torch

from pipeline.compute import extractors
from pipeline.compute.extractors import network, torchvision_models
from pipeline.compute.extractors.torchvision_table import DIMENSIONS, PUBLISHED
from pipeline.errors import UserError
from tests.vectors import cosines

pytestmark = pytest.mark.slow  # importing torchvision takes seconds


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGETRACKS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path


def seeded(model, path):
    from torchvision.models import get_model

    torch.manual_seed(11)
    network = get_model(model, weights=None).eval()
    torch.save(network.state_dict(), path)
    return network


def images(count, side=224):
    return np.random.default_rng(2).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def test_the_table_is_what_torchvision_publishes():
    import torchvision

    assert sorted(PUBLISHED) == sorted(torchvision.models.list_models(module=torchvision.models))
    for model, (file, how) in PUBLISHED.items():
        default = torchvision.models.get_model_weights(model).DEFAULT
        theirs = default.transforms()
        assert default.url.endswith("/" + file), model
        assert ([how.resize], [how.height]) == (theirs.resize_size, theirs.crop_size), model
        assert (how.interpolation, how.height) == (theirs.interpolation.value, how.width), model
        np.testing.assert_allclose(how.mean, np.multiply(theirs.mean, 255), err_msg=model)
        np.testing.assert_allclose(how.std, np.multiply(theirs.std, 255), err_msg=model)


def test_a_wrong_node_lists_the_nodes_before_anything_is_downloaded(own_cache):
    spec = extractors.resolve("torchvision/resnet18:layer5")
    with pytest.raises(UserError, match=r"no node layer5; nearest: .*; the nodes are: x, conv1, .*flatten, fc$"):
        extractors.build(spec, extractors.Settings())
    assert not (own_cache / "torch").exists()


def test_without_network_the_error_says_which_file_to_put_where(own_cache, monkeypatch):
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nothing listens there
    where = own_cache / "torch" / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth"
    with pytest.raises(UserError, match=f"put the file at {where}, or name a weights file in fingerprint.weights"):
        extractors.build(extractors.resolve("torchvision/squeezenet1_1"), extractors.Settings())


def test_a_file_that_is_not_the_published_one_is_refused(own_cache):
    folder = own_cache / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "squeezenet1_1-b8a52dc0.pth").write_bytes(b"an error page")
    with pytest.raises(UserError, match="not what was published"):
        extractors.build(extractors.resolve("torchvision/squeezenet1_1"), extractors.Settings())


def test_published_weights_that_lie_there_are_used(own_cache, monkeypatch):
    folder = own_cache / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    seeded("squeezenet1_1", folder / "any.pth")
    name = f"squeezenet1_1-{sha256((folder / 'any.pth').read_bytes()).hexdigest()[:8]}.pth"
    (folder / "any.pth").rename(folder / name)
    monkeypatch.setitem(PUBLISHED, "squeezenet1_1", (name, PUBLISHED["squeezenet1_1"][1]))
    spec = extractors.resolve("torchvision/squeezenet1_1")
    extractor = extractors.build(spec, extractors.Settings(precision="bfloat16"))
    assert extractor.dimensions == 512


def test_weights_of_another_network_are_refused(own_cache):
    seeded("squeezenet1_0", own_cache / "w.pth")
    with pytest.raises(UserError, match="not this network's"):
        extractors.build(
            extractors.resolve("torchvision/squeezenet1_1"), extractors.Settings(weights=str(own_cache / "w.pth"))
        )


def test_a_node_gives_what_a_hook_sees():
    from torchvision.models import get_model

    torch.manual_seed(0)
    network = get_model("resnet18", weights=None).eval()
    seen = {}
    hooks = [
        network.layer2.register_forward_hook(lambda *found: seen.update(layer2=found[2])),
        network.fc.register_forward_hook(lambda *found: seen.update(penultimate=found[1][0], fc=found[2])),
    ]
    batch = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        network(batch)
        for hook in hooks:
            hook.remove()
        for node in ("layer2", "fc"):
            assert torch.equal(torchvision_models.at_node(network, node)(batch), seen[node])
        assert torch.equal(torchvision_models.at_node(network, None)(batch), seen["penultimate"])


@pytest.mark.parametrize(
    ("model", "node", "dimensions"),
    [("resnet18", "flatten", 512), ("mobilenet_v3_small", "classifier.1", 1024), ("shufflenet_v2_x0_5", "mean", 1024)],
)
def test_a_seeded_network_agrees_with_torch(own_cache, model, node, dimensions):
    from torchvision.models.feature_extraction import create_feature_extractor
    from torchvision.transforms.v2 import functional

    network = seeded(model, own_cache / "w.pth")
    settings = extractors.Settings(weights=str(own_cache / "w.pth"))
    extractor = extractors.build(extractors.resolve(f"torchvision/{model}"), settings)
    given = images(3)
    found = extractor(given)
    scaled = torch.from_numpy(given).permute(0, 3, 1, 2).float() / 255
    scaled = functional.normalize(scaled, mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
    with torch.inference_mode():
        expected = create_feature_extractor(network, [node])(scaled)[node].numpy()
    assert found.shape == (3, dimensions) == (3, extractor.dimensions)
    assert cosines(found, expected).min() > 0.99999
    np.testing.assert_array_equal(extractor(given[::-1]), found[::-1])
    np.testing.assert_array_equal(extractor(given[1:2]), found[1:2])


def test_every_model_gives_a_vector_of_the_listed_length():
    """All of them, by shapes alone: made without numbers, cut before the last layer, run on the input of the table."""
    found = {}
    for model, (_, how) in PUBLISHED.items():
        spec = extractors.resolve(f"torchvision/{model}")
        found[model] = network.dimensions(partial(torchvision_models.without_weights, spec), how)
    assert found == DIMENSIONS


# The node of the class scores, of architectures that the README's table (tests/test_readme.py) does not have.
SCORES = {
    "convnext_tiny": "classifier.2",
    "googlenet": "fc",
    "mobilenet_v3_small": "classifier.3",
    "regnet_x_400mf": "fc",
    "squeezenet1_1": "flatten",
    "swin_t": "head",
    "vit_b_32": "heads.head",
}


@pytest.mark.parametrize("model", sorted(SCORES))
def test_the_1000_scores_are_a_node(model):
    spec = extractors.resolve(f"torchvision/{model}:{SCORES[model]}")
    assert network.dimensions(partial(torchvision_models.without_weights, spec), spec.preprocessing) == 1000
