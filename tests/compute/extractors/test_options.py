"""Settings within an extractor's name, and extractors without weights: known without loading anything heavy."""

import pytest

from pipeline.compute import extractors
from pipeline.errors import UserError


def test_settings_in_a_name_are_read():
    spec = extractors.resolve("raw_pixels:color=grey:size=92x112")
    assert (spec.family, spec.preprocessing.width, spec.preprocessing.height) == ("raw_pixels", 92, 112)
    assert extractors.resolve("raw_pixels").min_side == 32
    assert extractors.resolve("classical/hog:cell=8").model == "hog"


def test_the_order_of_settings_is_part_of_the_name_alone():
    one, other = (extractors.resolve(f"raw_pixels:{text}") for text in ("size=8:color=grey", "color=grey:size=8"))
    assert one.preprocessing == other.preprocessing


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("raw_pixels:side=32", "nearest: size=…; it takes size, color"),
        ("raw_pixels:size", "found 'size' in raw_pixels:size"),
        ("raw_pixels:size=0x3", "expected WIDTHxHEIGHT"),
        ("raw_pixels:size=4096", "at most 2048"),
        ("raw_pixels:color=gray", "expected one of rgb, grey"),
        ("raw_pixels:size=8:size=9", "size twice"),
        ("classical/hog:cell=1", "a whole number from 4 to 64"),
        ("classical/hogg", "nearest: classical/hog"),
        ("classical", "known are colour_histogram, hog, lbp"),
        ("own/x", "nearest: "),
        ("package.module.function:size=x", "expected WIDTHxHEIGHT"),
    ],
)
def test_a_setting_that_there_is_not_is_refused(name, words):
    with pytest.raises(UserError, match=words):
        extractors.resolve(name)


def test_what_has_no_weights_takes_none(tmp_path):
    (tmp_path / "w.pth").write_bytes(b"weights")
    with pytest.raises(UserError, match="raw_pixels has no weights"):
        extractors.digest(extractors.resolve("raw_pixels"), str(tmp_path / "w.pth"), "float32")


def test_your_own_source_is_part_of_the_digest(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    spec = extractors.resolve("my_own_extractor.mean")
    source = tmp_path / "my_own_extractor.py"
    source.write_text("def mean(images): ...")
    before = extractors.digest(spec, None, "float32")
    assert extractors.digest(spec, None, "float32") == before
    source.write_text("def mean(images): return 1")
    assert extractors.digest(spec, None, "float32") != before


def test_your_own_that_is_not_there_is_named():
    with pytest.raises(UserError, match=r"no module no_such_module on Python's path"):
        extractors.digest(extractors.resolve("no_such_module.mean"), None, "float32")
