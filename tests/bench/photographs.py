"""JPEGs for measuring: crops of photographs that ship in scikit-image and scikit-learn, each with its own noise."""

from collections.abc import Iterator

import numpy as np
import simplejpeg


def photographs(count: int, width: int, height: int, seed: int = 0) -> Iterator[bytes]:
    """``count`` JPEGs of ``width`` x ``height``; the same for the same arguments."""
    from PIL import Image
    from skimage import data
    from sklearn.datasets import load_sample_images

    scenes = [data.astronaut(), data.coffee(), data.cat(), *load_sample_images().images]
    rng = np.random.default_rng(seed)
    for number in range(count):
        scene = Image.fromarray(scenes[number % len(scenes)])
        share = rng.uniform(0.5, 1.0)
        wide, tall = int(scene.width * share), int(scene.height * share)
        left, top = (int(rng.integers(0, most + 1)) for most in (scene.width - wide, scene.height - tall))
        crop = scene.resize((width, height), Image.Resampling.BICUBIC, box=(left, top, left + wide, top + tall))
        noisy = np.asarray(crop) + rng.normal(0, 4, (height, width, 3))
        quality = int(rng.integers(80, 95))
        yield simplejpeg.encode_jpeg(noisy.clip(0, 255).astype(np.uint8), quality, colorsubsampling="420")
