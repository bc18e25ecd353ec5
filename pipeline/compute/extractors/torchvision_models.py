"""``torchvision/<model>[:<node>]``: every image classifier of torchvision, at any node of its graph.

Without a node the vector is what the network's last layer is given (its penultimate features).  A node is a name of
``torchvision.models.feature_extraction``: ``torchvision/vgg16:classifier.3`` is the classic fc2,
``torchvision/vgg16:flatten`` the flattened map, ``torchvision/resnet50:fc`` the 1000 class scores.
"""

import os
import re
from difflib import get_close_matches
from hashlib import file_digest, sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.compute.extractors import weights
from pipeline.compute.extractors.base import Extractor, ExtractorSpec, Settings
from pipeline.compute.extractors.engines import network_extractor
from pipeline.compute.extractors.torchvision_table import DIMENSIONS, PUBLISHED
from pipeline.errors import UserError

if TYPE_CHECKING:
    import torch

_VERSION = 1
_PREFIX = "torchvision"
# What torchvision's own builders set when they are given published weights; we give the tensors ourselves.
_INCEPTION = {"transform_input": True, "aux_logits": True, "init_weights": False}
_ARGUMENTS: dict[str, dict[str, Any]] = {
    "googlenet": _INCEPTION,
    "inception_v3": _INCEPTION,
    "vit_h_14": {"image_size": 518},
}


def parse(name: str, rest: str) -> ExtractorSpec:
    """The specification of ``torchvision/<rest>``; the node is checked when the network is built.

    Raises:
        UserError: there is no such model; names the nearest.
    """
    model, _, node = rest.partition(":")
    if model not in PUBLISHED:
        near = get_close_matches(model, PUBLISHED, n=1, cutoff=0.0)[0]
        raise UserError(
            f"fingerprint.extractor: found {name}, which torchvision does not have; nearest: {_PREFIX}/{near}"
        )
    if ":" in rest and not node:
        raise UserError(f"fingerprint.extractor: found {name}; after the colon comes a node, or leave the colon out")
    file, preprocessing = PUBLISHED[model]
    return ExtractorSpec(name, _PREFIX, model, node or None, preprocessing, file, _VERSION)


def weights_hash(spec: ExtractorSpec) -> str:
    """The published file's name, which ends in the first digits of its SHA-256 (checked when it is read)."""
    return spec.published


def weights_file(spec: ExtractorSpec) -> Path:
    """Where the published weights lie, once they are there: torch's own folder, said without importing torch."""
    home = os.environ.get("TORCH_HOME") or f"{os.environ.get('XDG_CACHE_HOME') or '~/.cache'}/torch"
    return Path(home).expanduser() / "hub" / "checkpoints" / spec.published


def dimensions(spec: ExtractorSpec) -> int:
    """Length of a vector; of a node, found from shapes alone.

    Raises:
        UserError: no such node; lists them.
    """
    if spec.node is None:
        return DIMENSIONS[spec.model]
    from pipeline.compute.extractors import network

    return network.dimensions(lambda: without_weights(spec), spec.preprocessing)


def build(spec: ExtractorSpec, digest: str, settings: Settings) -> Extractor:
    """The extractor, ready to run; the published weights are downloaded on first use.

    Raises:
        UserError: no such node (lists them), or no weights (says which file to put where).
    """
    return network_extractor(lambda: _body(spec, settings.weights), spec, digest, settings)


def without_weights(spec: ExtractorSpec) -> "torch.nn.Module":
    """The network up to its node, as it is before any training.

    Raises:
        UserError: no such node; lists them.
    """
    return at_node(_network(spec), spec.node)


def _network(spec: ExtractorSpec) -> "torch.nn.Module":
    import torchvision

    network: torch.nn.Module = torchvision.models.get_model(
        spec.model, weights=None, **_ARGUMENTS.get(spec.model, {})
    ).eval()
    if spec.node is not None:
        check_node(network, spec.node)
    return network


def _body(spec: ExtractorSpec, source: str | None) -> "torch.nn.Module":
    network = _network(spec)  # a wrong node is told before anything is downloaded
    source = source or str(_published_file(spec))
    weights.load_into(network, weights.read_tensors(source), source)
    return at_node(network, spec.node)


def check_node(network: "torch.nn.Module", node: str) -> None:
    """Refuse a node that the network's graph does not have.

    Raises:
        UserError: names the nearest node and lists all.
    """
    from torchvision.models.feature_extraction import get_graph_node_names

    nodes = get_graph_node_names(network)[1]
    # The name of a module stands for its last node, as in torchvision.
    weights.check_node(node, nodes, any(name == node or name.startswith(f"{node}.") for name in nodes))


def at_node(network: "torch.nn.Module", node: str | None) -> "torch.nn.Module":
    """``network`` up to ``node``, or up to what its last layer is given; changes ``network``."""
    if node is None:
        return _without_last_layer(network)
    import torch
    from torchvision.models.feature_extraction import create_feature_extractor

    class Node(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = create_feature_extractor(network, {node: "vector"})

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            vector: torch.Tensor = self.network(images)["vector"]
            return vector

    return Node()


def _without_last_layer(network: "torch.nn.Module") -> "torch.nn.Module":
    import torch

    # In torchvision's classifiers the layer with weights that is registered last gives the scores; a test runs one of
    # each architecture.
    layers = [name for name, m in network.named_modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv2d)]
    network.set_submodule(layers[-1], torch.nn.Identity())
    return network


def _published_file(spec: ExtractorSpec) -> Path:
    """The published weights in torch's hub folder, downloaded where they are not there yet."""
    from torchvision.models import get_model_weights

    path = weights_file(spec)
    urls = [entry.url for entry in get_model_weights(spec.model) if entry.url.endswith("/" + spec.published)]
    if not path.exists():
        if not urls:
            raise UserError(f"{spec.name}: this torchvision does not know {spec.published}; put the file at {path}")
        weights.download(urls[0], path, spec.name)
    _check_hash(path)
    return path


def _check_hash(path: Path) -> None:
    expected = re.findall(r"-([0-9a-f]{8,})\.", path.name)[-1]
    with path.open("rb") as file:
        found = file_digest(file, sha256).hexdigest()
    if not found.startswith(expected):
        raise UserError(
            f"{path} is not what was published: SHA-256 {found[:16]}, expected {expected}; remove it, or name it in "
            "fingerprint.weights if it is yours"
        )
