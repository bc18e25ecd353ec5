"""Weighed metadata and trees in a whole run: what is written, and what is computed again when a setting changes."""

from pathlib import Path

import pytest

from tests.runtime.runs import no_engine, tables
from tests.runtime.test_late import Album

pytestmark = pytest.mark.slow
EXTRACTOR = "fingerprint.extractor=raw_pixels"
WEIGHED = "geometry.metadata={caption: {kind: numeric, weight: 1.0, scale: 1.0}}"
TREE = ("cluster.method=agglomerative", "cluster.linkage=complete")


def test_what_depends_on_a_weight_a_tree_and_a_cut(tmp_path: Path) -> None:
    album = Album(tmp_path)
    for place, row in enumerate(album.rows.values()):
        row["caption"] = str(place % 2 * 9)
    album.write()

    def run(*settings: str, **options: object) -> dict[str, int]:
        return album.run(tmp_path / "ws", EXTRACTOR, *settings, **options)

    def clusters() -> list[list[int]]:
        return [sorted(rows["num_images"].to_pylist()) for rows in tables(tmp_path / "ws")["clusters"].values()]

    whole = (*TREE, "cluster.sim=0.0")
    done = run(*whole)
    assert (done["linkage"], done["cluster"], "geometry" in done) == (3, 3, False)
    assert clusters() == [[8]] * 3
    assert run(*whole, make_engine=no_engine) == {}
    halves = (*TREE, "cluster.num_clusters=2")
    assert {"neighbors", "linkage"} & set(run(*halves)) == set()  # cut again, not grown
    parted = run(*halves, WEIGHED)
    assert (parted["geometry"], parted["neighbors"], parted["linkage"], parted["cluster"]) == (3, 3, 3, 3)
    assert clusters() == [[4, 4]] * 3
    assert run(*halves, WEIGHED, make_engine=no_engine) == {}

    album.columns.append("shirt")
    for place, row in enumerate(album.rows.values()):
        row["shirt"] = str(place)
    album.write()
    done = run(*halves, WEIGHED)  # a column that the config does not name
    assert {"neighbors", "linkage", "cluster"} & set(done) == set()
    back = run(*halves)
    assert (back["neighbors"], back["linkage"], "geometry" in back) == (3, 3, False)
