"""Several extractors in one run: a table each by one pass over the images, and side by side as one fingerprint."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.runtime.fingerprint_map import Reader
from pipeline.runtime.fingerprints import filled
from pipeline.runtime.survey import survey
from pipeline.schemas import FINGERPRINTS, VOCABULARY
from pipeline.stages.fingerprint import FingerprintParams, extractor_folder
from pipeline.stages.vectors import to_matrix
from pipeline.stages.vocabulary import fit_vocabulary, words_of
from tests.pictures import photo, saved
from tests.runtime.runs import config_of, files, no_engine, open_read, run_local, tables

pytestmark = pytest.mark.slow  # torch resizes

GREY, COLORS = "raw_pixels:size=8:color=grey", "classical/colour_histogram:bins=4"


@pytest.fixture
def photos(tmp_path):
    for number in range(6):
        folder = tmp_path / "photos" / f"2024-01-0{1 + number // 3}"
        folder.mkdir(parents=True, exist_ok=True)
        photo(40, 30, number).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"no image")
    return tmp_path / "photos"


@pytest.fixture
def reads(monkeypatch):
    """Where the spans of images begin that were read with their pixels, unit by unit."""
    seen, read = [], Reader.__call__

    def counted(self, unit):
        seen.append(unit["start"].to_pylist())
        return read(self, unit)

    monkeypatch.setattr(Reader, "__call__", counted)
    return seen


def matrix(workspace, name):
    """Vectors of all dates by image, and how many rows have none."""
    store = open_read(workspace).workspace.store(FINGERPRINTS, extractor_folder(name))
    rows = [FINGERPRINTS.check(store.read(date, None, one)) for date, one in store.partitions.items()]
    found = [row.filter(row["vector"].is_valid()) for row in rows]
    vectors = np.concatenate([to_matrix(row["vector"]) for row in found])
    return vectors, sum(row["reason"].null_count < row.num_rows for row in rows)


def extractors(main, *also):
    return f"fingerprint.extractor={json.dumps(main)}", f"fingerprint.also={json.dumps(also)}"


def test_a_table_each_by_one_pass_and_later_only_what_is_missing(photos, tmp_path, reads):
    workspace = tmp_path / "ws"
    run_local(photos, workspace, *extractors(GREY, COLORS))
    assert reads == [[0, 0]]  # of both dates, which fill a batch together
    (grey, failed), (colors, failed_too) = matrix(workspace, GREY), matrix(workspace, COLORS)
    assert (grey.shape, colors.shape, failed, failed_too) == ((6, 64), (6, 64), 1, 1)
    np.testing.assert_allclose(np.linalg.norm(colors, axis=1), 1, atol=1e-6)

    before = files(workspace)
    run_local(photos, workspace, *extractors(GREY, COLORS), make_engine=no_engine)
    assert files(workspace) == before

    run_local(photos, workspace, *extractors(GREY, COLORS, "raw_pixels:size=4"))
    assert len(reads) == 2  # for the new one alone
    photo(40, 30, 99).save(photos / "2024-01-01" / "late.png")
    run_local(photos, workspace, *extractors(GREY, COLORS, "raw_pixels:size=4"))
    assert reads[2:] == [[0]]
    assert [len(matrix(workspace, name)[0]) for name in (GREY, COLORS, "raw_pixels:size=4")] == [7, 7, 7]


@given(st.lists(st.integers(1, 9), max_size=40), st.integers(1, 60))
def test_units_hold_all_spans_in_order_and_no_more_images_than_asked_for(numbers, rows):
    spans = [(pa.table({"place": [place]}), number) for place, number in enumerate(numbers)]
    units = list(filled(spans, rows))
    assert [place for unit, _ in units for place in unit["place"].to_pylist()] == list(range(len(numbers)))
    assert sum(count for _, count in units) == sum(numbers)
    assert all(count <= rows or unit.num_rows == 1 for unit, count in units)
    firsts = [numbers[unit["place"][0].as_py()] for unit, _ in units]
    full = [
        unit.num_rows == 16 or count + following > rows
        for (unit, count), following in zip(units, firsts[1:], strict=False)
    ]
    assert all(full)
    assert all(unit.num_rows <= 16 for unit, _ in units)


def test_what_is_stale_is_told_for_each(photos, tmp_path):
    workspace = tmp_path / "ws"
    run_local(photos, workspace, *extractors(GREY, COLORS))
    shown = survey(open_read(workspace, *extractors(GREY, COLORS, "raw_pixels:size=4")))
    stale = {(row.table, row.stale) for row in shown if row.table.startswith("fingerprints")}
    assert stale == {
        ("fingerprints", None),
        (f"fingerprints {COLORS}", None),
        ("fingerprints raw_pixels:size=4", "not computed yet"),
    }


def test_side_by_side_each_of_its_share(photos, tmp_path):
    workspace = tmp_path / "ws"
    run_local(photos, workspace, *extractors([GREY, COLORS], GREY, COLORS), "fingerprint.block_weights=[3, 1]")
    both, failed = matrix(workspace, f"{GREY}+{COLORS}")
    grey, colors = matrix(workspace, GREY)[0], matrix(workspace, COLORS)[0]
    unit = grey / np.linalg.norm(grey, axis=1, keepdims=True)
    np.testing.assert_allclose(both, np.hstack([unit * np.sqrt(0.75), colors * 0.5]), atol=1e-6)
    assert failed == 1


def test_a_share_is_part_of_what_makes_a_fingerprint_stale():
    names = ("efficientnet_lite0", "raw_pixels")
    even, same, other = (
        config_of("fingerprint.extractor=[efficientnet_lite0, raw_pixels]", f"fingerprint.block_weights={weights}")
        for weights in ("null", "[2, 2]", "[2, 1]")
    )
    from pipeline.stages.fingerprint import extractor_digest, extractor_inputs

    assert even.fingerprint.names == names
    assert extractor_digest(even.fingerprint) == extractor_digest(same.fingerprint)
    assert extractor_inputs(even.fingerprint) == extractor_inputs(same.fingerprint)
    assert extractor_digest(even.fingerprint) != extractor_digest(other.fingerprint)
    assert extractor_inputs(even.fingerprint) != extractor_inputs(other.fingerprint)
    assert extractor_digest(even.fingerprint) != extractor_digest(FingerprintParams())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["fingerprint.extractor=[]"], "found an empty list"),
        (["fingerprint.extractor=[raw_pixels, raw_pixels]"], "named twice"),
        (["fingerprint.also=[efficientnet_lite0]"], "which fingerprint.extractor has"),
        (["fingerprint.extractor=[raw_pixels, classical/hog]", "fingerprint.block_weights=[1]"], "for each of raw_pix"),
        (["fingerprint.block_weights=[0]"], "a number above 0"),
        (["fingerprint.also=[raw_pixels]", "fingerprint.weights=w.pth"], "one file for several"),
        (["fingerprint.weights={classical/hog: w.pth}"], "which is no extractor here"),
        (["fingerprint.also=[classical/hogg]"], "nearest: classical/hog"),
    ],
)
def test_what_does_not_fit_together_is_refused(settings, words):
    with pytest.raises(UserError, match=words):
        config_of(*settings)


def test_a_bag_of_sift_is_fitted_once_and_named_by_its_words(photos, tmp_path):
    workspace, bag = tmp_path / "ws", "classical/bag_of_sift:words=16:side=64"
    given = extractors(GREY, bag)
    run_local(photos, workspace, *given)
    store = open_read(workspace).workspace.store(VOCABULARY, extractor_folder(bag))
    (name,) = store.partitions
    model = VOCABULARY.check(store.read(name, None, store.partitions[name]))
    assert (store.extra["model"], model["num_words"].to_pylist(), model["num_images"].to_pylist()) == (name, [16], [6])
    vectors, failed = matrix(workspace, bag)
    assert (vectors.shape, failed) == ((6, 16), 1)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)

    before = files(workspace)
    run_local(photos, workspace, *given, make_engine=no_engine)
    assert files(workspace) == before
    photo(40, 30, 98).save(photos / "2024-01-02" / "late.png")
    run_local(photos, workspace, *given)
    assert list(open_read(workspace).workspace.store(VOCABULARY, extractor_folder(bag)).partitions) == [name]
    assert len(matrix(workspace, bag)[0]) == 7


def test_words_do_not_depend_on_order_or_splits():
    images = pa.table(
        {"image_id": ["b", "a", "c"], "pixels": [saved(photo(60, 50, seed), "PNG") for seed in (1, 2, 3)]}
    )
    first = fit_vocabulary(images, "classical/bag_of_sift:words=4", 3)
    other = fit_vocabulary(pa.concat_tables([images.slice(2), images.slice(0, 2)]), "classical/bag_of_sift:words=4", 3)
    assert first.equals(other)
    assert words_of(first).shape == (4, 128)
    none = fit_vocabulary(images.slice(0, 0), "classical/bag_of_sift", 0)
    assert words_of(none).shape == (0, 128)


def test_half_the_bytes_keep_the_vectors_and_a_change_of_storage_makes_them_anew(photos, tmp_path):
    workspace = tmp_path / "ws"
    run_local(photos, workspace, *extractors(COLORS))
    before, _ = matrix(workspace, COLORS)
    run_local(photos, workspace, *extractors(COLORS), "fingerprint.storage=float16")
    after, failed = matrix(workspace, COLORS)
    assert failed == 1
    np.testing.assert_array_equal(after, before.astype(np.float16).astype(np.float32))
    rows = tables(workspace, *extractors(COLORS))["fingerprints"]["2024-01-01"]
    assert rows["vector"].type.value_type == pa.float16()
    written = files(workspace)
    run_local(photos, workspace, *extractors(COLORS), "fingerprint.storage=float16", make_engine=no_engine)
    assert files(workspace) == written
