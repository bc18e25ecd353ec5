"""Late and changing data: each change costs what depends on it, and ends where a run from scratch ends."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from tests.collections import DATES, Collection, small
from tests.runtime.runs import no_engine, run_local, tables, up_to_naming

pytestmark = pytest.mark.slow
DROP = "ingest.on_vanished=drop"
COUNTED = ("images", "fingerprints", "projection", "neighbors", "cluster")
Rows = dict[str, dict[str, str]]


class Album:
    """A collection with a manifest that says of each photograph when it was taken, and what it shows."""

    def __init__(self, root: Path) -> None:
        self.collection = small(root / "photos")
        self.manifest = root / "manifest.csv"
        self.columns = ["captured_at", "caption"]
        self.rows: Rows = {key: {"captured_at": "", "caption": "5"} for key in self.collection.identity}
        self.rows[next(iter(self.rows))]["caption"] = ""
        self.write()

    def write(self) -> None:
        lines = [",".join([key, *(row[name] for name in self.columns)]) for key, row in self.rows.items()]
        self.manifest.write_text("\n".join([",".join(["path", *self.columns]), *lines]) + "\n")

    def run(self, workspace: Path, *settings: str, **options: object) -> dict[str, int]:
        where = (self.collection.root, workspace, *(settings or (DROP,)))
        return dict(run_local(*where, manifest=self.manifest, **options).done)


def add(album: Album) -> None:
    key = album.collection.add(1, DATES[1], 5)
    album.rows[key] = {"captured_at": "", "caption": "6"}


def remove(album: Album) -> None:
    key = next(iter(album.rows))
    (album.collection.root / key).unlink()
    del album.rows[key]


def replace(album: Album) -> None:
    key = next(iter(album.rows))
    other = Collection(album.collection.root).add(3, DATES[0], 9, name="spare.jpg")
    (album.collection.root / other).rename(album.collection.root / key)


def redate(album: Album) -> None:
    key = next(key for key in album.rows if DATES[0].replace("-", "") in key)
    album.rows[key]["captured_at"] = f"{DATES[2]}T09:00:00"


def retell(album: Album) -> None:
    album.rows[next(iter(album.rows))]["caption"] = "7"


def retype(album: Album) -> None:
    """Numbers become text: one date has the word, the others the numbers, and one row nothing at all."""
    album.rows[list(album.rows)[-1]]["caption"] = "rotten"


def untell(album: Album) -> None:
    album.columns.remove("caption")


def untell_and_add(album: Album) -> None:
    untell(album)
    add(album)


CASES: list[tuple[Callable[[Album], None], dict[str, int], int]] = [
    # what happens; images read, vectors computed, dates with a new graph and clustering; dates linked: all from there
    # on, for what a track has been (its images, its looks) goes on with it
    (add, {"images": 1, "fingerprints": 1, "neighbors": 1, "cluster": 1}, 2),
    (remove, {"neighbors": 1, "cluster": 1}, 3),
    (replace, {"images": 1, "fingerprints": 1, "neighbors": 1, "cluster": 1}, 3),
    (redate, {"images": 1, "fingerprints": 1, "neighbors": 2, "cluster": 2}, 3),
    (retell, {}, 0),
    (retype, {}, 0),
    (untell, {}, 0),
    (untell_and_add, {"images": 1, "fingerprints": 1, "neighbors": 1, "cluster": 1}, 2),
]


@pytest.mark.parametrize(("change", "expected", "linked"), CASES, ids=[case[0].__name__ for case in CASES])
def test_a_change_costs_what_depends_on_it(
    change: Callable[[Album], None],
    expected: dict[str, int],
    linked: int,
    tmp_path: Path,
) -> None:
    album, workspace = Album(tmp_path), tmp_path / "ws"
    album.run(workspace)
    change(album)
    album.write()
    done = album.run(workspace)
    assert {name: done[name] for name in COUNTED if name in done} == expected
    assert done.get("link", 0) == linked
    assert done.get("cluster", 0) <= done.get("tracks", 0)  # more, where a track of another date is called otherwise
    assert album.run(workspace, make_engine=no_engine) == {}
    assert up_to_naming(tables(workspace)) == from_scratch(album, workspace, tmp_path / "scratch")


def test_a_vanished_image_changes_nothing_but_its_mark_until_it_is_dropped(tmp_path: Path) -> None:
    album, workspace, mark = Album(tmp_path), tmp_path / "ws", "ingest.on_vanished=mark"
    album.run(workspace, mark)
    before = tables(workspace)
    assert up_to_naming(before) == from_scratch(album, workspace, tmp_path / "scratch")
    remove(album)
    album.write()
    assert album.run(workspace, mark) == {"images by date": 1}
    assert album.run(workspace, mark, make_engine=no_engine) == {}
    after = tables(workspace)
    images = after["images"][DATES[0]]
    assert sum(images["vanished"].to_pylist()) == 1
    at = images.schema.get_field_index("vanished")
    unmarked = images.set_column(at, "vanished", pa.array([False] * images.num_rows))
    assert {**after, "images": {**after["images"], DATES[0]: unmarked}} == before
    assert album.run(workspace)["cluster"] == 1  # now it leaves
    assert up_to_naming(tables(workspace)) == from_scratch(album, workspace, tmp_path / "without")


def test_a_vanished_image_keeps_what_still_fits_of_its_metadata(tmp_path: Path) -> None:
    album, workspace, mark = Album(tmp_path), tmp_path / "ws", "ingest.on_vanished=mark"
    album.columns.append("place")
    for number, row in enumerate(album.rows.values()):
        row |= {"caption": "5", "place": f"field {number}"}
    album.write()
    album.run(workspace, mark)
    *gone, stays = [key for key in album.rows if DATES[0].replace("-", "") in key]
    for key in gone:
        (album.collection.root / key).unlink()
        del album.rows[key]
    with (album.collection.root / stays).open("ab") as file:
        file.write(b"changed")  # so that every row of the date is either vanished or read again
    retype(album)
    album.write()
    album.run(workspace, mark)
    [kept, *_] = [row["metadata"] for row in tables(workspace)["images"][DATES[0]].to_pylist() if row["vanished"]]
    assert (kept["caption"], kept["place"][:5]) == (None, "field")
    album.columns.clear()
    album.write()
    album.run(workspace, mark)
    told = [row["vanished"] for row in tables(workspace)["images"][DATES[0]].to_pylist() if row["metadata"]]
    assert told == [True] * len(gone)


def from_scratch(album: Album, workspace: Path, scratch: Path) -> dict[str, dict[str, pa.Table]]:
    """All tables, up to naming, of a run that has nothing but the fitted projection to start from."""
    scratch.mkdir()
    shutil.copy(workspace / "imagetracks.json", scratch)
    model = Path("clusterings") / "default" / "projection"
    shutil.copytree(workspace / model, scratch / model)
    done = album.run(scratch)
    assert (done["images"], "projection" in done) == (len(album.rows), False)
    return up_to_naming(tables(scratch))
