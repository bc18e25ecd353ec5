"""Seeded mutations of real files: an image or a flaw, never another exception, never a hang."""

import random
import time
from collections.abc import Iterator

import pytest

from pipeline.compute.decoding import Limits, decode
from pipeline.compute.reasons import Flaw
from tests.pictures import exif, photo, saved

pytestmark = pytest.mark.filterwarnings("ignore:::PIL")  # Pillow comments on every odd TIFF

LIMITS = Limits(max_bytes=2**20, max_pixels=2**18)
_SLOWEST = 5.0  # seconds for one image of a quarter megapixel: a hang, not a slow machine


def originals() -> list[bytes]:
    image, block = photo(48, 40), exif(6, gps={29: "2024:01:05", 7: (9.0, 15.0, 30.5)}, t36867="2024:01:05 10:15:30")
    return [
        saved(image, exif=block),
        saved(image, progressive=True, exif=block),
        saved(image.convert("CMYK")),
        saved(image, "PNG", exif=block),
        saved(image.quantize(16), "PNG", transparency=1),
        saved(image, "WEBP", exif=block),
        saved(image.convert("RGBA"), "WEBP", lossless=True),
        saved(image, "TIFF", exif=block),
        saved(image, "TIFF", compression="tiff_lzw"),
        saved(image, "TIFF", compression="jpeg"),
        saved(image, "TIFF", compression="tiff_adobe_deflate"),
        saved(image, "GIF"),
        saved(image, "BMP"),
        saved(image, "AVIF", exif=block),
    ]


def mutations(count: int, seed: int) -> Iterator[bytes]:
    rng, files = random.Random(seed), originals()
    for number in range(count):
        data = bytearray(files[number % len(files)])
        head = rng.random() < 0.5  # half of them where the structure is
        for _ in range(rng.choice((1, 1, 2, 4, 16))):
            data[rng.randrange(min(len(data), 200) if head else len(data))] = rng.choice((0, 0xFF, rng.randrange(256)))
        kind = rng.random()
        if kind < 0.2:
            del data[rng.randrange(len(data)) :]
        elif kind < 0.3:
            start = rng.randrange(len(data))
            del data[start : start + rng.randrange(1, 64)]
        elif kind < 0.4:
            start = rng.randrange(len(data))
            data[start:start] = rng.randbytes(rng.randrange(1, 64))
        yield bytes(data)


def decode_all(count: int, seed: int) -> tuple[int, int]:
    good = bad = 0
    for data in mutations(count, seed):
        start = time.process_time()
        try:
            rgb = decode(data, LIMITS).rgb
        except Flaw:
            bad += 1
        else:
            good += 1
            assert rgb.ndim == 3
            assert rgb.shape[2] == 3
        assert time.process_time() - start < _SLOWEST
    return good, bad


def test_every_original_decodes() -> None:
    for data in originals():
        assert decode(data, LIMITS).rgb.shape in ((40, 48, 3), (48, 40, 3))


def test_hundreds_of_mutations() -> None:
    good, bad = decode_all(420, seed=1)
    assert good > 20
    assert bad > 100


@pytest.mark.slow
def test_thousands_of_mutations() -> None:
    good, bad = decode_all(8400, seed=2)
    assert good > 400
    assert bad > 2000
