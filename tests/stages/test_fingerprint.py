"""The fingerprint stage: rows in = rows out, whatever the images are."""

import io

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from pipeline import schemas
from pipeline.compute import extractors
from pipeline.compute.extractors.base import ExtractorSpec
from pipeline.compute.extractors.preprocessing import Preprocessing, prepare
from pipeline.compute.reasons import Reason
from pipeline.errors import UserError
from pipeline.schemas import vector_type
from pipeline.stages import fingerprint
from pipeline.stages.fingerprint import Fingerprinter, FingerprintParams

HOW = Preprocessing(8, 8)


class MeanColor:
    """The mean colour of an image; of a purely green one not a number."""

    dimensions = 3
    batch_size = 4

    def __init__(self, spec, digest):
        self.spec, self.digest, self.batches = spec, digest, []

    def prepare(self, rgb):
        return prepare(rgb, HOW)

    def __call__(self, images):
        self.batches.append(len(images))
        means = images.mean((1, 2)).astype(np.float32)
        means[(means[:, 1] > 250) & (means[:, 0] < 5)] = np.nan
        return means


def parse(name, rest):
    return ExtractorSpec(name, "mean_color", rest, None, HOW, "", 1)


# A family of the test's own: adding one is one entry.
FAMILY = extractors.Family(parse, lambda _: "none", lambda spec, digest, _: MeanColor(spec, digest), lambda _: 3)


@pytest.fixture
def fingerprinter(monkeypatch):
    monkeypatch.setitem(extractors.FAMILIES, "mean_color", FAMILY)
    return Fingerprinter(FingerprintParams(extractor="mean_color"))


def png(color, size=(12, 10)):
    file = io.BytesIO()
    Image.new("RGB", size, tuple(color)).save(file, "PNG")
    return file.getvalue()


GREEN = (0, 255, 0)
BROKEN = png((1, 2, 3))[:40]


def table(rows):
    """Rows of (color, bytes or None for no pixels)."""
    pixels = [row if isinstance(row, bytes | None) else png(row) for row in rows]
    return pa.table(
        {
            "image_id": pa.array([f"{number:032x}" for number in range(len(rows))], pa.string()),
            "content_hash": pa.array([f"{number:032x}" for number in range(len(rows))], pa.string()),
            "region": pa.array([None] * len(rows), schemas.REGION),
            "pixels": pa.array(pixels, pa.binary()),
            "reason": pa.array([None if data is not None else "truncated" for data in pixels], pa.string()),
        }
    )


def test_rows_are_the_tables(fingerprinter):
    found = fingerprinter(table([(10, 20, 30), None, (200, 100, 0)]))
    schemas.FINGERPRINTS.check(found)
    assert found["vector"].type == vector_type(3)
    assert found["vector"].to_pylist() == [[10, 20, 30], None, [200, 100, 0]]
    assert found["reason"].to_pylist() == [None, "truncated", None]
    assert [key is None for key in found["pixels_key"].to_pylist()] == [False, True, False]


def test_no_rows(fingerprinter):
    found = fingerprinter(table([]))
    assert found.num_rows == 0
    schemas.FINGERPRINTS.check(found)


def test_pixels_that_do_not_open_get_a_reason_and_disturb_nobody(fingerprinter):
    found = fingerprinter(table([(1, 2, 3), BROKEN, b"text", b"", (4, 5, 6)]))
    assert found["vector"].to_pylist() == [[1, 2, 3], None, None, None, [4, 5, 6]]
    reasons = found["reason"].to_pylist()
    assert reasons[0] is None
    assert reasons[4] is None
    assert all(Reason(reason) for reason in reasons[1:4])
    assert found["pixels_key"].null_count == 0


def test_a_vector_that_is_not_finite_is_a_failure(fingerprinter):
    found = fingerprinter(table([(1, 2, 3), GREEN]))
    assert found["vector"].to_pylist() == [[1, 2, 3], None]
    assert found["reason"].to_pylist() == [None, Reason.EXTRACTOR_FAILED.value]


def test_a_row_with_a_reason_is_left_alone_even_with_pixels(fingerprinter):
    rows = table([(1, 2, 3)]).set_column(4, "reason", pa.array(["io_error"]))
    found = fingerprinter(rows)
    assert found["vector"].to_pylist() == [None]
    assert found["reason"].to_pylist() == ["io_error"]


KINDS = st.one_of(st.tuples(*[st.integers(0, 255)] * 3), st.none(), st.just(BROKEN), st.just(GREEN))


