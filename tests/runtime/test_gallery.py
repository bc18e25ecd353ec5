"""The picture of a workspace's tracks: pages, filters, mistakes."""

from pathlib import Path

import pytest
from PIL import Image

from pipeline import schemas
from pipeline.errors import UserError
from pipeline.runtime.gallery import View, draw
from pipeline.runtime.tables import read_dates
from tests.collections import DATES, small
from tests.runtime.runs import open_read, run_local

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("gallery")
    collection = small(root / "photos", subjects=3, shots=1)
    collection.add(7, DATES[-1], 0)
    run_local(collection.root, root / "ws")
    return root / "ws"


def height(workspace: Path, file: Path, **view: object) -> int:
    (written,) = draw(open_read(workspace), file, View(**view))
    with Image.open(written) as picture:
        return picture.height


def test_pages_and_filters(workspace: Path, tmp_path: Path) -> None:
    context = open_read(workspace)
    tracks = sorted(set(read_dates(context, schemas.TRACKS, ["track_id"])["track_id"].to_pylist()))
    rows = len(tracks)
    one, every = (height(workspace, tmp_path / "a.png", **view) for view in ({"tracks": (tracks[0],)}, {}))
    assert every > one
    row = (every - one) // (rows - 1)
    assert height(workspace, tmp_path / "a.png", tracks=tuple(tracks[:2])) == one + row
    pages = draw(context, tmp_path / "p.png", View(max_tracks=2, page=None))
    assert [page.name for page in pages] == [f"p-{k}.png" for k in range(1, -(-rows // 2) + 1)]
    assert all(page.stat().st_size > 5_000 for page in pages)
    happened = read_dates(context, schemas.EVENTS, ["track_id", "kind"]).to_pylist()
    born = {event["track_id"] for event in happened if event["kind"] == "birth" and event["date"] == DATES[-1]}
    context.dates = (DATES[-1], None)
    (written,) = draw(context, tmp_path / "b.png", View(events=("birth",)))
    with Image.open(written) as picture:
        assert picture.height == one + row * (len(born) - 1)


def test_mistakes(workspace: Path, tmp_path: Path) -> None:
    for view, file, said in (
        (View(), tmp_path / "missing" / "a.png", "there is no folder"),
        (View(tracks=("NOPE",)), tmp_path / "a.png", "found no track NOPE"),
        (View(events=("merge",)), tmp_path / "a.png", "no track has such an event"),
        (View(page=9), tmp_path / "a.png", "no page 9"),
        (View(), tmp_path / "a.nonsense", "give a file like tracks.png"),
    ):
        with pytest.raises(UserError, match=said):
            draw(open_read(workspace), file, view)
    assert list(tmp_path.iterdir()) == []
