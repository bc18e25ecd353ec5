"""The command as a person meets it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.collections import small

pytestmark = pytest.mark.slow  # each starts the command anew
BIN = Path(sys.executable).parent / "imagetracks"


def command(*words: object, **env: str) -> subprocess.CompletedProcess[str]:
    line = [str(BIN), *map(str, words)]
    return subprocess.run(line, check=False, capture_output=True, text=True, timeout=200, env={**os.environ, **env})


def test_without_words_it_explains_itself() -> None:
    done = command("--help")
    assert done.returncode == 0
    for name in ("run", "status", "evaluate", "picture", "sample", "sweep", "config"):
        assert name in done.stdout


def test_the_printed_config_can_be_read_back(tmp_path: Path) -> None:
    first = command("config", "--set", "link.max_gap=3")
    (tmp_path / "config.yaml").write_text(first.stdout)
    assert command("config", "--config", tmp_path / "config.yaml").stdout == first.stdout
    assert "max_gap: 3" in first.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "-c", "/nowhere/at/all", "-w", "ws"], "nothing at the collection"),
        (["status", "-w", "/nowhere/at/all"], "no workspace"),
        (["run", "-c", ".", "-w", "ws", "--engine", "spark"], "expected ray or local"),
        (["run", "-c", ".", "-w", "ws", "--set", "link.max_gab=3"], "max_gap"),
        (["run", "-c", ".", "-w", "ws", "--dates", "2024-02-30:"], "expected A:B"),
        (["run", "-c", ".", "-w", "ws", "--dates", "2024-03-01:2024-02-01"], "swap them"),
    ],
)
def test_a_mistake_gets_a_message_and_exit_code_2(words: list[str], said: str, tmp_path: Path) -> None:
    done = subprocess.run([str(BIN), *words], check=False, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3
    assert not (tmp_path / "ws").exists()


def test_from_photographs_to_a_picture(tmp_path: Path) -> None:
    collection = small(tmp_path / "photos")
    run = ("run", "-c", collection.root, "-w", tmp_path / "ws", "--engine", "local")
    done = command(*run)
    assert done.returncode == 0, done.stderr
    assert "images: 24 of 24 images" in done.stdout  # plain lines where there is no terminal
    assert "read_parquet(" in done.stdout
    assert "Nothing to do" in command(*run).stdout

    status = command("status", "-w", tmp_path / "ws").stdout
    assert "fingerprints" in status
    assert "up to date" in status
    stale = command("status", "-w", tmp_path / "ws", "--set", "neighbors.k=7").stdout
    assert "neighbors.k" in stale
    assert "-> 7" in stale

    truth = tmp_path / "truth.csv"
    truth.write_text("path,identity\n" + "".join(f"{key},{who}\n" for key, who in collection.identity.items()))
    for ending in ("json", "parquet"):
        scores = command("evaluate", "-w", tmp_path / "ws", "--truth", truth, "--out", tmp_path / f"scores.{ending}")
        assert "IDF1" in scores.stdout
    assert json.loads((tmp_path / "scores.json").read_text())["tracks"]["purity"] > 0
    assert pq.read_table(tmp_path / "scores.parquet").num_rows > 20

    assert command("picture", "-w", tmp_path / "ws", tmp_path / "tracks.png").returncode == 0
    assert (tmp_path / "tracks.png").stat().st_size > 10_000
    assert "Deleted 0 objects" in command("sweep", "-w", tmp_path / "ws").stdout
    assert "Nothing to do" in command(*run).stdout
