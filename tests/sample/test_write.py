"""The whole sample: written once for this module, which takes some twenty seconds."""

import csv
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.optimize import linear_sum_assignment

from pipeline.errors import UserError
from pipeline.sample import SampleReport, write_sample
from pipeline.sample.world import DATES, SPLIT_PIECE, events, views
from pipeline.sample.write import _Writer
from tests.runtime.runs import run_local
from tests.test_quality import scored

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Sample:
    """The sample on disk, and the date and the identity of every image that the truth names, by path."""

    folder: Path
    report: SampleReport
    identity: dict[str, str]
    date: dict[str, str]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    folder = tmp_path_factory.mktemp("samples") / "sample"
    (folder.with_name("sample.partial") / "images").mkdir(parents=True)
    (folder.with_name("sample.partial") / "images" / "left_by_a_crash.jpg").touch()
    report = write_sample(folder)
    identity = {row["path"]: row["identity"] for row in rows(folder / "truth.csv")}
    dates = {}
    for path in identity:
        with Image.open(report.images / path) as opened:
            taken = opened.getexif().get_ifd(0x8769)[36867]
        dates[path] = taken[:10].replace(":", "-")
    return Sample(folder, report, identity, dates)


def files(sample: Sample) -> set[str]:
    images = sample.report.images
    return {path.relative_to(images).as_posix() for path in images.rglob("*") if path.is_file()}


def test_the_truth_names_every_file_but_the_broken_and_the_undated(sample: Sample) -> None:
    odd = {*sample.report.broken, sample.report.undated}
    assert len(odd) == 3
    assert files(sample) == set(sample.identity) | odd
    assert sample.report.num_files == len(files(sample))
    assert sample.report.num_subjects == len(set(sample.identity.values()))


def test_the_truth_lies_outside_the_images(sample: Sample) -> None:
    assert sorted(path.name for path in sample.folder.iterdir()) == ["images", "truth.csv", "truth_events.csv"]
    assert all(path.endswith(".jpg") for path in files(sample))
    assert [path.name for path in sample.folder.parent.iterdir()] == ["sample"]


def test_a_folder_with_something_in_it_is_left_alone(sample: Sample) -> None:
    before = files(sample)
    with pytest.raises(UserError, match="new or an empty folder"):
        write_sample(sample.folder)
    assert files(sample) == before


def test_every_subject_of_the_script_has_three_to_five_shots_a_date(sample: Sample) -> None:
    shots: dict[tuple[str, str], int] = defaultdict(int)
    for path, identity in sample.identity.items():
        if path != sample.report.duplicate[1]:
            shots[sample.date[path], identity] += 1
    assert set(shots) == {(day.isoformat(), view.identity) for index, day in enumerate(DATES) for view in views(index)}
    assert {3, 4, 5} == set(shots.values())


def test_true_events_are_those_of_the_script(sample: Sample) -> None:
    written = [tuple(row.values()) for row in rows(sample.report.truth_events)]
    assert written == [(e.kind, e.date.isoformat(), e.identity, e.other) for e in events()]


def test_names_say_nothing(sample: Sample) -> None:
    assert all(re.fullmatch(r"DCIM/10[0-5]MEDIA/photo_[a-z]{10}\.jpg", path) for path in files(sample))
    folders: dict[str, set[str]] = defaultdict(set)
    for path, day in sample.date.items():
        folders[path.split("/")[1]].add(day)
    assert all(len(days) == len(DATES) for days in folders.values())


def test_the_broken_files_are_broken_and_the_undated_is_not_dated(sample: Sample) -> None:
    images = sample.report.images
    truncated, page = sample.report.broken
    with Image.open(images / truncated) as opened, pytest.raises(OSError, match="truncated"):
        opened.load()
    with pytest.raises(UnidentifiedImageError):
        Image.open(images / page)
    with Image.open(images / sample.report.undated) as opened:
        opened.load()
        assert not opened.getexif()


def test_the_duplicate_is_exact_and_on_its_own_date(sample: Sample) -> None:
    one, two = sample.report.duplicate
    assert one != two
    assert (sample.report.images / one).read_bytes() == (sample.report.images / two).read_bytes()
    assert sample.identity[one] == sample.identity[two]
    assert len({(sample.report.images / path).read_bytes() for path in sample.identity}) == len(sample.identity) - 1


