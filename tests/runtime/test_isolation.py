"""Rows that kill or hold up their process, done by children; no Ray here."""

import signal
import time
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.compute.identity import image_id
from pipeline.compute.reasons import Reason
from pipeline.runtime.isolation import Isolated, cut
from pipeline.stages.ingest import ingest
from pipeline.stages.ingest_params import IngestParams
from tests.killing import INJECTED
from tests.objects import objects as fetched
from tests.pictures import exif, photo, saved

pytestmark = pytest.mark.slow
GOOD = saved(photo(), exif=exif(t36867="2024:01:05 10:15:30"))


def objects(*contents: bytes) -> pa.Table:
    rows = [{"image_id": image_id(f"{n}"), "key": f"{n}", "uri": f"{n}", "bytes": d} for n, d in enumerate(contents)]
    return fetched(*rows)


def isolated(seconds: float = 30, attempts: int = 1) -> Isolated:
    settings = {"params": IngestParams().model_dump(mode="json")}
    return Isolated("images", settings, Reason.DECODER_CRASHED, "bytes", attempts, seconds)


def test_all_but_the_one_that_kills_come_out_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(INJECTED)  # as the children's path is this process's
    rows = objects(GOOD, GOOD, GOOD + b"KILL THE DECODER", b"<html>")
    found = isolated()(rows).to_pylist()
    expected = ingest(objects(GOOD, GOOD, b"", b"<html>"), IngestParams()).to_pylist()
    assert [row for at, row in enumerate(found) if at != 2] == [row for at, row in enumerate(expected) if at != 2]
    assert (found[2]["reason"], found[2]["detail"], found[2]["pixels"]) == ("decoder_crashed", "SIGSEGV", None)
    assert (found[2]["date"], found[2]["width"], found[2]["num_bytes"]) == ("2024-01-05", 64, len(GOOD) + 16)


def test_one_that_hangs_is_ended_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(INJECTED)
    started = time.monotonic()
    row = isolated(seconds=2)(objects(GOOD + b"HANG THE DECODER")).to_pylist()[0]
    assert (row["reason"], row["detail"], row["date"]) == ("decoder_crashed", "no result after 2 s", "2024-01-05")
    assert time.monotonic() - started < 30


def test_who_dies_by_accident_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first child is killed from outside (out of memory, say); the photograph is not to blame."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, pathlib, signal\n"
        f"mark = pathlib.Path({str(tmp_path / 'died')!r})\n"
        "if not mark.exists():\n"
        "    mark.touch()\n"
        f"    os.kill(os.getpid(), {int(signal.SIGKILL)})\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert isolated(attempts=2)(objects(GOOD))["reason"].to_pylist() == [None]


def test_an_error_is_no_death() -> None:
    work = Isolated("images", {"params": {"image_px": "big"}}, Reason.DECODER_CRASHED, "bytes", 3, 30)
    with pytest.raises(RuntimeError, match="image_px"):
        work(objects(GOOD))


def test_pieces_are_cut_in_order_and_whole() -> None:
    rows = objects(*[b""] * 70)
    assert [piece.num_rows for piece in cut(rows)] == [32, 32, 6]
    assert pa.concat_tables(cut(rows)).equals(rows)
