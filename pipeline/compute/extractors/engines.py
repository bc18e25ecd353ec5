"""A torch network -> an engine at one batch shape: ONNX Runtime on the CPU where it agrees, torch elsewhere.

ONNX Runtime is 2.5 times as fast as eager torch for networks of small convolutions and batch norms and never slower
than some percent (PERFORMANCE.md B), and its graph starts without torch.
"""

import logging
import os
import platform
import warnings
from collections.abc import Callable
from hashlib import blake2b
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from pipeline.compute.extractors import cache
from pipeline.compute.extractors.base import (
    CPU_BATCH,
    BatchExtractor,
    Engine,
    Extractor,
    ExtractorSpec,
    Pixels,
    Precision,
    Settings,
    Vectors,
)
from pipeline.compute.extractors.preprocessing import Preprocessing
from pipeline.errors import UserError

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

CUDA_BATCH = 256
"""Images at a time on a GPU, which needs more work in flight than a CPU."""
# Below this the exported graph is not the network, and torch is used.
_AGREEMENT = 0.99999

MakeNetwork = Callable[[], "torch.nn.Module"]


def batch_size(settings: Settings) -> int:
    """The one batch size of a device."""
    return CPU_BATCH if settings.device == "cpu" else CUDA_BATCH


def network_extractor(make_body: MakeNetwork, spec: ExtractorSpec, digest: str, settings: Settings) -> Extractor:
    """The extractor of the network that ``make_body`` builds, see :func:`make_engine`."""
    engine = make_engine(make_body, spec.preprocessing, digest, settings)
    return BatchExtractor(spec, digest, engine, batch_size(settings))


def make_engine(make_body: MakeNetwork, how: Preprocessing, digest: str, settings: Settings) -> Engine:
    """An engine for the network that ``make_body`` builds (called only where the exported graph is not at hand).

    Args:
        make_body: builds a network in evaluation mode, (n, 3, h, w) float32 normalised -> 2 to 4 dimensions.
        how: input size and normalisation, which become part of the network.
        digest: names the extractor; key of the exported graph.
        settings: device, precision and threads.

    Raises:
        UserError: the device cannot do this.
    """
    _check_device(settings)
    if settings.device == "cpu" and settings.precision == "float32":
        graph = cache.remembered(
            f"onnx/{_graph_key(digest)}.onnx", lambda: _export(_whole(make_body, how, "float32"), how)
        )
        if graph:
            return onnx_engine(graph, settings.threads)
    return torch_engine(_whole(make_body, how, settings.precision), how, settings)


def onnx_engine(graph: bytes, threads: int) -> Engine:
    """Run an exported graph by ONNX Runtime, ``threads`` batches at once, each in the thread that asks for it.

    Two threads that share one batch and sleep while they wait cost a quarter more CPU for each image, and threads that
    spin take the time of the other processes on a shared machine (PERFORMANCE.md B).
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before it is loaded: it reports to its makers
    import onnxruntime as ort

    ort.disable_telemetry_events()
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    given, wanted = session.get_inputs()[0].name, [session.get_outputs()[0].name]

    def run(batch: Pixels) -> Vectors:
        vectors: Vectors = session.run(wanted, {given: batch})[0]
        return vectors

    return Engine(run, int(session.get_outputs()[0].shape[1]), at_once=threads)


def torch_engine(network: "torch.nn.Module", how: Preprocessing, settings: Settings) -> Engine:
    """Run a network by torch, channels last; on a GPU from pinned memory.

    float32 on a GPU lets TF32 into convolutions and products: cosine to exact float32 above 0.99999 (measured on
    EfficientNet-Lite0; float16 0.99998, bfloat16 0.998), at the speed of the tensor cores.
    """
    import torch

    device = torch.device(settings.device)
    pinned = device.type == "cuda"
    if pinned:
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = False  # it would choose kernels by a clock
        torch.backends.cudnn.deterministic = True
    else:
        torch.set_num_threads(settings.threads)
    network = network.to(device).to(memory_format=torch.channels_last)
    shape = (batch_size(settings), how.height, how.width, 3)
    staging = torch.zeros(shape, dtype=torch.uint8, pin_memory=pinned)

    def run(batch: Pixels) -> Vectors:
        staging.numpy()[...] = batch
        with torch.inference_mode():
            # The copy back waits for the network, so the staging memory is free again on return.
            vectors: Vectors = network(staging.to(device, non_blocking=True)).float().cpu().numpy()
        return vectors

    with torch.inference_mode():
        dimensions = int(network(staging[:1].to(device)).shape[1])
    return Engine(run, dimensions)


def _check_device(settings: Settings) -> None:
    if settings.device == "cpu":
        if settings.precision == "float16":
            # Measured 75 times slower than bfloat16: CPUs emulate it.
            raise UserError("fingerprint.precision: float16 needs a GPU; use float32 or bfloat16 on a CPU")
        return
    import torch

    if not torch.cuda.is_available():
        raise UserError("resources ask for a GPU and torch finds none here; set resources to use no GPU")


def _whole(make_body: MakeNetwork, how: Preprocessing, precision: Precision) -> "torch.nn.Module":
    from pipeline.compute.extractors.network import with_pixels_in

    return with_pixels_in(make_body(), how, precision)


def _graph_key(digest: str) -> str:
    tools = [f"{name} {version(name)}" for name in ("torch", "onnxscript", "onnxruntime")]
    parts = [digest, str(CPU_BATCH), platform.machine(), *tools]
    return blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def _export(network: "torch.nn.Module", how: Preprocessing) -> bytes:
    """The network as an ONNX graph, uint8 NHWC in; empty where it cannot be exported or does not agree with torch."""
    import torch

    noise = np.random.default_rng(0).integers(0, 256, (CPU_BATCH, how.height, how.width, 3), dtype=np.uint8)
    probe = torch.from_numpy(noise)
    with torch.inference_mode():
        expected = network(probe).numpy()
    try:
        graph = _to_onnx(network, probe)
        found = onnx_engine(graph, 1).run(noise)
    except Exception as error:  # the exporter and the runtime raise what they like, and torch can do without them
        log.warning("runs by torch: ONNX export failed: %s", str(error).splitlines()[:1])
        return b""
    agreement = float(np.min(_cosines(expected, found)))
    if not agreement > _AGREEMENT:
        log.warning("runs by torch: the exported graph agrees only to cosine %.7f", agreement)
        return b""
    return graph


def _to_onnx(network: "torch.nn.Module", probe: "torch.Tensor") -> bytes:
    import torch

    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(network, (probe,), dynamo=True, verbose=False)
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    return bytes(program.model_proto.SerializeToString())


def _cosines(a: Vectors, b: Vectors) -> Vectors:
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines: Vectors = np.where(lengths > 0, (a * b).sum(1) / lengths, (a == b).all(1))
    return cosines
