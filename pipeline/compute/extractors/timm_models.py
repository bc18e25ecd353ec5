"""``timm/<model>[.<tag>][:<node>]``: every network of timm that has published weights, at any of its modules.

Without a node the vector is what the classifier is given (timm's ``forward_head(…, pre_logits=True)``).  A node is the
name of a module, and its output the vector: ``timm/legacy_xception:fc`` is the 1000 class scores,
``timm/vit_base_patch32_clip_224.openai:head`` the place in the space that CLIP's images and texts share.
"""

import json
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache as once
from importlib.metadata import PackageNotFoundError, version
from math import floor
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from pipeline.compute.extractors import cache, weights
from pipeline.compute.extractors.base import Extractor, ExtractorSpec, Settings
from pipeline.compute.extractors.engines import network_extractor
from pipeline.compute.extractors.preprocessing import Preprocessing
from pipeline.errors import UserError

if TYPE_CHECKING:
    import torch

_VERSION = 1


@dataclass(frozen=True)
class Published:
    """What timm says of a network's published weights.

    Attributes:
        name: architecture and tag, which names the weights.
        input_size: height and width, pixels.
        crop_pct: the input's share of what the image is resized to.
        crop_mode: center, squash or border.
        interpolation: bilinear or bicubic.
        mean: of the channels, on 0 to 1.
        std: of the channels, on 0 to 1.
        hub_id: repository on the Hugging Face hub; empty where ``url`` holds the weights.
        file: the file's name in that repository.
        url: of the weights, where there is no repository.
    """

    name: str
    input_size: tuple[int, int]
    crop_pct: float
    crop_mode: str
    interpolation: Literal["bilinear", "bicubic"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    hub_id: str
    file: str
    url: str

    @property
    def path(self) -> Path:
        """Where the weights lie on this machine, once they are there."""
        name = self.file if self.hub_id else self.url
        return cache.folder() / "weights" / "timm" / f"{self.name}{PurePosixPath(name).suffix}"


def parse(name: str, rest: str) -> ExtractorSpec:
    """The specification of ``timm/<rest>``; the node is checked when the network is built.

    Raises:
        UserError: timm is not installed, or has no such network with weights (names the nearest).
    """
    model, _, node = rest.partition(":")
    known = catalogue()
    if model not in known:
        near = get_close_matches(model, known, n=1, cutoff=0.0)[0]
        raise UserError(
            f"fingerprint.extractor: found {name}; timm {version('timm')} has no weights for it; nearest: timm/{near}"
        )
    if ":" in rest and not node:
        raise UserError(f"fingerprint.extractor: found {name}; after the colon comes a node, or leave the colon out")
    found = known[model]
    return ExtractorSpec(name, "timm", model, node or None, preprocessing(found), found.name, _VERSION)


def weights_hash(spec: ExtractorSpec) -> str:
    """Architecture and tag: timm publishes no hashes, and gives other weights another tag."""
    return spec.published


def weights_file(spec: ExtractorSpec) -> Path:
    """Where the published weights lie, once they are there."""
    return catalogue()[spec.model].path


def dimensions(spec: ExtractorSpec) -> int:
    """Length of a vector, found from shapes alone.

    Raises:
        UserError: no such node; lists them.
    """
    from pipeline.compute.extractors import network

    return network.dimensions(lambda: without_weights(spec), spec.preprocessing)


def build(spec: ExtractorSpec, digest: str, settings: Settings) -> Extractor:
    """The extractor, ready to run; the published weights are downloaded on first use.

    Raises:
        UserError: no such node (lists them), or no weights (says which file to put where).
    """
    return network_extractor(lambda: _body(spec, settings.weights), spec, digest, settings)


@once
def catalogue() -> dict[str, Published]:
    """Name -> what is published; an architecture stands for its default tag.

    Asking timm takes seconds (it imports torch and all its networks), so what it says is kept on this machine.

    Raises:
        UserError: timm is not installed.
    """
    try:
        installed = version("timm")
    except PackageNotFoundError:
        raise UserError("timm is not installed; pip install 'imagetracks[timm]'") from None
    found = json.loads(cache.remembered(f"timm/{installed}-1.json", _ask_timm))
    return {name: Published(**{key: _tuple(value) for key, value in one.items()}) for name, one in found.items()}


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _ask_timm() -> bytes:
    import timm

    names = timm.list_pretrained()
    listed = {name: _published(timm.get_pretrained_cfg(name)) for name in names}
    for model in {name.partition(".")[0] for name in names}:
        default = timm.get_pretrained_cfg(model)
        if default is not None and (default.has_weights or model in listed):
            listed[model] = _published(default)
    return json.dumps(listed).encode()


def _published(config: Any) -> dict[str, Any]:
    return {
        "name": f"{config.architecture}.{config.tag}" if config.tag else config.architecture,
        "input_size": config.input_size[1:],
        "crop_pct": config.crop_pct,
        "crop_mode": config.crop_mode,
        "interpolation": config.interpolation,
        "mean": config.mean,
        "std": config.std,
        "hub_id": config.hf_hub_id or "",
        "file": config.hf_hub_filename or "model.safetensors",
        "url": config.url or "",
    }


def preprocessing(of: Published) -> Preprocessing:
    """Resize, crop and normalisation as timm's evaluation transform has them.

    Raises:
        UserError: the image would be framed by a border (six experimental networks), which is not offered.
    """
    height, width = of.input_size
    tall, wide = floor(height / of.crop_pct), floor(width / of.crop_pct)
    resize: int | tuple[int, int]
    if of.crop_mode == "squash":
        resize = (tall, wide)
    elif of.crop_mode == "center" and height == width:
        resize = tall
    else:
        raise UserError(f"timm/{of.name} wants images framed by a border ({of.crop_mode}), which is not offered")
    mean, std = ((255 * red, 255 * green, 255 * blue) for red, green, blue in (of.mean, of.std))
    return Preprocessing(height, width, resize, of.interpolation, mean, std)


def _body(spec: ExtractorSpec, source: str | None) -> "torch.nn.Module":
    import timm

    from pipeline.compute.extractors.network import NoNumbers

    with NoNumbers():
        without_weights(spec)  # a wrong node is told before anything is downloaded
    source = source or str(_published_file(spec))
    tensors = weights.read_tensors(source)
    try:
        # timm renames what other projects have published; so it has to load the tensors itself.
        given = {"state_dict": tensors, "custom_load": False}
        network = timm.create_model(spec.model, pretrained=True, pretrained_cfg_overlay=given).eval()
    except (RuntimeError, KeyError) as error:
        raise UserError(
            f"fingerprint.weights: {source} is not {spec.model}'s ({' '.join(str(error).split())[:200]})"
        ) from error
    return at_node(network, spec.node)


def without_weights(spec: ExtractorSpec) -> "torch.nn.Module":
    """The network up to its node, as it is before any training.

    Raises:
        UserError: no such node; lists them.
    """
    import timm

    network = timm.create_model(spec.model, pretrained=False).eval()
    if spec.node is not None:
        check_node(network, spec.node)
    return at_node(network, spec.node)


def check_node(network: "torch.nn.Module", node: str) -> None:
    """Refuse a node that is no module of the network.

    Raises:
        UserError: names the nearest node and lists all.
    """
    nodes = [name for name, _ in network.named_modules() if name]
    weights.check_node(node, nodes, node in nodes)


def at_node(network: Any, node: str | None) -> "torch.nn.Module":
    """``network`` up to the module ``node``, or up to what its classifier is given."""
    import torch

    class Node(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            if node is None:
                features: torch.Tensor = network.forward_head(network.forward_features(images), pre_logits=True)
                return features
            seen: list[torch.Tensor] = []
            # Copied, for the next layer may work in place.
            hook = network.get_submodule(node).register_forward_hook(lambda *given: seen.append(given[2].clone()))
            try:
                network(images)
            finally:
                hook.remove()
            return seen[0]

    return Node()


def _published_file(spec: ExtractorSpec) -> Path:
    """The published weights in the cache folder, downloaded where they are not there yet."""
    found = catalogue()[spec.model]
    if not found.path.exists():
        weights.download(_url(found), found.path, spec.name)
    return found.path


def _url(found: Published) -> str:
    if not found.hub_id:
        return found.url
    from huggingface_hub import hf_hub_url

    return str(hf_hub_url(found.hub_id, found.file))
