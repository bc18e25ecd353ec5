"""Photographs that kill, or hold up, whichever process decodes them."""

import signal
from pathlib import Path

import pytest

from tests.collections import AS_THEY_ARE, DATES, TINY, Collection, small
from tests.killing import Killable
from tests.runtime.runs import run_local, tables

pytestmark = pytest.mark.timeout(600)


def hostile(root: Path, subjects: int, shots: int) -> tuple[Collection, dict[str, str]]:
    """Photographs of which three are no good; their keys by what becomes of them."""
    photos = small(root, subjects, shots, TINY)
    words = {
        "decoder_crashed": b"KILL THE DECODER",
        "hangs": b"HANG THE DECODER",
        "extractor_failed": b"KILL THE EXTRACTOR",
    }
    keys = {}
    for number, (reason, word) in enumerate(words.items()):
        keys[reason] = photos.add(5 + number, DATES[1], 0)
        with (photos.root / keys[reason]).open("ab") as file:
            file.write(word)
    return photos, keys


def assert_told(workspace: Path, photos: Collection, keys: dict[str, str], seconds: int, good: int) -> None:
    found = tables(workspace, AS_THEY_ARE)
    rows = {row["uri"].split("/photos/")[1]: row for row in found["images"][DATES[1]].to_pylist()}
    shown = {key: (row["reason"], row["detail"]) for key, row in rows.items() if row["reason"]}
    assert shown == {
        keys["decoder_crashed"]: ("decoder_crashed", "SIGSEGV"),
        keys["hangs"]: ("decoder_crashed", f"no result after {seconds} s"),
    }
    for key in shown:  # what the header says is known: the size, and the date that they lie in
        assert (rows[key]["width"], rows[key]["num_bytes"]) == (TINY[0], (photos.root / key).stat().st_size)
    reasons = dict(
        zip(*(found["fingerprints"][DATES[1]][name].to_pylist() for name in ("image_id", "reason")), strict=True)
    )
    assert reasons[rows[keys["extractor_failed"]]["image_id"]] == "extractor_failed"
    assert [sum(reason is None for reason in reasons.values()), len(reasons)] == [good, good + 3]


@pytest.mark.ray
def test_a_photograph_that_kills_or_holds_up_its_decoder_becomes_a_row_with_a_reason(tmp_path: Path) -> None:
    photos, keys = hostile(tmp_path / "photos", subjects=2, shots=2)
    patience = (AS_THEY_ARE, "resources.retries=0", "resources.decode_seconds=4")
    with Killable(
        photos.root, tmp_path / "ws", ("resources.num_cpus=2", "resources.rows_per_fragment=3", *patience)
    ) as run:
        assert run.wait(400) == 0, run.said
    assert_told(tmp_path / "ws", photos, keys, seconds=4, good=4)
    assert "3: decoder_crashed 2, extractor_failed 1" in run.said
    (photos.root / keys["decoder_crashed"]).unlink()  # the others are as in a collection without these three
    again = run_local(photos.root, tmp_path / "ws", AS_THEY_ARE, "ingest.on_vanished=drop").done
    assert (again["images"], again["fingerprints"]) == (0, 0)


@pytest.mark.slow
def test_without_ray_such_a_photograph_ends_one_run_and_the_next_goes_on(tmp_path: Path) -> None:
    photos, keys = hostile(tmp_path / "photos", subjects=1, shots=1)
    patience = (AS_THEY_ARE, "resources.retries=0", "resources.decode_seconds=2", "resources.threads=1")
    codes = []
    for _ in range(3):
        with Killable(photos.root, tmp_path / "ws", patience, options=("--engine", "local")) as run:
            codes.append(run.wait())
    assert codes[0] in (-signal.SIGSEGV, 1)  # it is met first that has the smaller key: a crash, or a hang
    assert codes[1:] == [-signal.SIGSEGV, 0], run.said  # of the extractor; and now all is done
    assert_told(tmp_path / "ws", photos, keys, seconds=2, good=1)
    assert not [path for path in (tmp_path / "ws").rglob("_staging/**/*") if path.is_file()]
