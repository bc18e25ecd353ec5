"""Networks beside eager torch, bfloat16 beside float32, and what storing vectors as float16 does to their neighbours.

    python -m tests.bench.bench_extractors [--repeats N] [--models a,b]

One thread.  Weights are random (seeded), with batch norms calibrated: the speed is that of real ones, and the agreement
is one of arithmetic alone.  Baseline: eager torch, float32, channels last, batch 16.
"""

import argparse
import os
import tempfile
from pathlib import Path

from tests.bench import measuring

measuring.use_the_machines_own_kernels()
os.environ["OMP_NUM_THREADS"] = "1"  # as Ray sets it for a worker of one CPU

# What follows reads those settings when it is loaded, so it cannot stand above them.
import faiss
import numpy as np
import simplejpeg
import torch

from pipeline.compute import extractors
from pipeline.compute.extractors import network, torchvision_models
from tests.bench.bench_fingerprint import BATCH
from tests.bench.photographs import photographs
from tests.vectors import cosines

WANTED = ("float32", "bfloat16")
NEIGHBORS = 15


def seeded(model: str, images: np.ndarray, path: Path) -> torch.nn.Module:
    """A network with random weights and batch norms that have seen the images; its weights are put at ``path``."""
    torch.manual_seed(0)
    spec = extractors.resolve(f"torchvision/{model}")
    made = torchvision_models._network(spec)
    norms = [one for one in made.modules() if isinstance(one, torch.nn.BatchNorm2d)]
    for one in norms:
        one.momentum = None
        one.train()
    scaled = torch.from_numpy(images.astype(np.float32)).permute(0, 3, 1, 2)
    mean, std = (torch.tensor(one).view(1, 3, 1, 1) for one in (spec.preprocessing.mean, spec.preprocessing.std))
    with torch.inference_mode():
        made((scaled - mean) / std)
    torch.save(made.eval().state_dict(), path)
    body = torchvision_models.at_node(made, None)
    return network.with_pixels_in(body, spec.preprocessing, "float32").to(memory_format=torch.channels_last)


def bench_model(model: str, repeats: int, folder: Path) -> None:
    side = extractors.resolve(f"torchvision/{model}").preprocessing.height
    images = np.stack([simplejpeg.decode_jpeg(jpeg) for jpeg in photographs(BATCH, side, side)])
    eager = seeded(model, images, folder / f"{model}.pth")

    def by_eager() -> np.ndarray:
        with torch.inference_mode():
            return eager(torch.from_numpy(images)).numpy()

    ways = {"eager torch, channels_last, batch 16": by_eager}
    for precision in WANTED:
        settings = extractors.Settings(str(folder / f"{model}.pth"), precision)
        extractor = extractors.build(extractors.resolve(f"torchvision/{model}"), settings)
        ways[f"ours, {precision}"] = lambda extractor=extractor: extractor(images)
    costs = measuring.in_turns(ways, repeats)
    measuring.show(f"Forward pass, {model}, one thread", costs, len(images), next(iter(ways)))
    expected = by_eager()
    mean = expected.mean(0)
    for name, run in list(ways.items())[1:]:
        found = run()
        plain, centred = cosines(expected, found).min(), cosines(expected - mean, found - mean).min()
        print(f"  {name}: cosine to eager at least {plain:.7f}, after subtracting the mean {centred:.7f}")


def bench_storage(count: int) -> None:
    """Neighbours by vectors as they are and as float16 keeps them: crops of photographs, the default extractor."""
    extractor = extractors.build(extractors.resolve("efficientnet_lite0"), extractors.Settings())
    jpegs = photographs(count, 320, 240, seed=3)
    vectors = extractor(np.stack([extractor.prepare(simplejpeg.decode_jpeg(jpeg)) for jpeg in jpegs]))
    found = []
    for stored in (vectors, vectors.astype(np.float16).astype(np.float32)):
        centred = stored / np.linalg.norm(stored, axis=1, keepdims=True)
        centred = np.ascontiguousarray(centred - centred.mean(0))
        faiss.normalize_L2(centred)
        found.append(faiss.knn(centred, centred, NEIGHBORS + 1, metric=faiss.METRIC_INNER_PRODUCT)[1][:, 1:])
    shared = [len(set(one) & set(other)) / NEIGHBORS for one, other in zip(*found, strict=True)]
    first = np.mean(found[0][:, 0] == found[1][:, 0])
    halved = f"{vectors.nbytes // count} bytes a vector become {vectors.nbytes // count // 2}"
    print(f"\nStored as float16, {count} photographs: {halved};")
    print(f"  {np.mean(shared):.4f} of {NEIGHBORS} neighbours are the same, {first:.4f} of the nearest")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--models", default="resnet50,vgg16,vit_b_16,convnext_tiny")
    parser.add_argument("--stored", type=int, default=500)
    given = parser.parse_args()
    torch.set_num_threads(1)
    bench_storage(given.stored)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["IMAGETRACKS_CACHE"] = folder
        for model in given.models.split(","):
            bench_model(model, given.repeats, Path(folder))


if __name__ == "__main__":
    main()
