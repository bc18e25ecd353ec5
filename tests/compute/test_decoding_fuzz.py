"""Seeded mutations of real files: an image or a flaw, never another exception, a hang or a growth of memory."""

import gc
import random
import time
from collections.abc import Iterator

import psutil
import pyarrow as pa
import pytest

from pipeline.compute.decoding import Limits, decode
from pipeline.compute.reasons import PERMANENT, Flaw, Reason
from pipeline.schemas import UNDATED
from pipeline.stages.ingest import ingest
from pipeline.stages.ingest_params import IngestParams
from tests.objects import objects
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


def mutated_exif(count: int, seed: int) -> Iterator[bytes]:
    """JPEGs that are whole but for their EXIF block."""
    rng = random.Random(seed)
    whole = originals()[0]
    start = whole.index(b"Exif\0\0") + 6
    length = int.from_bytes(whole[start - 8 : start - 6], "big") - 8
    for _ in range(count):
        data = bytearray(whole)
        for _ in range(rng.choice((1, 2, 4, 16))):
            data[start + rng.randrange(length)] = rng.choice((0, 1, 0xFF, 0x7F, 0x3A, rng.randrange(256)))
        yield bytes(data)


def read_all(contents: Iterator[bytes]) -> pa.Table:
    """Rows of ``images``, as the pipeline makes them: dated too."""
    rows = [{"image_id": f"{n:032x}", "key": str(n), "uri": str(n), "bytes": data} for n, data in enumerate(contents)]
    return ingest(objects(*rows), IngestParams(max_pixels=LIMITS.max_pixels, image_px=64))


def resident() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


def test_every_original_decodes() -> None:
    for data in originals():
        assert decode(data, LIMITS).rgb.shape in ((40, 48, 3), (48, 40, 3))


@pytest.mark.slow
def test_hundreds_of_mutations() -> None:
    good, bad = decode_all(420, seed=1)
    assert good > 20
    assert bad > 100


@pytest.mark.slow
def test_nonsense_in_exif_spoils_a_date_but_never_an_image() -> None:
    rows = read_all(mutated_exif(600, seed=3))
    assert rows["reason"].null_count == rows.num_rows
    dates = set(rows["date"].to_pylist())
    assert {"2024-01-05", UNDATED} <= dates  # some blocks still say when, and some nothing
    assert all("1901" <= date[:4] <= "2100" for date in dates - {UNDATED})


@pytest.mark.slow
def test_thousands_of_mutations() -> None:
    decode_all(1400, seed=4)  # what decoders keep for good, they have by now
    before = resident()
    good, bad = decode_all(8400, seed=2)
    assert good > 400
    assert bad > 2000
    assert resident() - before < 48 * 2**20


@pytest.mark.slow
def test_thousands_of_rows_with_a_reason_each() -> None:
    read_all(mutations(280, seed=5))
    before = resident()
    for seed in range(10):
        rows = read_all(mutations(280, seed))
        assert rows.num_rows == 280
        reasons = rows["reason"].drop_null().to_pylist()
        assert {Reason(reason) for reason in reasons} <= set(PERMANENT)
        assert [pixels is None for pixels in rows["pixels"].to_pylist()] == rows["reason"].is_valid().to_pylist()
    assert resident() - before < 48 * 2**20
