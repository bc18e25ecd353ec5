"""timm's networks: preprocessing as timm has it, vectors that agree with timm's, weights made by the test."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pipeline.compute import extractors
from pipeline.compute.extractors import network, timm_models
from pipeline.compute.extractors.preprocessing import prepare
from pipeline.errors import UserError
from tests.pictures import photo
from tests.vectors import cosines

timm = pytest.importorskip("timm")
pytestmark = pytest.mark.slow  # importing timm takes seconds


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMAGETRACKS_CACHE", str(folder))
        timm_models.catalogue.cache_clear()
        yield folder
    timm_models.catalogue.cache_clear()


def seeded(model, path):
    torch.manual_seed(5)
    made = timm.create_model(model, pretrained=False).eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(made.state_dict(), path)
    return made


def scaled(spec, images):
    how = spec.preprocessing
    values = (images.astype(np.float32) - np.float32(how.mean)) / np.float32(how.std)
    return torch.from_numpy(values).permute(0, 3, 1, 2)


@pytest.mark.parametrize(
    ("model", "node", "dimensions"),
    [("test_resnet.r160_in1k", None, 96), ("test_vit", "norm", 64)],
)
def test_a_seeded_network_agrees_with_timm(tmp_path, model, node, dimensions):
    made = seeded(model, tmp_path / "w.safetensors")
    spec = extractors.resolve(f"timm/{model}" + (f":{node}" if node else ""))
    extractor = extractors.build(spec, extractors.Settings(weights=str(tmp_path / "w.safetensors")))
    side = spec.preprocessing.height
    images = np.random.default_rng(2).integers(0, 256, (3, side, side, 3), dtype=np.uint8)
    seen = []
    if node:
        made.get_submodule(node).register_forward_hook(lambda *given: seen.append(given[2]))
    with torch.inference_mode():
        batch = scaled(spec, images)
        whole = made.forward_head(made.forward_features(batch), pre_logits=True) if node is None else made(batch)
        expected = network.pool(seen[0] if node else whole).numpy()
    found = extractor(images)
    assert found.shape == (3, dimensions) == (3, extractor.dimensions)
    assert cosines(found, expected).min() > 0.99999
    np.testing.assert_array_equal(extractor(images[1:2]), found[1:2])


@pytest.mark.parametrize(
    "model",
    [
        "resnet50.a1_in1k",
        "dm_nfnet_f0",
        "vit_base_patch32_clip_224.openai",
        "vit_medium_patch16_gap_384.sw_in12k_ft_in1k",
    ],
)
def test_preprocessing_is_timms(model):
    """Pillow resizes there, torch here: within a grey level or two, where a wrong crop would be off by dozens."""
    config = timm.get_pretrained_cfg(model).to_dict()
    data = timm.data.resolve_data_config(pretrained_cfg=config)
    theirs = timm.data.create_transform(**data, is_training=False, normalize=False)
    picture = photo(500, 400)
    how = extractors.resolve(f"timm/{model}").preprocessing
    off = np.abs(prepare(np.asarray(picture), how).astype(int) - theirs(picture).permute(1, 2, 0).numpy())
    assert off.max() <= 2
    np.testing.assert_allclose(how.mean, np.multiply(data["mean"], 255))
    np.testing.assert_allclose(how.std, np.multiply(data["std"], 255))


def test_all_published_weights_but_six_have_their_preprocessing():
    refused = set()
    for one in timm_models.catalogue().values():
        try:
            timm_models.preprocessing(one)
        except UserError:
            refused.add(one.name)
    assert all(name.startswith("deepseek_vit") for name in refused)


def test_names_that_there_are_not():
    with pytest.raises(UserError, match="nearest: timm/resnet50"):
        extractors.resolve("timm/resnet5O")
    with pytest.raises(UserError, match="after the colon comes a node"):
        extractors.resolve("timm/resnet50:")
    spec = extractors.resolve("timm/test_resnet:layer9")
    with pytest.raises(UserError, match=r"no node layer9; nearest: layer\d; the nodes are: conv1, .*fc"):
        extractors.build(spec, extractors.Settings())


def test_an_architecture_stands_for_its_default_weights_and_a_tag_is_part_of_the_digest():
    names = ("timm/resnet50", "timm/resnet50.a1_in1k", "timm/resnet50.a2_in1k")
    default, first, second = (extractors.resolve(name) for name in names)
    assert default.published == first.published == "resnet50.a1_in1k"
    assert timm_models.weights_hash(first) != timm_models.weights_hash(second)


def test_without_timm_the_extra_is_named(monkeypatch):
    def absent(_):
        raise timm_models.PackageNotFoundError

    monkeypatch.setattr(timm_models, "version", absent)
    timm_models.catalogue.cache_clear()
    with pytest.raises(UserError, match=r"pip install 'imagetracks\[timm\]'"):
        extractors.resolve("timm/resnet50")


def test_what_is_resolved_is_remembered_without_torch(own_cache):
    extractors.resolve("timm/test_resnet")
    kept = list(own_cache.glob("timm/*.json"))
    assert len(kept) == 1
    before = kept[0].stat().st_mtime_ns
    timm_models.catalogue.cache_clear()
    extractors.resolve("timm/test_resnet")
    assert kept[0].stat().st_mtime_ns == before


def test_weights_of_another_network_are_refused(tmp_path):
    seeded("test_vit", tmp_path / "w.safetensors")
    settings = extractors.Settings(weights=str(tmp_path / "w.safetensors"))
    with pytest.raises(UserError, match="is not test_resnet's"):
        extractors.build(extractors.resolve("timm/test_resnet"), settings)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_published_weights_are_downloaded_once(tmp_path, own_cache, monkeypatch):
    spec = extractors.resolve("timm/test_resnet")
    where = own_cache / "weights" / "timm" / f"{spec.published}.safetensors"
    seeded("test_resnet", tmp_path / "served" / "model.safetensors")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "served"))
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    url = f"http://127.0.0.1:{server.server_port}/model.safetensors"
    monkeypatch.setattr(timm_models, "_url", lambda _: url)
    settings = extractors.Settings(precision="bfloat16")
    assert extractors.build(spec, settings).dimensions == 96
    server.shutdown()
    server.server_close()
    assert where.exists()
    assert extractors.build(spec, settings).dimensions == 96  # nobody serves them any more
    where.unlink()
    with pytest.raises(UserError, match=f"cannot download {url} .*; put the file at {where}"):
        extractors.build(spec, settings)


def test_where_the_hub_has_them():
    known = timm_models.catalogue()
    assert timm_models._url(known["resnet50.a1_in1k"]).endswith("/timm/resnet50.a1_in1k/resolve/main/model.safetensors")
    assert timm_models._url(known["legacy_xception"]).endswith("xception-43020ad28.pth")
