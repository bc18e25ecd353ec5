"""The sets and simulated dates of the benches of quality, with what it costs to make them kept in OUT/vectors."""

import csv
import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

import pipeline.sample
from pipeline.digests import digest
from pipeline.sample import write_sample
from pipeline.stages.fingerprint import Fingerprinter, FingerprintParams, extractor_digest
from pipeline.stages.projection import ProjectionParams, apply, fit
from tests import objects
from tests.bench.dates import planted
from tests.shared_sets import DATA, rows_of

CACHE = Path(os.environ.get("OUT", "out")) / "vectors"
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Photographs:
    """A set: vectors in one order, with each one's subject and date."""

    vectors: Vectors
    subject: npt.NDArray[np.str_]
    date: npt.NDArray[np.str_]


@dataclass(frozen=True)
class Dates:
    """An instrument: dates, each vectors and subjects."""

    name: str
    dates: list[tuple[Vectors, npt.NDArray[np.generic]]]


# --- what is kept in ``CACHE`` ----------------------------------------------------------------------------------------


def fingerprints(params: FingerprintParams, paths: Sequence[str], root: Path) -> pa.Table:
    """Fingerprints of the photographs at ``paths`` below ``root``, kept by the extractor and their content."""
    images = objects.images(paths, [(root / path).read_bytes() for path in paths])
    hashes = [hashlib.blake2b(pixels, digest_size=16).hexdigest() for pixels in images["pixels"].to_pylist()]
    kept = CACHE / f"{digest([extractor_digest(params), list(paths), hashes])}.parquet"
    if not kept.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        made = kept.with_suffix(f".{os.getpid()}")
        pq.write_table(Fingerprinter(params)(images), made)
        made.rename(kept)
    return pq.read_table(kept)


def sample() -> Path:
    """The sample's folder, kept by the code that makes it."""
    code = [file.read_text() for file in sorted(Path(pipeline.sample.__file__).parent.glob("*.py"))]
    kept = CACHE / f"sample-{digest(code)}"
    if not kept.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=CACHE))
        write_sample(made)
        made.rename(kept)
    return kept


# --- the sets -------------------------------------------------------------------------------------------------------


def photographs(root: Path, rows: Sequence[tuple[str, str, str]]) -> Photographs:
    """Fingerprint and project (path, subject, date) below ``root``, as a run does by default."""
    paths, subjects, dates = zip(*sorted(rows), strict=True)
    found = fingerprints(FingerprintParams(), paths, root)
    _, vectors = apply(fit([found], ProjectionParams(), len(paths)), found)
    return Photographs(vectors, np.array(subjects), np.array(dates))


def shared_set(name: str) -> Photographs:
    rows = [(row["path"], row["identity"], row.get("captured_at", "")[:10]) for row in rows_of(name)]
    return photographs(DATA / name, rows)


def sample_set() -> Photographs:
    folder = sample()
    with (folder / "truth.csv").open(newline="") as file:
        truth = [(row["path"], row["identity"]) for row in csv.DictReader(file)]
    return photographs(folder / "images", [(path, who, taken(folder / "images" / path)) for path, who in truth])


def taken(path: Path) -> str:
    stamp = Image.open(path).getexif().get_ifd(0x8769)[36867]
    return str(datetime.strptime(stamp, "%Y:%m:%d %H:%M:%S").date())


def real_sets() -> Iterator[tuple[str, Photographs]]:
    """The sets whose subjects are followed."""
    yield "sample", sample_set()
    if DATA.exists():
        for name in ("bananas", "emoji"):
            yield name, shared_set(name)
    else:
        print(f"no {DATA.name}: bananas and emoji are left out")


# --- dates ------------------------------------------------------------------------------------------------------------


def by_date(name: str, photos: Photographs, together: int = 1) -> Dates:
    """Dates of ``photos``, ``together`` consecutive ones taken as one."""
    order = np.unique(photos.date, return_inverse=True)[1] // together
    parts = [order == d for d in range(order.max() + 1)]
    label = name if together == 1 else f"{name} x {together}"
    return Dates(label, [(photos.vectors[part], photos.subject[part]) for part in parts])


def poses(photos: Photographs, shots: int | None) -> Dates:
    """Dates of umist: every fourth pose and up to three that follow (1 to 4 shots, seeded), or ``shots``."""
    rng = np.random.default_rng(0)
    dates: dict[int, list[int]] = {}
    for person in np.unique(photos.subject):
        rows = np.flatnonzero(photos.subject == person)
        for date, start in enumerate(range(0, len(rows) - 3, 4)):
            dates.setdefault(date, []).extend(rows[start : start + (shots or rng.integers(1, 5))])
    name = "umist, 1 to 4 poses" if shots is None else f"umist, {shots} pose"
    return Dates(name, [(photos.vectors[rows], photos.subject[rows]) for rows in dates.values()])


def real_instruments() -> Iterator[Dates]:
    yield by_date("sample", sample_set())
    if not DATA.exists():
        print(f"no {DATA.name}: bananas, emoji and umist are left out")
        return
    bananas, emoji, umist = (shared_set(name) for name in ("bananas", "emoji", "umist"))
    yield from (by_date("bananas", bananas, n) for n in (1, 2, 4))
    yield from (by_date("emoji", emoji, n) for n in (1, 2))
    yield from (poses(umist, 1), poses(umist, None), by_date("umist", umist))


def simulated_instruments() -> Iterator[Dates]:
    rng = np.random.default_rng(0)
    kinds: dict[str, tuple[list[int], float]] = {
        "singletons": ([1] * 150, 1.0),
        "few large": ([100] * 5, 1.0),
        "many small": ([3] * 100, 1.0),
        "pairs": ([2] * 60, 1.0),
        "1 to 20 shots": (rng.integers(1, 21, size=30).tolist(), 1.0),
        "half noise": ([10] * 10 + [1] * 100, 1.0),
        "4 of 5 noise": ([20] * 5 + [1] * 400, 1.0),
        "one huge": ([300] + [1] * 60, 1.0),
        "3x spread of scatter": ([5] * 40, 3.0),
        "two subjects": ([4, 4], 1.0),
    }
    for name, (sizes, spread) in kinds.items():
        for scatter in (0.1, 0.3):
            dates = [planted(sizes, scatter, seed, spread) for seed in range(3)]
            yield Dates(f"sim {name}, {scatter}", [(vectors, truth) for vectors, truth in dates])


def large_instruments() -> Iterator[Dates]:
    """Crowded dates: what single dates of some hundred images do not show."""
    for name, sizes, scatter in (
        ("1 000 singletons", [1] * 1000, 0.1),
        ("1 500 pairs", [2] * 1500, 0.1),
        ("3 000, half noise", [10] * 150 + [1] * 1500, 0.1),
        ("3 000, half noise", [10] * 150 + [1] * 1500, 0.3),
    ):
        yield Dates(f"sim {name}, {scatter}", [planted(sizes, scatter, 0)])
