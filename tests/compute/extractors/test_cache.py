"""Content that is dear to make: made once, whole or not at all."""

import multiprocessing
from pathlib import Path

import pytest

from pipeline.compute.extractors import cache


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGETRACKS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_it_is_made_once():
    calls = []

    def make():
        calls.append(1)
        return b"content"

    assert [cache.remembered("a/b", make) for _ in range(3)] == [b"content"] * 3
    assert len(calls) == 1


def test_a_failure_leaves_nothing(folder):
    with pytest.raises(ValueError, match="no"):
        cache.remembered("a", lambda: (_ for _ in ()).throw(ValueError("no")))
    assert cache.remembered("a", lambda: b"second") == b"second"
    assert [path.name for path in folder.iterdir()] == ["a"]


def test_a_place_that_cannot_be_written_makes_it_each_time(folder):
    folder.write_text("a file where the folder should be")
    assert cache.remembered("a", lambda: b"one") == b"one"
    assert cache.remembered("a", lambda: b"two") == b"two"


def make_and_check(seed):
    content = bytes([seed]) * 3_000_000
    found = cache.remembered("big", lambda: content)
    return len(found) == len(content) and len(set(found)) == 1


@pytest.mark.slow
def test_processes_that_make_it_at_once_all_see_a_whole_content(folder):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert all(pool.map(make_and_check, range(24)))
    assert [path.name for path in Path(folder).iterdir()] == ["big"]


def test_the_usual_place(monkeypatch, tmp_path):
    monkeypatch.delenv("IMAGETRACKS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "imagetracks"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.folder() == tmp_path / ".cache" / "imagetracks"
