"""Late and changing data: each change costs what depends on it, and ends where a run from scratch ends."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from tests.collections import DATES, Collection, small
from tests.runtime.runs import no_engine, run_local, tables

pytestmark = pytest.mark.slow
DROP = "ingest.on_vanished=drop"
COUNTED = ("images", "fingerprints", "projection", "neighbors", "cluster")
Rows = dict[str, dict[str, str]]


class Album:
    """A collection with a manifest that says of each photograph when it was taken, and what it shows."""

    def __init__(self, root: Path) -> None:
        self.collection = small(root / "photos")
        self.manifest = root / "manifest.csv"
        self.rows: Rows = {key: {"captured_at": "", "caption": "none"} for key in self.collection.identity}
        self.write()

    def write(self) -> None:
        lines = [f"{key},{row['captured_at']},{row['caption']}\n" for key, row in self.rows.items()]
        self.manifest.write_text("path,captured_at,caption\n" + "".join(lines))

    def run(self, workspace: Path, **options: object) -> dict[str, int]:
        return dict(run_local(self.collection.root, workspace, DROP, manifest=self.manifest, **options).done)  # type: ignore[arg-type]


def add(album: Album) -> None:
    key = album.collection.add(1, DATES[1], 5)
    album.rows[key] = {"captured_at": "", "caption": "late"}


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
    album.rows[next(iter(album.rows))]["caption"] = "rotten"


CASES: list[tuple[Callable[[Album], None], dict[str, int], range]] = [
    # what happens; images read, vectors computed, dates with a new graph and clustering; dates linked: from there on
    (add, {"images": 1, "fingerprints": 1, "neighbors": 1, "cluster": 1}, range(1, 3)),
    (remove, {"neighbors": 1, "cluster": 1}, range(1, 4)),
    (replace, {"images": 1, "fingerprints": 1, "neighbors": 1, "cluster": 1}, range(1, 4)),
    (redate, {"images": 1, "fingerprints": 1, "neighbors": 2, "cluster": 2}, range(2, 4)),
    (retell, {}, range(1)),
]


@pytest.mark.parametrize(("change", "expected", "linked"), CASES, ids=[case[0].__name__ for case in CASES])
def test_a_change_costs_what_depends_on_it(
    change: Callable[[Album], None],
    expected: dict[str, int],
    linked: range,
    tmp_path: Path,
) -> None:
    album, workspace = Album(tmp_path), tmp_path / "ws"
    album.run(workspace)
    change(album)
    album.write()
    done = album.run(workspace)
    assert {name: done[name] for name in COUNTED if name in done} == expected
    assert done.get("link", 0) in linked
    assert done.get("cluster", 0) <= done.get("tracks", 0) <= max(done.get("cluster", 0), done.get("link", 0))
    assert album.run(workspace, make_engine=no_engine) == {}
    assert tables(workspace) == from_scratch(album, workspace, tmp_path / "scratch")


def from_scratch(album: Album, workspace: Path, scratch: Path) -> dict[str, dict[str, pa.Table]]:
    """All tables of a run that has nothing but the fitted projection to start from."""
    scratch.mkdir()
    shutil.copy(workspace / "imagetracks.json", scratch)
    model = Path("clusterings") / "default" / "projection"
    shutil.copytree(workspace / model, scratch / model)
    done = album.run(scratch)
    assert (done["images"], "projection" in done) == (len(album.rows), False)
    return tables(scratch)