@pytest.mark.slow
@settings(max_examples=40)
@given(st.lists(KINDS, max_size=30), st.integers(1, 3), st.integers(0, 30))
def test_any_mix_loses_no_row_and_any_split_gives_the_same(kinds, threads, cut):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(extractors.FAMILIES, "mean_color", FAMILY)
        compute = Fingerprinter(FingerprintParams(extractor="mean_color"), threads=threads)
        rows = table(kinds)
        found = compute(rows)
        in_two = pa.concat_tables([compute(rows.slice(0, cut)), compute(rows.slice(cut))])
        in_chunks = compute(pa.concat_tables([rows.slice(0, cut), rows.slice(cut)]))
    assert found["image_id"].to_pylist() == rows["image_id"].to_pylist()
    expected = [
        list(kind) if isinstance(kind, tuple) and not (kind[1] > 250 and kind[0] < 5) else None for kind in kinds
    ]
    assert found["vector"].to_pylist() == expected
    assert [reason is None for reason in found["reason"].to_pylist()] == [row is not None for row in expected]
    assert in_two.to_pylist() == found.to_pylist() == in_chunks.to_pylist()


def test_batches_are_full_although_images_fail(fingerprinter):
    fingerprinter(table([(1, 1, 1), BROKEN, (2, 2, 2), None, (3, 3, 3), (4, 4, 4), (5, 5, 5)]))
    assert fingerprinter.extractor.batches == [4, 1]


def test_a_bug_in_the_extractor_is_not_a_bad_image(fingerprinter, monkeypatch):
    monkeypatch.setattr(MeanColor, "prepare", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fingerprinter(table([(1, 2, 3)]))


def test_keys_say_what_a_vector_was_computed_from():
    box = {"x": 1, "y": 2, "width": 3, "height": 4}
    images = pa.table(
        {
            "content_hash": ["a", "a", "a", "b", "a", None],
            "region": pa.array([None, box, box | {"x": 11, "y": 2}, None, None, None], schemas.REGION),
            "pixels": pa.array([b"1", b"1", b"1", b"1", b"other bytes", None], pa.binary()),
            "reason": pa.array([None] * 5 + ["truncated"], pa.string()),
        }
    )
    keys = fingerprint.pixels_keys(images).to_pylist()
    assert len(set(keys)) == 5
    assert keys[0] == keys[4]
    assert keys[5] is None
    assert all(len(key) == 32 and int(key, 16) >= 0 for key in keys[:5])
    assert fingerprint.pixels_keys(images.drop_columns("pixels")).to_pylist() == keys
    assert not set(fingerprint.pixels_keys(images, "384 px").to_pylist()[:5]) & set(keys)


def test_parameters_are_checked_before_anything_starts():
    assert FingerprintParams().extractor == "efficientnet_lite0"
    with pytest.raises(UserError, match="nearest: torchvision/resnet50"):
        FingerprintParams(extractor="torchvision/resnet51")
    with pytest.raises(ValidationError, match="precision"):
        FingerprintParams(precision="int8")
    with pytest.raises(ValidationError):
        FingerprintParams(extractors="efficientnet_lite0")
    assert fingerprint.min_side(FingerprintParams()) == 224
    assert fingerprint.min_side(FingerprintParams(extractor="torchvision/efficientnet_b7")) == 600


def test_every_key_has_a_description():
    assert all(field.description for field in FingerprintParams.model_fields.values())


def test_the_digest_is_the_extractors(fingerprinter):
    params = FingerprintParams(extractor="mean_color")
    assert fingerprint.extractor_digest(params) == fingerprinter.extractor.digest
    assert fingerprint.extractor_digest(params) != fingerprint.extractor_digest(FingerprintParams())


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("efficientnet_lite0", "efficientnet_lite0"),
        ("torchvision/resnet50", "torchvision-resnet50"),
        ("torchvision/vgg16:classifier.3", "torchvision-vgg16@classifier.3"),
        ("a-b", "a~2db"),
        ("_hidden", "~5fhidden"),
        ("..", "~2e."),
        ("é", "~c3~a9"),
    ],
)
def test_folders_by_hand(name, folder):
    assert fingerprint.extractor_folder(name) == folder


@given(st.text(max_size=12), st.text(max_size=12))
def test_folders_are_one_to_one_and_safe(one, other):
    folders = fingerprint.extractor_folder(one), fingerprint.extractor_folder(other)
    assert (folders[0] == folders[1]) == (one == other)
    assert not set(folders[0]) & set('/\\:*?"<>|=%+ ')
    assert folders[0] not in (".", "..")
    assert folders[0][:1] not in ("_", ".")


@given(st.text(alphabet="/:-@~._ab2df5e", max_size=6), st.text(alphabet="/:-@~._ab2df5e", max_size=6))
def test_folders_of_awkward_names_are_one_to_one(one, other):
    assert (fingerprint.extractor_folder(one) == fingerprint.extractor_folder(other)) == (one == other)


@pytest.mark.slow
def test_the_default_extractor_on_photographs():
    from skimage import data

    file = io.BytesIO()
    Image.fromarray(data.coffee()).save(file, "JPEG", quality=95)
    coffee = file.getvalue()
    compute = Fingerprinter(FingerprintParams())
    found = compute(table([coffee, BROKEN, *[(number, 0, 0) for number in range(17)], coffee]))
    schemas.FINGERPRINTS.check(found)
    vectors = found["vector"].to_pylist()
    assert vectors[1] is None
    assert len(vectors[0]) == 1280
    assert vectors[0] == vectors[-1]