def test_some_but_not_all_cameras_know_their_offset(sample: Sample) -> None:
    offsets = set()
    for path in sorted(sample.identity)[:60]:
        with Image.open(sample.report.images / path) as opened:
            offsets.add(opened.getexif().get_ifd(0x8769).get(36881))
    assert offsets == {None, "+01:00"}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(sample: Sample, tmp_path: Path) -> None:
    """A date drawn alone, backwards and in one thread, is the date as it was written with all the others."""
    index = 7
    again, other = _Writer(tmp_path / "again", 0), _Writer(tmp_path / "other", 1)
    for view in reversed(views(index)):
        for shot in again.shots(index, view):
            assert (sample.report.images / shot.path).read_bytes() == shot.data
    for shot in other.shots(index, views(index)[0]):
        assert not (sample.report.images / shot.path).exists()


def test_it_is_small_enough_to_write_anywhere(sample: Sample) -> None:
    assert sum((sample.report.images / path).stat().st_size for path in files(sample)) < 40e6
    assert 600 <= sample.report.num_files <= 900


@pytest.mark.timeout(600)
def test_the_pipeline_finds_its_subjects_and_events(sample: Sample, tmp_path: Path) -> None:
    run_local(sample.report.images, tmp_path / "ws")
    result = scored(tmp_path / "ws", sample.report.truth, sample.report.truth_events)
    assert result.tracks["idf1"] >= 0.90
    found = {one.kind: one.num_matched for one in result.events}
    assert found == {"birth": 3, "end": 2, "gap": 1, "split": 1, "merge": 1}


def normalised(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def idf1(labels: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    """Images in the best one-to-one matching of clusters and subjects, as a share of all."""
    counts = np.zeros((labels.max() + 1, truth.max() + 1), dtype=np.int64)
    np.add.at(counts, (labels, truth), 1)
    return float(counts[linear_sum_assignment(-counts)].sum() / len(truth))


@pytest.fixture(scope="module")
def fingerprints(sample: Sample) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.str_]]:
    """Vectors by the default extractor, subjects by number, dates; one row an image, by path."""
    from pipeline.compute.extractors import build, resolve
    from pipeline.compute.extractors.base import Settings

    extractor = build(resolve("efficientnet_lite0"), Settings(threads=2))
    paths = sorted(sample.identity)
    blocks = []
    for start in range(0, len(paths), 32):
        block = []
        for path in paths[start : start + 32]:
            with Image.open(sample.report.images / path) as opened:
                block.append(extractor.prepare(np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))))
        blocks.append(extractor(np.stack(block)))
    subjects = np.unique([sample.identity[path] for path in paths], return_inverse=True)[1]
    vectors = np.concatenate(blocks).astype(np.float64)
    return vectors, subjects, np.array([sample.date[path] for path in paths])


@pytest.mark.parametrize("method", ["ward", "average"])
@pytest.mark.parametrize("form", ["as they are", "unit length", "centred"])
def test_clustering_the_whole_collection_by_look_fails(
    fingerprints: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.str_]], method: str, form: str
) -> None:
    """Told the true number of subjects, global linkage groups by state: this is why the system exists."""
    vectors, subjects, _ = fingerprints
    if form == "centred":
        vectors = vectors - vectors.mean(axis=0)
    if form != "as they are":
        vectors = normalised(vectors)
    labels = fcluster(linkage(vectors, method), subjects.max() + 1, "maxclust") - 1
    assert idf1(labels, subjects) < 0.75


def test_from_date_to_date_every_subject_is_its_own_nearest(
    fingerprints: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.str_]],
) -> None:
    """Means of (subject, date) find their subject's last mean among all subjects seen before: change is small."""
    vectors, subjects, dates = fingerprints
    last: dict[int, NDArray[np.float64]] = {}
    right = []
    for day in sorted(set(dates)):
        today = {
            int(subject): normalised(vectors[(dates == day) & (subjects == subject)].mean(axis=0, keepdims=True))[0]
            for subject in np.unique(subjects[dates == day])
        }
        right += [
            max(last, key=lambda other: float(mean @ last[other])) == subject
            for subject, mean in today.items()
            if subject in last
        ]
        last |= today
    assert len(right) > 140
    assert np.mean(right) >= 0.98


def test_the_split_piece_looks_like_what_it_came_from(
    sample: Sample, fingerprints: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.str_]]
) -> None:
    """On its first date its mean is nearest to the print it tore off, of all that hung there before."""
    vectors, subjects, dates = fingerprints
    names = sorted(set(sample.identity.values()))
    split = next(event for event in events() if event.kind == "split")
    before = DATES[DATES.index(split.date) - 1].isoformat()

    def mean(name: str, day: str) -> NDArray[np.float64]:
        return normalised(vectors[(dates == day) & (subjects == names.index(name))].mean(axis=0, keepdims=True))[0]

    piece = mean(SPLIT_PIECE, split.date.isoformat())
    there = [view.identity for view in views(DATES.index(split.date) - 1)]
    assert max(there, key=lambda name: float(piece @ mean(name, before))) == split.other
